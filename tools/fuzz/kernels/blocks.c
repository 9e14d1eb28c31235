/* libFuzzer's target for packing: any bytes as blocks of any type, packed, and decoded at
 * every level that the machine has. Each buffer is as large as it must be and no larger, so
 * that AddressSanitizer sees a byte too many.
 *
 * EACH_LEVEL(do) lists the levels, and codebooks.h has the tables that packing takes from
 * Python; `building` makes both. Levels are compiled without contraction to FMA, so that
 * they must agree in every bit.
 */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "packing/packing.h"

#include "codebooks.h"

#define DECLARE(level) void decode_row_##level(const packed_matrix *w, int64_t row, float *y);
EACH_LEVEL(DECLARE)

typedef struct {
    const char *name;
    void (*decode)(const packed_matrix *w, int64_t row, float *y);
} level;

#define ROW(level) {#level, decode_row_##level},
static const level LEVELS[] = {EACH_LEVEL(ROW)};
enum { N_LEVELS = sizeof LEVELS / sizeof LEVELS[0] };

static void *exactly(size_t bytes) {
    void *p = NULL;
    if (posix_memalign(&p, 64, bytes)) abort();
    return p;
}

/* Zeros of either sign are the same. So are all numbers that are not finite: a scale of infinity
 * makes infinity at one level and NaN at another, whose codes have another zero point. */
static int same(float a, float b) { return a == b || (!isfinite(a) && !isfinite(b)); }

/* After FUZZ_SECONDS of CPU time: libFuzzer prints its figures and ends. */
static void check_time(void) {
    const char *limit = getenv("FUZZ_SECONDS");
    if (limit && clock() > atof(limit) * CLOCKS_PER_SEC) raise(SIGUSR1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_time();
    if (size < 4) return -1;
    const ggml_type type = (ggml_type)(data[0] % GGML_TYPE_COUNT);
    const int n_rows = data[1] % PANEL_ROWS + 1;
    const size_t columns = (size_t)GGML_TYPES[type].columns, most = columns == 256 ? 2 : 9;
    const size_t k = (data[2] % most + 1) * (columns == 1 ? UNIT_COLS : columns);
    data += 3, size -= 3;

    const size_t bytes = (size_t)n_rows * ggml_row_bytes(type, k);
    uint8_t *blocks = exactly(bytes);
    for (size_t i = 0; i < bytes; i++) blocks[i] = data[i % size];
    packed_matrix w = {.type = GGML_TYPES[type].form, .n = n_rows, .k = (int64_t)k};
    w.panel = panel_bytes(w.type, k);
    uint8_t *panel = exactly(w.panel);
    pack_panel(type, CODEBOOKS[type], blocks, n_rows, k, panel);
    w.data = panel;

    float *rows[N_LEVELS];
    for (int i = 0; i < N_LEVELS; i++) rows[i] = exactly(k * sizeof(float));
    const int step = n_rows > 1 ? n_rows - 1 : 1; /* the first row and the last */
    for (int row = 0; row < n_rows; row += step) {
        for (int i = 0; i < N_LEVELS; i++) LEVELS[i].decode(&w, row, rows[i]);
        for (int i = 1; i < N_LEVELS; i++)
            for (size_t j = 0; j < k; j++)
                if (!same(rows[0][j], rows[i][j])) {
                    fprintf(stderr, "%s, row %d, column %zu: %s decodes %a, %s %a\n", GGML_TYPES[type].name, row, j,
                            LEVELS[0].name, rows[0][j], LEVELS[i].name, rows[i][j]);
                    abort();
                }
    }
    for (int i = 0; i < N_LEVELS; i++) free(rows[i]);
    free(panel);
    free(blocks);
    return 0;
}
