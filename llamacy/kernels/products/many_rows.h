/* Many rows: weights are unpacked once for all of them.
 *
 *   out[m][n] = sum over k of x[m][k] * w[n][k]
 *
 * One thread takes up to MANY_PANELS panels of w (16 outputs each) and up to MANY_ROWS rows
 * of x, and goes through K in slices of SLICE_UNITS units, and in each through its panels,
 * SLICE_PANELS at a time:
 *
 *   1. the slice of these panels is unpacked, into scratch that stays in a cache;
 *   2. each strip of rows meets each of them.
 *
 *                 panel 0   panel 1  ...
 *               +---------+---------+--
 *   rows  0-15  | 16 x 16 |         |      The sums are float32 and stay in scratch, 1 KiB a
 *               +---------+---------+--    strip and panel, until the last slice is done.
 *   rows 16-31  |         |         |
 *               +---------+---------+--
 *
 * The level decides how a slice is unpacked and multiplied: many_rows_dots.h by the dot
 * products of few_rows.h, many_rows_tiles.h on matrix registers. Each defines SLICE_PANELS,
 * many_scratch, wants_many() and multiply_many().
 */
#ifndef LLAMACY_MANY_ROWS_H
#define LLAMACY_MANY_ROWS_H

#include "products/few_rows.h"

/* The panels one thread works on; unused ones have w = NULL. */
enum { PANELS_MAX = 32 };
typedef struct {
    const packed_matrix *w[PANELS_MAX];
    int64_t panel[PANELS_MAX];
    int n_panels; /* even */
} panel_list;

/* Units unit .. unit + n_units of K, rows first_row .. first_row + n_rows of x, and panels of a list
 * from first_panel on: SLICE_PANELS, or those that are left. */
typedef struct { int unit, n_units, first_row, n_rows, first_panel; } slice;

/* Sums of one strip and one panel: [row][output]. */
typedef float strip_sums[STRIP_ROWS][PANEL_ROWS];

#ifdef HAS_TILES
#include "products/many_rows_tiles.h"
#else
#include "products/many_rows_dots.h"
#endif

#endif
