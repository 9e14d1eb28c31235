/* Few rows, or some, of quantised weights on matrix registers: the sums of few_rows.h, to the bit.
 *
 * A unit's 8 chunks are one operand of a product of int8 tiles as they are, and the same unit of 16
 * rows of activations is the other, as prepared. One instruction makes the 16 x 16 sums that take
 * 128 dot products of few_rows.h. Sums are exact, and what is done to them in float32 is the same,
 * in the same order: a row's result does not depend on which of the two computes it.
 *
 *      codes of a unit            sums                   float32
 *      +--------------+
 *      | 8 x 64 bytes |
 *      +--------------+
 *   x  | 16 x 16 int32 of a strip -> ring in memory -> scaled, added up
 *
 * A block of a panel is unpacked once for all strips. Products of a strip go through four registers,
 * and their sums through a ring in memory, so that a product, the way to memory and the scaling of
 * earlier sums run side by side.
 *
 * Two things are as they are because of the CPU (Intel, Granite Rapids class):
 *
 *   - Beside instructions on tiles, multiplications of 512 bits, and conversions, take one of two
 *     ports; additions take both. So sums start at SUM_START, whose bits are a float: what is
 *     added to them is added to that float, and a subtraction takes the place of a conversion.
 *   - A register is loaded with SUM_START, not zeroed and then added to: products into zeroed
 *     registers wait for one another.
 *
 * Types with two groups make two products of a unit, each with the other group's codes zero; those
 * whose activations have two digits make one of each.
 */
#ifndef LLAMACY_FEW_ROWS_TILES_H
#define LLAMACY_FEW_ROWS_TILES_H

#include "products/many_rows.h"

#ifdef HAS_TILES

/* The least float of which a unit is the last bit, and half as much, so that sums have either sign: below 2^22,
 * as 32 products of int8 are. */
#define SUM_START 0x1.8p23f
enum { SUM_START_BITS = 0x4B400000 };

/* Chunks of a block's units: 8, or 4 of either group with 4 of zeros between them. */
enum { TILE_CHUNKS = 12 };
typedef struct {
    vi chunks[BLOCK_UNITS][TILE_CHUNKS];
    vf scale[BLOCK_UNITS][2], minimum[BLOCK_UNITS][2];
} block_tiles;

/* Sums of the last products. */
enum { RING = 4 };
typedef vi sums_ring[RING][STRIP_ROWS];

typedef struct {
    block_tiles block;
    sums_ring ring;
    strip_sums sums[2][(TILES_MIN_ROWS + STRIP_ROWS - 1) / STRIP_ROWS]; /* of both matrices of a gated product */
} tiles_scratch;

/* A chunk of codes, less their zero: signed bytes. */
INLINE vi signed_chunk(pack_type type, const uint8_t *codes, int c) {
    static const int8_t tables[LOOKUP_COUNT][16] = {LOOKUP_TABLES(0, 0, 0, 0, 0, 0)};
    const int lookup = PACK_TRAITS[type].lookup, zero = PACK_TRAITS[type].zero;
    const vi chunk = packed_chunk(PACK_TRAITS[type].bits, codes, c);
    if (lookup) return i_lut(chunk, tables[lookup - 1]);
    return zero ? t_less(chunk, zero) : chunk;
}

INLINE void unpack_unit_tiles(pack_type type, packed_unit packed, int u, block_tiles *to) {
    const int groups = PACK_TRAITS[type].groups;
    UNROLL for (int c = 0; c < 8; c++)
        to->chunks[u][groups == 2 && c >= 4 ? c + 4 : c] = signed_chunk(type, packed.codes, c);
    UNROLL for (int g = 0; g < groups; g++) {
        to->scale[u][g] = group_scale(type, packed, g);
        if (has_minimum(type)) to->minimum[u][g] = group_minimum(type, packed, g);
    }
    if (groups == 2) UNROLL for (int c = 4; c < 8; c++) to->chunks[u][c] = i_zero();
}

/* The n units of a panel from `first` on, the first of a block. */
INLINE void unpack_block_tiles(pack_type type, const packed_matrix *w, int64_t panel, size_t first, int n,
                               block_tiles *to) {
    const size_t share = block_bytes(type, BLOCK_UNITS) / BLOCK_UNITS, shared = (size_t)PACK_TRAITS[type].units;
    const packed_unit block = find_unit(type, w, panel, first);
    const uint8_t *stream = block.codes;
    for (int u = 0; u < n; u++, stream += share) {
        const packed_unit packed = {block.codes + (size_t)u * code_bytes(type),
                                    block.scales + (size_t)u / shared * scale_bytes(type), block.supers};
        prefetch_ahead(stream, share);
        unpack_unit_tiles(type, packed, u, to);
    }
}

typedef void unpack_kernel(const packed_matrix *w, int64_t panel, size_t first, int n, block_tiles *to);
#define UNPACK_KERNEL(type)                                                                                  \
    static void unpack_tiles_##type(const packed_matrix *w, int64_t panel, size_t first, int n, block_tiles *to) { \
        unpack_block_tiles(PACK_##type, w, panel, first, n, to);                                             \
    }
#define NAME_UNPACK(type) [PACK_##type] = unpack_tiles_##type,
EACH_QUANT_TYPE(UNPACK_KERNEL)
static unpack_kernel *const UNPACK_KERNELS[PACK_COUNT] = {EACH_QUANT_TYPE(NAME_UNPACK)};

/* The sums of a unit: one; one, and a minimum; one of each group; those, and minima; one of each digit. */
typedef enum { FORM_PLAIN, FORM_MINIMUM, FORM_GROUPS, FORM_GROUPS_MINIMA, FORM_DIGITS, FORM_COUNT } unit_form;

INLINE unit_form form_of(pack_type type) {
    if (PACK_TRAITS[type].digits == 2) return FORM_DIGITS;
    if (PACK_TRAITS[type].groups == 2) return has_minimum(type) ? FORM_GROUPS_MINIMA : FORM_GROUPS;
    return has_minimum(type) ? FORM_MINIMUM : FORM_PLAIN;
}
INLINE int products_of_unit(unit_form form) { return form == FORM_PLAIN || form == FORM_MINIMUM ? 1 : 2; }

/* A row's sum as a float. */
INLINE vf sum_of(const vi *sums, int t) { return f_sub(f_load((const float *)(sums + t)), f_set1(SUM_START)); }

/* acc[t] += a unit's sums, scaled, as add_group(), add_two_groups() and add_both_digits() do it. */
INLINE void add_sums(unit_form form, int rows, const block_tiles *w, int u, const vi *first, const vi *second,
                     const quant_unit *x, vf *acc) {
    UNROLL for (int t = 0; t < rows; t++) {
        vf sum = sum_of(first, t);
        if (form == FORM_GROUPS || form == FORM_GROUPS_MINIMA) {
            sum = f_mul(sum, w->scale[u][0]);
            if (form == FORM_GROUPS_MINIMA)
                sum = f_fma(w->minimum[u][0], f_from_i(i_start(&x[t].minus[1], 0)), sum);
            sum = f_fma(sum_of(second, t), w->scale[u][1], sum);
            if (form == FORM_GROUPS_MINIMA)
                sum = f_fma(w->minimum[u][1], f_from_i(i_start(&x[t].minus[2], 0)), sum);
            acc[t] = f_fma(sum, f_set1(x[t].scale), acc[t]);
            continue;
        }
        /* digits: the same bits as those of a sum 2^FINE_BITS as large, and a scale as much smaller */
        if (form == FORM_DIGITS) sum = f_fma(sum_of(second, t), f_set1(1.0f / (1 << FINE_BITS)), sum);
        acc[t] = f_fma(f_mul(sum, f_set1(x[t].scale)), w->scale[u][0], acc[t]);
        if (form == FORM_MINIMUM) acc[t] = f_fnma(w->minimum[u][0], f_set1(x[t].sum), acc[t]);
    }
}

/* Product p of a strip in registers c, a and b, to the sums in c. */
#define TILE_PRODUCT(p, c, a, b)                                                                      \
    do {                                                                                              \
        const size_t unit = (size_t)((p) / parts), part = (size_t)((p) % parts);                      \
        const vi *chunks = w->chunks[unit];                                                           \
        if (form == FORM_DIGITS && part) T_LOAD(a, fine + unit * step, sizeof *fine);                 \
        else T_LOAD(a, x + unit * step, sizeof *x);                                                   \
        T_LOAD(b, chunks + (form == FORM_DIGITS ? 0 : 4 * part), sizeof *chunks);                     \
        T_LOAD(c, SUM_STARTS, 0);                                                                     \
        T_DOT_INT8(c, a, b);                                                                          \
    } while (0)

/* Product p, of n, in register c. The sums that are there, of four products before, go to memory, and a unit whose
 * sums are in memory is added. */
#define TILE_STEP(p, c, a, b)                                                                         \
    do {                                                                                              \
        if ((p) >= 4 && (p) - 4 < n) T_STORE(c, ring[(p) % RING], sizeof ring[0][0]);                 \
        if ((p) < n) TILE_PRODUCT(p, c, a, b);                                                        \
        if ((p) >= 5 && (p) - 5 < n && (parts == 1 || !((p) % 2))) {                                  \
            const int last = (p) - 5, unit = last / parts;                                            \
            add_sums(form, rows, w, unit, ring[(last - parts + 1) % RING], ring[last % RING],         \
                     x + (size_t)unit * step, acc);                                                   \
        }                                                                                             \
    } while (0)

/* sums[t] += a block's units times row t of a strip. */
INLINE void multiply_block_tiles(unit_form form, int rows, const block_tiles *w, int n_units, const quant_unit *x,
                                 const fine_unit *fine, size_t step, sums_ring ring, float (*sums)[PANEL_ROWS]) {
    static const int32_t SUM_STARTS[16] = {
        SUM_START_BITS, SUM_START_BITS, SUM_START_BITS, SUM_START_BITS, SUM_START_BITS, SUM_START_BITS,
        SUM_START_BITS, SUM_START_BITS, SUM_START_BITS, SUM_START_BITS, SUM_START_BITS, SUM_START_BITS,
        SUM_START_BITS, SUM_START_BITS, SUM_START_BITS, SUM_START_BITS};
    const int parts = products_of_unit(form), n = n_units * parts;
    vf acc[STRIP_ROWS];
    UNROLL for (int t = 0; t < rows; t++) acc[t] = f_load(sums[t]);
    for (int p = 0; p < n + 5; p += 4) {
        TILE_STEP(p, 0, 4, 6);
        TILE_STEP(p + 1, 1, 5, 7);
        TILE_STEP(p + 2, 2, 4, 6);
        TILE_STEP(p + 3, 3, 5, 7);
    }
    UNROLL for (int t = 0; t < rows; t++) f_store(sums[t], acc[t]);
}

typedef void block_kernel(const block_tiles *w, int n_units, const quant_unit *x, const fine_unit *fine, size_t step,
                          sums_ring ring, float (*sums)[PANEL_ROWS]);
#define BLOCK_KERNEL(form, rows)                                                                                   \
    static void block_##form##_##rows(const block_tiles *w, int n_units, const quant_unit *x, const fine_unit *fine, \
                                      size_t step, sums_ring ring, float (*sums)[PANEL_ROWS]) {                     \
        multiply_block_tiles(form, rows, w, n_units, x, fine, step, ring, sums);                                   \
    }
#define EACH_FORM(do) do(FORM_PLAIN) do(FORM_MINIMUM) do(FORM_GROUPS) do(FORM_GROUPS_MINIMA) do(FORM_DIGITS)
#define BLOCK_KERNELS_OF(form) BLOCK_KERNEL(form, 4) BLOCK_KERNEL(form, 8) BLOCK_KERNEL(form, 12) BLOCK_KERNEL(form, 16)
#define NAME_BLOCK(form) [form] = {block_##form##_4, block_##form##_8, block_##form##_12, block_##form##_16},
EACH_FORM(BLOCK_KERNELS_OF)
/* [form][rows / 4, rounded up, less 1] */
static block_kernel *const BLOCK_KERNELS[FORM_COUNT][4] = {EACH_FORM(NAME_BLOCK)};

/* Whether a product of few rows is multiplied here. */
INLINE int wants_few_tiles(const linear_args *a) { return a->m >= INT8_TILES_MIN_ROWS && all_quantized(a); }

/* Before and after products of m rows. Registers have the rows of a strip, or a few more, which nobody reads. */
INLINE void begin_few_tiles(int m) { t_begin_int8(m < STRIP_ROWS ? (m + 3) / 4 * 4 : STRIP_ROWS); }
INLINE void end_few_tiles(void) { t_begin(); }

/* sums: those of all strips with one panel. */
static void multiply_tiles_panel(const packed_matrix *w, int64_t panel, const linear_args *a, tiles_scratch *s,
                                 strip_sums *sums) {
    const int units = (int)(w->k / UNIT_COLS);
    block_kernel *const *kernels = BLOCK_KERNELS[form_of(w->type)];
    memset(sums, 0, sizeof *sums * (size_t)((a->m + STRIP_ROWS - 1) / STRIP_ROWS));
    for (int u = 0; u < units; u += BLOCK_UNITS) {
        const int n = units - u < BLOCK_UNITS ? units - u : BLOCK_UNITS;
        UNPACK_KERNELS[w->type](w, panel, (size_t)u, n, &s->block);
        for (int row = 0; row < a->m; row += STRIP_ROWS) {
            const activations x = quantized_rows(a->prepared, (int)w->k, a->m, row);
            const size_t at = (size_t)u * x.step;
            kernels[(x.step + 3) / 4 - 1](&s->block, n, x.units + at, x.fine + at, x.step, s->ring,
                                          sums[row / STRIP_ROWS]);
        }
    }
}

#else

typedef struct { strip_sums sums[2][1]; } tiles_scratch;
INLINE int wants_few_tiles(const linear_args *a) { (void)a; return 0; }
INLINE void begin_few_tiles(int m) { (void)m; }
INLINE void end_few_tiles(void) {}
INLINE void multiply_tiles_panel(const packed_matrix *w, int64_t panel, const linear_args *a, tiles_scratch *s,
                                 strip_sums *sums) {
    (void)w, (void)panel, (void)a, (void)s, (void)sums;
}

#endif

#endif
