/* Slices of many_rows.h multiplied on matrix registers, in bfloat16.
 *
 * Weights are unpacked to tiles. For each 32 rows of x, whose slice stays in the L1 cache,
 * and each 2 panels, 2 x 2 registers accumulate over the slice: 4 products for 4 loads.
 *
 *        panels 2j  2j+1
 *      +-----------------
 *   a0 |  c0      c1       Sums are float32 over all of K: no scale is applied after
 *   a1 |  c2      c3       the products.
 *
 * Activations come as bfloat16 tiles: [M/32][K/32][2][16 rows][32]. Two bfloat16
 * factors give a relative error of about 2^-9 a product: less than int8's.
 */
#ifndef LLAMACY_MANY_ROWS_TILES_H
#define LLAMACY_MANY_ROWS_TILES_H

#include "levels/tile.h"

enum { PAIR_ROWS = 32 }; /* of two tiles */

typedef uint8_t slice_weights[SLICE_UNITS][TILE_BYTES];

/* Whether many rows of activations are prepared as tiles for w. */
INLINE int reads_tiles(const packed_matrix *w) { return w->type != PACK_F32 && w->k % UNIT_COLS == 0; }

/* One of two matrices that reads tiles takes the other along, F32 or not. */
INLINE int wants_many(const linear_args *a) {
    return a->m >= TILES_MIN_ROWS && (reads_tiles(&a->w) || (is_gated(a->form) && reads_tiles(&a->w2)));
}

INLINE size_t tiles_bytes(int k, int m) {
    return (size_t)((m + PAIR_ROWS - 1) / PAIR_ROWS * PAIR_ROWS) * (size_t)k * 2;
}

/* The tile of rows row/16 at unit u. */
INLINE uint8_t *row_tile(const void *prepared, int k, int row, int u) {
    const size_t units = (size_t)k / UNIT_COLS;
    const size_t pair = (size_t)row / PAIR_ROWS, tile = (size_t)row % PAIR_ROWS / 16;
    return (uint8_t *)prepared + ((pair * units + (size_t)u) * 2 + tile) * TILE_BYTES;
}

/* One row of x into its tiles. */
static void round_row(const float *x, int k, void *prepared, int row) {
    for (int u = 0; u < k / UNIT_COLS; u++) {
        uint8_t *to = row_tile(prepared, k, row, u) + row % 16 * 64;
        vi rounded = b_join(f_load(x + u * UNIT_COLS), f_load(x + u * UNIT_COLS + 16));
        memcpy(to, &rounded, sizeof rounded);
    }
}

INLINE void put_pairs(uint8_t *to, vf x, vf y) {
    const vi pairs = b_pairs(x, y);
    memcpy(to, &pairs, sizeof pairs);
}

/* Scales may be so large that their product with the zero point overflows. */
INLINE int is_far(pack_type type) { return PACK_TRAITS[type].scales == SCALE_E8M0; }

/* The offset of group g: a weight is scale * code - offset. */
INLINE vf tile_offset(pack_type type, packed_unit unit, int g, vf scale) {
    return has_minimum(type) ? group_minimum(type, unit, g) : f_mul(f_set1((float)dot_zero(type)), scale);
}

/* A unit of a panel as a tile: row p has columns 2p and 2p + 1 of the 16 rows. */
INLINE void unpack_quant_tile(pack_type type, packed_unit unit, uint8_t *tile) {
    for (int c = 0; c < 8; c++) {
        const int g = PACK_TRAITS[type].groups == 1 ? 0 : c / 4;
        const vf scale = group_scale(type, unit, g);
        const vf zero = f_set1((float)dot_zero(type)), low = f_sub(f_zero(), tile_offset(type, unit, g, scale));
        const vi chunk = code_chunk(type, unit.codes, c);
        vf column[4];
        UNROLL for (int j = 0; j < 4; j++) {
            const vf code = f_from_i(t_byte(chunk, j));
            column[j] = is_far(type) ? f_mul(f_sub(code, zero), scale) : f_fma(code, scale, low);
        }
        put_pairs(tile + 128 * c, column[0], column[1]);
        put_pairs(tile + 128 * c + 64, column[2], column[3]);
    }
}

INLINE void unpack_float_tile(pack_type type, const uint8_t *codes, size_t u, uint8_t *tile) {
    for (int p = 0; p < 16; p++) {
        const size_t k = u * UNIT_COLS + 2 * (size_t)p;
        put_pairs(tile + 64 * p, float_column(type, codes, k), float_column(type, codes, k + 1));
    }
}

static void unpack_slice(const packed_matrix *w, int64_t panel, const slice *at, slice_weights *to) {
    switch (w->type) {
#define UNPACK(type)                                                                                             \
    case PACK_##type:                                                                                            \
        for (int i = 0; i < at->n_units; i++)                                                                    \
            if (is_float_pack(PACK_##type))                                                                      \
                unpack_float_tile(PACK_##type, panel_of(w, panel), (size_t)(at->unit + i), (*to)[i]);            \
            else                                                                                                 \
                unpack_quant_tile(PACK_##type, find_unit(PACK_##type, w, panel, (size_t)(at->unit + i)), (*to)[i]); \
        break;
        EACH_PACK_TYPE(UNPACK)
    default: break;
    }
}

/* 2 x 2 registers over one slice: tiles 2u and 2u + 1 of a are those of 32 rows, whose sums
 * with the two panels are `above` and `below`. */
INLINE void multiply_pairs(const uint8_t *a, const uint8_t *b0, const uint8_t *b1, int n_units, int is_first,
                           strip_sums *above, strip_sums *below) {
    if (is_first) {
        T_ZERO(0); T_ZERO(1); T_ZERO(2); T_ZERO(3);
    } else {
        T_LOAD(0, above[0], 64); T_LOAD(1, above[1], 64); T_LOAD(2, below[0], 64); T_LOAD(3, below[1], 64);
    }
    for (int u = 0; u < n_units; u++) {
        T_LOAD(6, b0 + u * TILE_BYTES, 64);
        T_LOAD(4, a + u * 2 * TILE_BYTES, 64);
        T_DOT(0, 4, 6);
        T_LOAD(7, b1 + u * TILE_BYTES, 64);
        T_DOT(1, 4, 7);
        T_LOAD(5, a + u * 2 * TILE_BYTES + TILE_BYTES, 64);
        T_DOT(2, 5, 6);
        T_DOT(3, 5, 7);
    }
    T_STORE(0, above[0], 64); T_STORE(1, above[1], 64); T_STORE(2, below[0], 64); T_STORE(3, below[1], 64);
}

static void multiply_slice(const panel_list *panels, const linear_args *a, const slice *at,
                           const slice_weights *weights, strip_sums (*sums)[MANY_PANELS]) {
    for (int row = 0; row < at->n_rows; row += PAIR_ROWS) {
        const uint8_t *x = row_tile(a->prepared, (int)a->w.k, at->first_row + row, at->unit);
        strip_sums *above = sums[row / STRIP_ROWS], *below = sums[row / STRIP_ROWS + 1];
        for (int j = 0; j < panels->n_panels; j += 2)
            multiply_pairs(x, weights[j][0], weights[j + 1][0], at->n_units, at->unit == 0, above + j, below + j);
    }
}

#endif
