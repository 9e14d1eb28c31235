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
    GEMM_MIN_ROWS = 2 * TOKENS_MAX, /* with fewer, what is unpacked is hardly used again */
};

typedef union {
    unit_weights units[SLICE_UNITS];
    float columns[SLICE_COLS][PANEL_ROWS];
} slice_weights;

INLINE int gemm_wants(const linear_args *a) { return a->m >= GEMM_MIN_ROWS && a->w.k % UNIT_COLS == 0; }

INLINE void unpack_slice_of(pack_type type, const packed_matrix *w, int64_t panel, const slice *at,
                            slice_weights *to) {
    if (is_float_pack(type)) {
        const uint8_t *codes = w->data + (size_t)panel * w->panel;
        for (size_t k = 0; k < (size_t)at->n_units * UNIT_COLS; k++)
            f_store(to->columns[k], float_column(type, codes, (size_t)at->unit * UNIT_COLS + k));
        return;
    }
    const planes p = panel_planes(w, panel, type);
    for (int i = 0; i < at->n_units; i++) unpack_unit(type, p, (size_t)(at->unit + i), &to->units[i]);
}

static void unpack_slice(const packed_matrix *w, int64_t panel, const slice *at, slice_weights *to) {
    switch (w->type) {
#define UNPACK(type) case PACK_##type: unpack_slice_of(PACK_##type, w, panel, at, to); break;
        EACH_PACK_TYPE(UNPACK)
    default: break;
    }
}

/* sums[t] += the products of `tokens` rows over one slice; rows begin at its first column. */
INLINE void multiply(pack_type type, int tokens, const slice_weights *w, int n_units, const tile_rows *rows,
                     float (*sums)[PANEL_ROWS]) {
    vf acc[TOKENS_MAX];
    UNROLL for (int t = 0; t < tokens; t++) acc[t] = f_load(sums[t]);
    if (is_float_pack(type)) {
        for (int k = 0; k < n_units * UNIT_COLS; k++) {
            const vf column = f_load(w->columns[k]);
            UNROLL for (int t = 0; t < tokens; t++)
                acc[t] = f_fma(column, f_set1(rows->floats[(size_t)t * rows->ld + (size_t)k]), acc[t]);
        }
    } else {
        const quant_unit *x = rows->units;
        const fine_unit *fine = rows->fine;
        for (int u = 0; u < n_units; u++, x += rows->step, fine += rows->step)
            add_unit(type, tokens, &w->units[u], x, fine, acc);
    }
    UNROLL for (int t = 0; t < tokens; t++) f_store(sums[t], acc[t]);
}

typedef void multiply_kernel(const slice_weights *w, int n_units, const tile_rows *rows, float (*sums)[PANEL_ROWS]);

#define MULTIPLY(type, tokens)                                                                        \
    static void multiply_##type##_##tokens(const slice_weights *w, int n_units, const tile_rows *rows, \
                                           float (*sums)[PANEL_ROWS]) {                               \
        multiply(PACK_##type, tokens, w, n_units, rows, sums);                                        \
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

/* One panel and up to 16 rows of one tile, from `row` on. */
static void multiply_tile(const packed_matrix *w, const linear_args *a, const slice *at, int row, int n_rows,
                          const slice_weights *weights, float (*sums)[PANEL_ROWS]) {
    tile_rows rows = rows_for(w, a, row);
    if (is_float_pack(w->type)) {
        rows.floats += at->unit * UNIT_COLS;
    } else {
        rows.units += (size_t)at->unit * rows.step;
        rows.fine += (size_t)at->unit * rows.step;
    }
    for (int t = 0; t < n_rows;) {
        const int log2 = log2_tokens(n_rows - t);
        MULTIPLY_KERNELS[w->type][log2](weights, at->n_units, &rows, sums + t);
        rows.floats += ((size_t)1 << log2) * rows.ld;
        rows.units += 1 << log2;
        rows.fine += 1 << log2;
        t += 1 << log2;
    }
}

static void multiply_slice(const panel_block *block, const linear_args *a, const slice *at,
                           const slice_weights *weights, sum_tile (*sums)[BLOCK_PANELS]) {
    for (int row = 0; row < at->n_rows; row += TILE_ROWS) {
        const int n_rows = at->n_rows - row < TILE_ROWS ? at->n_rows - row : TILE_ROWS;
        for (int i = 0; i < block->n_panels; i++) {
            float(*tile)[PANEL_ROWS] = sums[row / TILE_ROWS][i];
            if (at->unit == 0) memset(tile, 0, sizeof(sum_tile));
            if (block->w[i]) multiply_tile(block->w[i], a, at, at->first_row + row, n_rows, &weights[i], tile);
        }
    }
}

#endif
