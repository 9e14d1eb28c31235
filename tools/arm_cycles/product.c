/* One product between two marks, for the trace of __main__.py, at the level of LEVEL_HEADER
 * and of the type TYPE, ONLY(do) being do(TYPE):
 *
 *   product few|many ROWS PANELS K
 *
 * few: the microkernels of few_rows.h; many: the panels unpacked once for all rows.
 */
#include "packing/packed.h"
#undef EACH_FLOAT_TYPE
#undef EACH_QUANT_TYPE
#define EACH_FLOAT_TYPE(do)
#define EACH_QUANT_TYPE(do) ONLY(do)
#include LEVEL_HEADER
#include "levels/verbs.h"
#include "products/many_rows.h"
#include <stdlib.h>

#define JOINED(a, b) a##b
#define PACKED(type) JOINED(PACK_, type)

__attribute__((noinline)) void trace_begins(void) { __asm__ volatile(""); }
__attribute__((noinline)) void trace_ends(void) { __asm__ volatile(""); }

static void *zeros(size_t n) {
    void *p = aligned_alloc(64, (n + 8191) / 64 * 64);
    return p ? memset(p, 0, n) : (exit(1), NULL);
}

static void multiply_few(const linear_args *a, int panels, float *out) {
    for (int panel = 0; panel < panels; panel++)
        for (int t = 0; t < a->m;) {
            const int log2 = log2_rows(a->m - t);
            const activations x = rows_for(&a->w, a, t);
            FEW_KERNELS[PACKED(TYPE)][log2](&a->w, panel, &x, out + t * PANEL_ROWS);
            t += 1 << log2;
        }
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    const int rows = atoi(argv[2]), panels = atoi(argv[3]), k = atoi(argv[4]);
    const size_t panel = panel_bytes(PACKED(TYPE), (size_t)k);
    linear_args a = {.w = {zeros((size_t)panels * panel), PACKED(TYPE), 16 * panels, k, panel}, .m = rows};
    a.prepared = zeros((size_t)rows * (size_t)(k / UNIT_COLS) * (sizeof(quant_unit) + sizeof(fine_unit)));
    many_scratch *scratch = zeros(sizeof *scratch);
    panel_list list = {.n_panels = panels};
    for (int i = 0; i < panels && i < PANELS_MAX; i++) {
        list.w[i] = &a.w;
        list.panel[i] = i;
    }
    trace_begins();
    if (argv[1][0] == 'f') multiply_few(&a, panels, (float *)scratch);
    else multiply_many(&list, &a, 0, rows, scratch);
    trace_ends();
    return 0;
}
