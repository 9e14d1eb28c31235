/* Matrix products on AMX tiles, for many rows: w is unpacked to bfloat16 on the way.
 *
 *   out[m][n] = sum over k of x[m][k] * w[n][k]
 *
 * One thread takes up to BLOCK_PANELS panels of w (256 outputs) and goes through K in
 * slices of SLICE_UNITS units (512 columns):
 *
 *   1. the slice of its panels is unpacked to tiles, 256 KiB, which stay in L2;
 *   2. for each 32 rows of x, whose slice of 32 KiB stays in L1, and each 2 panels,
 *      a 2 x 2 block of tiles accumulates over the slice: 4 products for 4 loads.
 *
 *        panels 2j  2j+1
 *      +-----------------     Accumulators are kept as 1 KiB tiles between slices,
 *   a0 |  c0      c1          float32 over all of K: no scale is applied after
 *   a1 |  c2      c3          the products.
 *
 * Activations come as bfloat16 tiles: [M/32][K/32][2][16 rows][32]. Two bfloat16
 * factors give a relative error of about 2^-9 a product: less than int8's.
 */
#ifndef LLAMACY_TILE_GEMM_H
#define LLAMACY_TILE_GEMM_H

#include "interface.h"
#include "unpack.h"

enum {
    BLOCK_PANELS = 16,
    SLICE_UNITS = 16,
    BLOCK_ROWS = 512,   /* rows of x whose accumulators are held at a time */
    PAIR_ROWS = 32,     /* two tiles of rows */
    TILE_BYTES = 1024,
    /* Below this the int8 kernels are faster: unpacking costs as much as a product. */
    TILES_MIN_ROWS = 32,
};

typedef struct {
    uint8_t weights[BLOCK_PANELS][SLICE_UNITS][TILE_BYTES];
    float sums[BLOCK_ROWS / PAIR_ROWS][BLOCK_PANELS / 2][4][16][16];
} gemm_scratch;

/* The panels one thread works on; unused ones have w = NULL. */
typedef struct {
    const packed_matrix *w[BLOCK_PANELS];
    int64_t panel[BLOCK_PANELS];
    int n_panels; /* even */
} panel_block;

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

/* Unit u of a panel as a tile: row p has columns 2p and 2p + 1 of the 16 rows. */
INLINE void unpack_quant_tile(pack_type type, planes p, size_t u, uint8_t *tile) {
    const uint8_t *codes = p.codes + u * code_bytes(type);
    const vi byte = _mm512_set1_epi32(0xFF);
    for (int c = 0; c < 8; c++) {
        const int g = PACK_TRAITS[type].groups == 1 ? 0 : c / 4;
        const vf scale = group_scale(type, p, u, g);
        const vf low = f_sub(f_zero(), group_offset(type, p, u, g, scale));
        const vi chunk = code_chunk(type, codes, c);
        vf column[4];
        UNROLL for (int j = 0; j < 4; j++)
            column[j] = f_fma(f_from_i(_mm512_and_si512(_mm512_srli_epi32(chunk, 8 * j), byte)), scale, low);
        _mm512_store_si512(tile + 128 * c, b_pairs(column[0], column[1]));
        _mm512_store_si512(tile + 128 * c + 64, b_pairs(column[2], column[3]));
    }
}

INLINE void unpack_float_tile(pack_type type, const uint8_t *codes, size_t u, uint8_t *tile) {
    for (int p = 0; p < 16; p++) {
        const size_t k = u * UNIT_COLS + 2 * (size_t)p;
        _mm512_store_si512(tile + 64 * p, b_pairs(float_column(type, codes, k), float_column(type, codes, k + 1)));
    }
}

static void unpack_tiles(const packed_matrix *w, int64_t panel, size_t unit, int n_units,
                         uint8_t (*tiles)[TILE_BYTES]) {
    switch (w->type) {
#define UNPACK(type)                                                                                           \
    case PACK_##type:                                                                                          \
        for (int i = 0; i < n_units; i++)                                                                      \
            if (PACK_TRAITS[PACK_##type].scales == SCALE_NONE)                                                 \
                unpack_float_tile(PACK_##type, w->data + (size_t)panel * w->panel, unit + (size_t)i, tiles[i]); \
            else                                                                                               \
                unpack_quant_tile(PACK_##type, panel_planes(w, panel, PACK_##type), unit + (size_t)i, tiles[i]); \
        break;
        EACH_PACK_TYPE(UNPACK)
    default: break;
    }
}

/* One 2 x 2 block of tiles over one slice: a[u] and a[u] + 1 KiB are two tiles of rows. */
INLINE void tile_block(const uint8_t *a, const uint8_t *b0, const uint8_t *b1, int n_units, int is_first,
                       float (*sums)[16][16]) {
    if (is_first) {
        T_ZERO(0); T_ZERO(1); T_ZERO(2); T_ZERO(3);
    } else {
        T_LOAD(0, sums[0]); T_LOAD(1, sums[1]); T_LOAD(2, sums[2]); T_LOAD(3, sums[3]);
    }
    for (int u = 0; u < n_units; u++) {
        T_LOAD(6, b0 + u * TILE_BYTES);
        T_LOAD(4, a + u * 2 * TILE_BYTES);
        T_DOT(0, 4, 6);
        T_LOAD(7, b1 + u * TILE_BYTES);
        T_DOT(1, 4, 7);
        T_LOAD(5, a + u * 2 * TILE_BYTES + TILE_BYTES);
        T_DOT(2, 5, 6);
        T_DOT(3, 5, 7);
    }
    T_STORE(0, sums[0]); T_STORE(1, sums[1]); T_STORE(2, sums[2]); T_STORE(3, sums[3]);
}

/* sums[pair][j][2 * (row tile) + (panel % 2)] = products of n_rows rows, from first_row on,
 * with the block's panels. */
static void gemm_block(const panel_block *block, const void *prepared, int k, int first_row, int n_rows,
                       gemm_scratch *s) {
    const int units = k / UNIT_COLS;
    for (int unit = 0; unit < units; unit += SLICE_UNITS) {
        const int n_units = units - unit < SLICE_UNITS ? units - unit : SLICE_UNITS;
        for (int i = 0; i < block->n_panels; i++)
            if (block->w[i]) unpack_tiles(block->w[i], block->panel[i], (size_t)unit, n_units, s->weights[i]);
        for (int row = 0; row < n_rows; row += PAIR_ROWS) {
            const uint8_t *a = row_tile(prepared, k, first_row + row, unit);
            for (int j = 0; j < block->n_panels / 2; j++)
                tile_block(a, s->weights[2 * j][0], s->weights[2 * j + 1][0], n_units, unit == 0,
                           s->sums[row / PAIR_ROWS][j]);
        }
    }
}

#endif
