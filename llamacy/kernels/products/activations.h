/* Rows of activations as products read them: in float32, or quantised in strips.
 *
 *   quantised   [strips][K/32][rows of the strip] quant_unit, then the same of fine_unit, then,
 *               at levels that have it, of fixed_unit
 *
 * A strip has up to STRIP_ROWS rows, so that one vector of weights meets all of them at
 * constant offsets.
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
    size_t step;             /* units from one unit of a row to its next: the rows of the strip */
    const float *floats;     /* [rows][ld] */
    size_t ld;
} activations;

/* Bytes of the units of m rows; their fine units follow, and after those their fixed units. */
INLINE size_t units_bytes(int k, int m) { return (size_t)m * (size_t)(k / UNIT_COLS) * sizeof(quant_unit); }
INLINE size_t fine_bytes(int k, int m) { return (size_t)m * (size_t)(k / UNIT_COLS) * sizeof(fine_unit); }

/* Quantised activations of m rows of k columns, from `row` on. */
INLINE activations quantized_rows(const void *prepared, int k, int m, int row) {
    const int strip = row / STRIP_ROWS * STRIP_ROWS;
    const size_t first = (size_t)strip * (size_t)(k / UNIT_COLS) + (size_t)(row - strip);
    activations at = {0};
    at.step = (size_t)(m - strip < STRIP_ROWS ? m - strip : STRIP_ROWS);
    at.units = (const quant_unit *)prepared + first;
    at.fine = (const fine_unit *)((const uint8_t *)prepared + units_bytes(k, m)) + first;
    at.fixed = (const fixed_unit *)((const uint8_t *)prepared + units_bytes(k, m) + fine_bytes(k, m)) + first;
    return at;
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
