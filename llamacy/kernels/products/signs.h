/* One row times weights of one bit: sums of activations are looked up, four at a time.
 *
 * The four bits of a nibble choose one of 16 sums of the four activations that they meet. A
 * table of these sums serves all rows of w, and one look-up replaces four products and
 * the unpacking of four codes.
 *
 *   tables of 256 columns, a block    made once, and kept in the L1 cache,
 *   times the same block of each of up to SIGN_PANELS panels
 *
 * Sums of a unit are the same int32 as in few_rows.h, and turn into float32 in the same way and
 * order: a row's result does not depend on which of the two computes it.
 */
#ifndef LLAMACY_SIGNS_H
#define LLAMACY_SIGNS_H

#include "products/few_rows.h"

/* Panels that share tables. More would be further apart in memory than prefetching reaches; fewer
 * are not worth the tables. */
enum { SIGN_PANELS = 8, SIGN_PANELS_MIN = 4 };

#ifdef TABLE_BYTES

INLINE int looks_sums_up(const packed_matrix *w) { return w->type == PACK_Q1_0; }

/* acc += the units of a panel that share a scale, times x. */
INLINE vf add_signs(pack_type type, packed_unit packed, const quant_unit *x, size_t step, const uint8_t *tables,
                    vf acc) {
    enum { UNITS_MAX = 4 };
    const int units = PACK_TRAITS[type].units;
    const vf scale = group_scale(type, packed, 0);
    vi sums[UNITS_MAX];
    UNROLL for (int u = 0; u < units; u++) sums[u] = dot_start(type, &x[(size_t)u * step].minus[0]);
    l_sums(units, packed.codes, tables, sums);
    UNROLL for (int u = 0; u < units; u++)
        acc = f_fma(f_mul(f_from_i(sums[u]), f_set1(x[(size_t)u * step].scale)), scale, acc);
    return acc;
}

/* The block of a panel that is read after those of all other panels. */
INLINE void prefetch_block(pack_type type, const uint8_t *block) {
    UNROLL for (size_t i = 0; i < block_bytes(type, BLOCK_UNITS); i += 64) PREFETCH(block + i);
}

/* out[p][n] of panels panel .. panel + n_panels: a single row of x. */
static void multiply_signs(const packed_matrix *w, int64_t panel, int n_panels, const activations *x, float *out) {
    enum { TYPE = PACK_Q1_0 };
    const size_t units = (size_t)w->k / UNIT_COLS, shared = (size_t)PACK_TRAITS[TYPE].units;
    _Alignas(64) uint8_t tables[BLOCK_UNITS * TABLE_BYTES];
    memset(out, 0, sizeof *out * PANEL_ROWS * (size_t)n_panels);
    for (size_t first = 0; first < units; first += BLOCK_UNITS) {
        const size_t n = units - first < BLOCK_UNITS ? units - first : BLOCK_UNITS;
        const quant_unit *unit = x->units + first * x->step;
        /* the next block of these panels, or the first one of the panels that follow */
        const int is_last = first + BLOCK_UNITS >= units;
        const int64_t next_panel = panel + (is_last ? n_panels : 0);
        const size_t next = is_last ? 0 : (first / BLOCK_UNITS + 1) * block_bytes(TYPE, BLOCK_UNITS);
        for (size_t u = 0; u < n; u++) l_tables(tables + u * TABLE_BYTES, unit[u * x->step].q);
        for (int p = 0; p < n_panels; p++) {
            vf acc = f_load(out + p * PANEL_ROWS);
            prefetch_block(TYPE, panel_of(w, next_panel + p) + next);
            for (size_t u = 0; u < n; u += shared) {
                const packed_unit packed = find_unit(TYPE, w, panel + p, first + u);
                acc = add_signs(TYPE, packed, unit + u * x->step, x->step, tables + u * TABLE_BYTES, acc);
            }
            f_store(out + p * PANEL_ROWS, acc);
        }
    }
}

#else

INLINE int looks_sums_up(const packed_matrix *w) { (void)w; return 0; }
static void multiply_signs(const packed_matrix *w, int64_t panel, int n_panels, const activations *x, float *out) {
    (void)w, (void)panel, (void)n_panels, (void)x, (void)out;
}

#endif

#endif
