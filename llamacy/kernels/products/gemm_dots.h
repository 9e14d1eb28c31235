/* Slices of gemm.h multiplied by the dot products of tile.h, and floats by FMA.
 *
 * Sums grow in the order of k, unit by unit, as they do in tile.h, so that a row's
 * result is the same whichever of the two computes it.
 */
#ifndef LLAMACY_GEMM_DOTS_H
#define LLAMACY_GEMM_DOTS_H

enum {
    BLOCK_PANELS = 8,
    BLOCK_ROWS = 256,
    SLICE_UNITS = 8,    /* 256 columns: 6 KiB of a quantised panel, 16 KiB of a float one */
    SLICE_COLS = SLICE_UNITS * UNIT_COLS,
    GATHERED_COLS = SLICE_COLS + 16,
    FLOAT_MIN_ROWS = 2 * TOKENS_MAX,    /* with fewer, what is unpacked is hardly used again */
    QUANT_MIN_ROWS = 16 * TOKENS_MAX,
};

typedef union {
    unit_weights units[SLICE_UNITS];
    float columns[SLICE_COLS][PANEL_ROWS];
} slice_weights;

/* Codes that 16 rows meet once unpacked are unpacked anew in less time than their copy,
 * thrice as large, takes to come back from L2. */
INLINE int gemm_wants(const linear_args *a) {
    const int is_float = is_float_pack(a->w.type) || (is_gated(a->form) && is_float_pack(a->w2.type));
    if (is_float) return a->m >= FLOAT_MIN_ROWS && a->w.k % UNIT_COLS == 0;
    return TOKENS_MAX < TILE_ROWS && a->m >= QUANT_MIN_ROWS;
}

INLINE void unpack_slice_of(pack_type type, const packed_matrix *w, int64_t panel, const slice *at,
                            slice_weights *to) {
    if (is_float_pack(type)) {
        const uint8_t *codes = panel_of(w, panel);
        for (size_t k = 0; k < (size_t)at->n_units * UNIT_COLS; k++)
            f_store(to->columns[k], float_column(type, codes, (size_t)at->unit * UNIT_COLS + k));
        return;
    }
    for (int i = 0; i < at->n_units; i++)
        unpack_unit(type, find_unit(type, w, panel, (size_t)(at->unit + i)), &to->units[i]);
}

static void unpack_slice(const packed_matrix *w, int64_t panel, const slice *at, slice_weights *to) {
    switch (w->type) {
#define UNPACK(type) case PACK_##type: unpack_slice_of(PACK_##type, w, panel, at, to); break;
        EACH_PACK_TYPE(UNPACK)
    default: break;
    }
}

/* sums[t] += the products of `tokens` rows over one slice. */
INLINE void multiply_units(pack_type type, int tokens, const slice_weights *w, int n_units, const tile_rows *rows,
                           float (*sums)[PANEL_ROWS]) {
    const quant_unit *x = rows->units;
    const fine_unit *fine = rows->fine;
    vf acc[TOKENS_MAX];
    UNROLL for (int t = 0; t < tokens; t++) acc[t] = f_load(sums[t]);
    for (int u = 0; u < n_units; u++, x += rows->step, fine += rows->step)
        add_units(type, tokens, &w->units[u], x, fine, acc);
    UNROLL for (int t = 0; t < tokens; t++) f_store(sums[t], acc[t]);
}

INLINE void multiply_columns(int tokens, const slice_weights *w, int n_units, const tile_rows *rows,
                             float (*sums)[PANEL_ROWS]) {
    vf acc[TOKENS_MAX];
    UNROLL for (int t = 0; t < tokens; t++) acc[t] = f_load(sums[t]);
    for (size_t k = 0; k < (size_t)n_units * UNIT_COLS; k++) {
        const vf column = f_load(w->columns[k]);
        UNROLL for (int t = 0; t < tokens; t++)
            acc[t] = f_fma(column, f_set1(rows->floats[t * GATHERED_COLS + k]), acc[t]);
    }
    UNROLL for (int t = 0; t < tokens; t++) f_store(sums[t], acc[t]);
}

typedef void multiply_kernel(const slice_weights *w, int n_units, const tile_rows *rows, float (*sums)[PANEL_ROWS]);

#define MULTIPLY(type, tokens)                                                                          \
    static void multiply_##type##_##tokens(const slice_weights *w, int n_units, const tile_rows *rows,  \
                                           float (*sums)[PANEL_ROWS]) {                                 \
        if (is_float_pack(PACK_##type)) multiply_columns(tokens, w, n_units, rows, sums);               \
        else multiply_units(PACK_##type, tokens, w, n_units, rows, sums);                               \
    }
#if TOKENS_MAX >= 16
#define MULTIPLIES(type) \
    MULTIPLY(type, 1) MULTIPLY(type, 2) MULTIPLY(type, 4) MULTIPLY(type, 8) MULTIPLY(type, 16)
#define MULTIPLY_ROW(type) \
    [PACK_##type] = {multiply_##type##_1, multiply_##type##_2, multiply_##type##_4, multiply_##type##_8, \
                     multiply_##type##_16},
#elif TOKENS_MAX >= 4
#define MULTIPLIES(type) MULTIPLY(type, 1) MULTIPLY(type, 2) MULTIPLY(type, 4)
#define MULTIPLY_ROW(type) [PACK_##type] = {multiply_##type##_1, multiply_##type##_2, multiply_##type##_4},
#else
#define MULTIPLIES(type) MULTIPLY(type, 1)
#define MULTIPLY_ROW(type) [PACK_##type] = {multiply_##type##_1},
#endif
EACH_PACK_TYPE(MULTIPLIES)

/* [type][log2(tokens)] */
static multiply_kernel *const MULTIPLY_KERNELS[PACK_COUNT][5] = {EACH_PACK_TYPE(MULTIPLY_ROW)};

/* One panel and up to 16 rows of one tile, which begin at the slice's first column. */
static void multiply_tile(pack_type type, tile_rows rows, int n_rows, int n_units, const slice_weights *weights,
                          float (*sums)[PANEL_ROWS]) {
    for (int t = 0; t < n_rows;) {
        const int log2 = log2_tokens(n_rows - t);
        MULTIPLY_KERNELS[type][log2](weights, n_units, &rows, sums + t);
        rows.floats += ((size_t)1 << log2) * rows.ld;
        rows.units += 1 << log2;
        rows.fine += 1 << log2;
        t += 1 << log2;
    }
}

/* Rows of floats come together first: at their distance in x, a power of two as often
 * as not, they would all fall into the same set of the L1 cache. */
typedef float gathered_rows[TILE_ROWS][GATHERED_COLS];

static tile_rows gather_rows(const linear_args *a, int row, int n_rows, const slice *at, gathered_rows *to) {
    for (int t = 0; t < n_rows; t++)
        memcpy((*to)[t], a->x + (size_t)(row + t) * a->ldx + at->unit * UNIT_COLS,
               sizeof(float) * (size_t)at->n_units * UNIT_COLS);
    tile_rows rows = {0};
    rows.floats = (*to)[0];
    rows.ld = GATHERED_COLS;
    return rows;
}

static tile_rows slice_rows(const linear_args *a, int row, const slice *at) {
    tile_rows rows = quantized_rows(a->prepared, (int)a->w.k, a->m, row);
    rows.units += (size_t)at->unit * rows.step;
    rows.fine += (size_t)at->unit * rows.step;
    return rows;
}

static void multiply_slice(const panel_block *block, const linear_args *a, const slice *at,
                           const slice_weights *weights, sum_tile (*sums)[BLOCK_PANELS]) {
    const int some_floats = is_float_pack(a->w.type) || (is_gated(a->form) && is_float_pack(a->w2.type));
    for (int tile = 0; tile * TILE_ROWS < at->n_rows; tile++) {
        const int row = at->first_row + tile * TILE_ROWS, rest = at->n_rows - tile * TILE_ROWS;
        const int n_rows = rest < TILE_ROWS ? rest : TILE_ROWS;
        gathered_rows gathered;
        const tile_rows units = slice_rows(a, row, at);
        const tile_rows floats = some_floats ? gather_rows(a, row, n_rows, at, &gathered) : units;
        for (int i = 0; i < block->n_panels; i++) {
            if (!block->w[i]) continue;
            const pack_type type = block->w[i]->type;
            if (at->unit == 0) memset(sums[tile][i], 0, sizeof(sum_tile));
            multiply_tile(type, is_float_pack(type) ? floats : units, n_rows, at->n_units, &weights[i], sums[tile][i]);
        }
    }
}

#endif
