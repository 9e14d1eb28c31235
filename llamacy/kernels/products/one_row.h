/* A single row, times runs of panels.
 *
 * Memory is the limit, and CPUs want it read in one of two ways: `ahead` of linear_args says which.
 *
 * 0: prefetchers of the CPU read panels longer than half of the L1 cache as fast as it can be done,
 * where they see one stream in ascending order. Three things kept them from it:
 *
 *   - A panel drives the row's units out of the L1 cache as it streams through. They come
 *     back from L2 for each panel, and are a second stream. So the row is copied, once for a
 *     run, and its units are scattered: unit u of n is at `stride` u modulo n.
 *   - Scales of a block lie after its codes, and are needed with the first of them: all waited.
 *     They are prefetched, some blocks ahead; codes are left to the CPU.
 *   - Second digits are looked for in their own units. Here a bit a unit says whether it has one.
 *
 * Otherwise two panels, half a run apart, are multiplied in turn (panel_pairs.h): prefetchers of the
 * CPU, which stop at the end of a page, then work on two at a time.
 *
 * The arithmetic is that of few_rows.h, in the same order: a row's result is the same, alone or
 * among others. llamacy/kernels/README.md, "A single row", says how fast memory is read
 * without and with all this.
 */
#ifndef LLAMACY_ONE_ROW_H
#define LLAMACY_ONE_ROW_H

#include "products/panel_pairs.h"

/* Panels of a matrix that a single row meets before it meets those of a second one: streams are long,
 * and a thread seldom takes more at a time. */
enum { RUN_PANELS = 32 };

/* A copied row. */
enum { SPREAD_UNITS = 1024 };
typedef struct {
    quant_unit units[SPREAD_UNITS];
    uint8_t has_fine[SPREAD_UNITS / BLOCK_UNITS]; /* bits of a block's units */
    const fine_unit *fine;                        /* in the row's own order */
    size_t stride;                                /* bytes */
} spread_row;

typedef struct {
    float sums[2][RUN_PANELS * PANEL_ROWS]; /* of both matrices of a gated product */
    spread_row row;
} run_scratch;

typedef void row_kernel(const packed_matrix *w, int64_t panel, const spread_row *row, float *out);

#if DOT_ROWS == 1 && ROWS_MAX > 1

/* Whether a row is copied for runs of such panels. */
INLINE int spreads_row(const packed_matrix *w) {
    enum { LONG_PANEL = 16 << 10 };
    return !is_float_pack(w->type) && w->panel >= LONG_PANEL && w->k / UNIT_COLS <= SPREAD_UNITS;
}

INLINE size_t stride_for(size_t n) {
    static const size_t primes[] = {7, 11, 13};
    for (size_t i = 0; i < sizeof primes / sizeof *primes; i++)
        if (n % primes[i]) return primes[i];
    return 1;
}

static void spread(const activations *x, size_t n, spread_row *to) {
    const size_t stride = stride_for(n);
    to->stride = stride * sizeof *to->units;
    to->fine = x->fine;
    for (size_t u = 0, at = 0; u < n; u++) {
        to->units[at] = x->units[u];
        at += stride;
        if (at >= n) at -= n;
    }
}

/* Notes which units have a second digit, for weights that read it. */
static void note_digits(pack_type type, size_t n, spread_row *row) {
    if (PACK_TRAITS[type].digits < 2) return;
    for (size_t first = 0; first < n; first += BLOCK_UNITS) {
        int bits = 0;
        for (size_t u = first; u < first + BLOCK_UNITS && u < n; u++)
            bits |= (row->fine[u].scale != 0) << (u - first);
        row->has_fine[first / BLOCK_UNITS] = (uint8_t)bits;
    }
}

/* Scales of the block that is BLOCKS_AHEAD after this one: by then memory has answered. */
INLINE void prefetch_scales(pack_type type, const uint8_t *block) {
    enum { BLOCKS_AHEAD = 3 };
    const size_t codes = BLOCK_UNITS * code_bytes(type), bytes = block_bytes(type, BLOCK_UNITS);
    UNROLL for (size_t i = codes; i < bytes; i += 64) PREFETCH(block + BLOCKS_AHEAD * bytes + i);
}

/* Unit u of a block. */
INLINE packed_unit unit_of_block(pack_type type, packed_unit block, size_t u) {
    block.codes += u * code_bytes(type);
    block.scales += u / (size_t)PACK_TRAITS[type].units * scale_bytes(type);
    return block;
}

/* acc += one unit of a panel times that of the row. */
INLINE void add_row_unit(pack_type type, packed_unit packed, const quant_unit *unit, int two_digits,
                         const fine_unit *fine, vf *acc) {
    unit_weights weights;
    unpack_unit(type, packed, &weights);
    if (two_digits) add_both_digits(type, 1, &weights, unit, fine, acc);
    else add_unit(type, 1, &weights, NULL, unit, acc);
}

INLINE void multiply_spread(pack_type type, const packed_matrix *w, int64_t panel, const spread_row *row, float *out) {
    const size_t units = (size_t)w->k / UNIT_COLS, end = units * sizeof *row->units;
    size_t at = 0;
    vf acc = f_zero();
    for (size_t first = 0; first < units; first += BLOCK_UNITS) {
        const size_t n = units - first < BLOCK_UNITS ? units - first : BLOCK_UNITS;
        const int two_digits = PACK_TRAITS[type].digits == 2 ? row->has_fine[first / BLOCK_UNITS] : 0;
        const packed_unit block = find_unit(type, w, panel, first);
        prefetch_scales(type, block.codes);
        for (size_t u = 0; u < n; u++) {
            const quant_unit *unit = (const quant_unit *)((const uint8_t *)row->units + at);
            add_row_unit(type, unit_of_block(type, block, u), unit, two_digits >> u & 1, row->fine + first + u, &acc);
            at += row->stride;
            if (at >= end) at -= end;
        }
    }
    f_store(out, acc);
}

#define ROW_KERNEL(type)                                                                               \
    static void row_##type(const packed_matrix *w, int64_t panel, const spread_row *row, float *out) { \
        multiply_spread(PACK_##type, w, panel, row, out);                                              \
    }
#define ROW_NAMED(type) [PACK_##type] = row_##type,
EACH_QUANT_TYPE(ROW_KERNEL)
static row_kernel *const ROW_KERNELS[PACK_COUNT] = {EACH_QUANT_TYPE(ROW_NAMED)};

#else

/* Not tried where chunks take several registers. */
INLINE int spreads_row(const packed_matrix *w) { (void)w; return 0; }

#endif

#ifdef READS_PAIRS

/* Panels of a run in pairs, half of them apart; returns how many that were. */
static int multiply_in_pairs(const packed_matrix *w, int64_t panel, int n_panels, const activations *x, size_t ahead,
                             float *out) {
    const int half = n_panels / 2;
    if (is_float_pack(w->type)) return 0;
    for (int i = 0; i < half; i++)
        PAIR_KERNELS[w->type][0](w, panel + i, panel + half + i, x, ahead, out + i * PANEL_ROWS,
                                 out + (half + i) * PANEL_ROWS);
    return 2 * half;
}

#endif

/* out[p][n] of panels panel .. panel + n_panels. */
static void multiply_panels(const packed_matrix *w, int64_t panel, int n_panels, const activations *x, size_t ahead,
                            spread_row *row, float *out) {
    int first = 0;
    (void)row, (void)ahead;
#ifdef READS_PAIRS
    if (ahead) first = multiply_in_pairs(w, panel, n_panels, x, ahead, out);
#endif
#if DOT_ROWS == 1 && ROWS_MAX > 1
    if (!ahead && spreads_row(w)) {
        const size_t units = (size_t)w->k / UNIT_COLS;
        spread(x, units, row);
        note_digits(w->type, units, row);
        for (int i = 0; i < n_panels; i++) ROW_KERNELS[w->type](w, panel + i, row, out + i * PANEL_ROWS);
        return;
    }
#endif
    for (int i = first; i < n_panels; i++) FEW_KERNELS[w->type][0](w, panel + i, x, out + i * PANEL_ROWS);
}

#endif
