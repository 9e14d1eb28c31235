/* Few rows times two panels in turn: for CPUs that read two streams faster than one.
 *
 * `ahead` of linear_args says so, and how far ahead both are prefetched. Up to 4 rows go through units
 * in turn, and the sums of both panels stay in registers. Of 8 rows those of one do, with the codes of
 * a unit: they go through blocks in turn.
 *
 * The arithmetic is that of few_rows.h, in the same order: a row's result does not depend on how its
 * weights are read.
 */
#ifndef LLAMACY_PANEL_PAIRS_H
#define LLAMACY_PANEL_PAIRS_H

#include "products/few_rows.h"

/* Sums of two panels of either matrix of a gated product: [matrix][panel][rows][PANEL_ROWS]. */
typedef struct { float sums[2][2][STRIP_ROWS * PANEL_ROWS]; } pair_scratch;

/* out: [rows][PANEL_ROWS], of one panel, and of the other */
typedef void pair_kernel(const packed_matrix *w, int64_t panel, int64_t other, const activations *x, size_t ahead,
                         float *out, float *other_out);

#if ROWS_MAX > 1 && !defined(SUMS_BLOCKS)
#define READS_PAIRS

/* Units of a panel that are multiplied before the other panel's. */
INLINE size_t units_in_turn(int rows) { return rows <= 4 ? 1 : BLOCK_UNITS; }

/* acc[t] += units first .. end of a panel times row t of x. Both streams are prefetched, in turn: they are swapped. */
INLINE void add_turn(pack_type type, int rows, const packed_matrix *w, int64_t panel, size_t first, size_t end,
                     const activations *x, const uint8_t **streams, vf *acc) {
    const size_t share = block_bytes(type, BLOCK_UNITS) / BLOCK_UNITS;
    const quant_unit *unit = x->units + first * x->step;
    const fine_unit *fine = x->fine + first * x->step;
    for (size_t u = first; u < end; u++, unit += x->step, fine += x->step) {
        const uint8_t *stream = streams[0];
        prefetch_bytes(stream, share);
        streams[0] = streams[1];
        streams[1] = stream + share;
        add_packed_units(type, rows, find_unit(type, w, panel, u), unit, fine, acc);
    }
}

/* out[p][t][n] of two panels. */
INLINE void multiply_quant_pair(pack_type type, int rows, const packed_matrix *w, const int64_t *panels,
                                const activations *x, size_t ahead, float *const *out) {
    const size_t units = (size_t)w->k / UNIT_COLS, turn = units_in_turn(rows);
    const uint8_t *streams[2] = {panel_of(w, panels[0]) + ahead, panel_of(w, panels[1]) + ahead};
    vf acc[2][STRIP_ROWS];
    UNROLL for (int p = 0; p < 2; p++)
        UNROLL for (int t = 0; t < rows; t++) acc[p][t] = f_zero();
    for (size_t first = 0; first < units; first += turn) {
        const size_t end = units - first < turn ? units : first + turn;
        UNROLL for (int p = 0; p < 2; p++) add_turn(type, rows, w, panels[p], first, end, x, streams, acc[p]);
    }
    UNROLL for (int p = 0; p < 2; p++)
        UNROLL for (int t = 0; t < rows; t++) f_store(out[p] + t * PANEL_ROWS, acc[p][t]);
}

#define PAIR(type, rows)                                                                                          \
    static void pair_##type##_##rows(const packed_matrix *w, int64_t panel, int64_t other, const activations *x, \
                                     size_t ahead, float *out, float *other_out) {                                \
        const int64_t panels[2] = {panel, other};                                                                 \
        float *const outs[2] = {out, other_out};                                                                  \
        multiply_quant_pair(PACK_##type, rows, w, panels, x, ahead, outs);                                        \
    }
#if DOT_ROWS == 1
enum { PAIR_ROWS = NEARLY_FULL - 1 }; /* rows of a product at most: more wait for arithmetic, not for memory */
#define PAIRS(type) PAIR(type, 1) PAIR(type, 2) PAIR(type, 4) PAIR(type, 8)
#define PAIR_ROW(type) [PACK_##type] = {pair_##type##_1, pair_##type##_2, pair_##type##_4, pair_##type##_8},
#else
enum { PAIR_ROWS = 2 }; /* chunks take several registers, and arithmetic longer */
#define PAIRS(type) PAIR(type, 1) PAIR(type, 2)
#define PAIR_ROW(type) [PACK_##type] = {pair_##type##_1, pair_##type##_2},
#endif
EACH_QUANT_TYPE(PAIRS)

/* [type][log2(rows)] */
static pair_kernel *const PAIR_KERNELS[PACK_COUNT][4] = {EACH_QUANT_TYPE(PAIR_ROW)};

/* Whether a product of few rows is multiplied so. */
INLINE int reads_pairs(const linear_args *a) { return a->ahead && a->m <= PAIR_ROWS && all_quantized(a); }

/* Two panels of `w` times all rows: out and other_out are [m][16]. */
static void multiply_pair(const packed_matrix *w, int64_t panel, int64_t other, const linear_args *a, float *out,
                          float *other_out) {
    for (int t = 0, log2; t < a->m; t += 1 << log2) {
        const activations x = rows_for(w, a, t);
        log2 = log2_rows(a->m - t);
        PAIR_KERNELS[w->type][log2](w, panel, other, &x, a->ahead, out + t * PANEL_ROWS, other_out + t * PANEL_ROWS);
    }
}

#else

/* Plain C waits for arithmetic, and on ARM, whose levels sum blocks up, nothing has been measured. */
INLINE int reads_pairs(const linear_args *a) { (void)a; return 0; }
INLINE void multiply_pair(const packed_matrix *w, int64_t panel, int64_t other, const linear_args *a, float *out,
                          float *other_out) {
    (void)w, (void)panel, (void)other, (void)a, (void)out, (void)other_out;
}

#endif

#endif
