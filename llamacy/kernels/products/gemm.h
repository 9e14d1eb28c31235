/* Matrix products of many rows: weights are unpacked once for all of them.
 *
 *   out[m][n] = sum over k of x[m][k] * w[n][k]
 *
 * One thread takes a block of up to BLOCK_PANELS panels of w (16 outputs each) and of up
 * to BLOCK_ROWS rows of x, and goes through K in slices of SLICE_UNITS units:
 *
 *   1. the slice of its panels is unpacked, into scratch that stays in L2;
 *   2. each tile of rows, whose slice stays in L1, meets each panel.
 *
 *                 panel 0   panel 1  ...
 *               +---------+---------+--
 *   rows  0-15  | 16 x 16 |         |      The sums are float32 and stay in scratch, as
 *               +---------+---------+--    tiles of 1 KiB, until the last slice is done.
 *   rows 16-31  |         |         |
 *               +---------+---------+--
 *
 * How a slice is unpacked and multiplied depends on the level: gemm_dots.h with the dot
 * products of tile.h, gemm_tiles.h on matrix tiles. Each defines the three sizes above,
 * slice_weights, gemm_wants(), unpack_slice() and multiply_slice().
 */
#ifndef LLAMACY_GEMM_H
#define LLAMACY_GEMM_H

#include "products/tile.h"

/* The panels one thread works on; unused ones have w = NULL. */
enum { BLOCK_PANELS_MAX = 16 };
typedef struct {
    const packed_matrix *w[BLOCK_PANELS_MAX];
    int64_t panel[BLOCK_PANELS_MAX];
    int n_panels; /* even */
} panel_block;

/* Units unit .. unit + n_units of K, and rows first_row .. first_row + n_rows of x. */
typedef struct { int unit, n_units, first_row, n_rows; } slice;

/* Sums of one panel and 16 rows: [row][output]. */
typedef float sum_tile[TILE_ROWS][PANEL_ROWS];

#ifdef HAS_TILES
#include "products/gemm_tiles.h"
#else
#include "products/gemm_dots.h"
#endif

typedef struct {
    slice_weights weights[BLOCK_PANELS];
    sum_tile sums[BLOCK_ROWS / TILE_ROWS][BLOCK_PANELS];
} gemm_scratch;

/* s->sums = products of n_rows rows of the activations, from first_row on, with the panels. */
static void gemm_block(const panel_block *block, const linear_args *a, int first_row, int n_rows, gemm_scratch *s) {
    const int units = (int)(a->w.k / UNIT_COLS);
    for (int unit = 0; unit < units; unit += SLICE_UNITS) {
        const slice at = {unit, units - unit < SLICE_UNITS ? units - unit : SLICE_UNITS, first_row, n_rows};
        for (int i = 0; i < block->n_panels; i++)
            if (block->w[i]) unpack_slice(block->w[i], block->panel[i], &at, &s->weights[i]);
        multiply_slice(block, a, &at, s->weights, s->sums);
    }
}

#endif
