/* Rows of activations as products read them: in float32, or quantised in strips.
 *
 *   quantised   [strips][K/32][rows of the strip] quant_unit, then the same of fine_unit, then,
 *               at levels that have it, of fixed_unit
 *
 * A strip has up to STRIP_ROWS rows, so that one vector of weights meets all of them at
 * constant offsets. One that is nearly full has room for all of them: its rows and some zeros
 * go through one microkernel, where they would go through three or four by themselves.
 */
#ifndef LLAMACY_ACTIVATIONS_H
#define LLAMACY_ACTIVATIONS_H

#include "products/digits.h"
#include "products/fixed.h"

/* Rows from one of a strip on; of these forms, a product reads the one that its weights want. */
typedef struct {
    const quant_unit *units; /* [K/32][step] */
    const fine_unit *fine;   /* [K/32][step] */
    const fixed_unit *fixed; /* [K/32][step] */
    size_t step;             /* units from one unit of a row to its next: the rows that the strip has room for */
    const float *floats;     /* [rows][ld] */
    size_t ld;
} activations;

/* Rows of a strip from which it has room for all, where a microkernel takes as many. */
enum { NEARLY_FULL = 13 };

/* Rows that the strips of n rows have room for. */
INLINE int rows_with_room(int n) {
    const int last = n % STRIP_ROWS;
    return ROWS_MAX == STRIP_ROWS && last >= NEARLY_FULL ? n - last + STRIP_ROWS : n;
}

/* Bytes of the units of m rows; their fine units follow, and after those their fixed units. */
INLINE size_t count_units(int k, int m) { return (size_t)rows_with_room(m) * (size_t)(k / UNIT_COLS); }
INLINE size_t units_bytes(int k, int m) { return count_units(k, m) * sizeof(quant_unit); }
INLINE size_t fine_bytes(int k, int m) { return count_units(k, m) * sizeof(fine_unit); }
INLINE size_t fixed_bytes(int k, int m) { return count_units(k, m) * FIXED_UNIT_BYTES; }

/* Quantised activations of m rows of k columns, from `row` on. */
INLINE activations quantized_rows(const void *prepared, int k, int m, int row) {
    const int strip = row / STRIP_ROWS * STRIP_ROWS;
    const size_t first = (size_t)strip * (size_t)(k / UNIT_COLS) + (size_t)(row - strip);
    activations at = {0};
    at.step = (size_t)rows_with_room(m - strip < STRIP_ROWS ? m - strip : STRIP_ROWS);
    at.units = (const quant_unit *)prepared + first;
    at.fine = (const fine_unit *)((const uint8_t *)prepared + units_bytes(k, m)) + first;
    at.fixed = (const fixed_unit *)((const uint8_t *)prepared + units_bytes(k, m) + fine_bytes(k, m)) + first;
    return at;
}

/* Zeros for the rows that strips have room for beyond the m that there are. */
static void clear_room(void *prepared, int k, int m) {
    for (int row = m; row < rows_with_room(m); row++) {
        const activations at = quantized_rows(prepared, k, m, row);
        for (size_t u = 0; u < (size_t)(k / UNIT_COLS); u++) {
            memset((quant_unit *)at.units + u * at.step, 0, sizeof *at.units);
            memset((fine_unit *)at.fine + u * at.step, 0, sizeof *at.fine);
            memset((fixed_unit *)at.fixed + u * at.step, 0, FIXED_UNIT_BYTES);
        }
    }
}

/* Activations of a product from `row` on, in the form that w reads. */
INLINE activations rows_for(const packed_matrix *w, const linear_args *a, int row) {
    if (!reads_floats(w)) return quantized_rows(a->prepared, (int)w->k, a->m, row);
    activations at = {0};
    at.floats = a->x + (size_t)row * a->ldx;
    at.ld = a->ldx;
    return at;
}

/* Whether all weights of a product are quantised. */
INLINE int all_quantized(const linear_args *a) {
    return !is_float_pack(a->w.type) && !(is_gated(a->form) && is_float_pack(a->w2.type));
}

/* Rows, in whole strips, whose quantised activations stay in the L2 cache while panels pass by. */
INLINE int resident_rows(int k) {
    const size_t row = (size_t)(k / UNIT_COLS) * (sizeof(quant_unit) + sizeof(fine_unit));
    const int strips = (int)(RESIDENT_BYTES / (row * STRIP_ROWS + 1));
    return (strips > 1 ? strips : 1) * STRIP_ROWS;
}

#endif
