/* Nearly a strip of rows times quantised weights on matrix registers: the sums of few_rows.h, to the bit.
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
 * Products go through four registers, and their sums through a ring in memory, so that a product, the
 * way to memory and the scaling of earlier sums run side by side.
 *
 * Two things are as they are because of the CPU (Intel, Granite Rapids class):
 *
 *   - Beside instructions on tiles, multiplications of 512 bits, and conversions, take one of two
 *     ports; additions take both. So sums start at SUM_START, whose bits are a float: what is
 *     added to them is added to that float, and a subtraction takes the place of a conversion.
 *   - A register is loaded with SUM_START, not zeroed and then added to: products into zeroed
 *     registers wait for one another.
 *
 * Dot products are faster where a unit would need two products, for two groups or two digits, and for
 * whole strips.
 */
#ifndef LLAMACY_FEW_ROWS_TILES_H
#define LLAMACY_FEW_ROWS_TILES_H

#include "products/many_rows.h"

#ifdef HAS_TILES

/* The least float of which a unit is the last bit, and half as much, so that sums have either sign: below 2^22,
 * as 32 products of int8 are. */
#define SUM_START 0x1.8p23f
enum { SUM_START_BITS = 0x4B400000 };

typedef struct {
    vi chunks[BLOCK_UNITS][8];
    vf scale[BLOCK_UNITS], minimum[BLOCK_UNITS];
} block_tiles;

/* Sums of the last products. */
enum { RING = 4 };
typedef vi sums_ring[RING][STRIP_ROWS];

typedef struct {
    block_tiles block;
    sums_ring ring;
    strip_sums sums[2]; /* of both matrices of a gated product */
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
    UNROLL for (int c = 0; c < 8; c++) to->chunks[u][c] = signed_chunk(type, packed.codes, c);
    to->scale[u] = group_scale(type, packed, 0);
    if (has_minimum(type)) to->minimum[u] = group_minimum(type, packed, 0);
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

/* A row's sum as a float. */
INLINE vf sum_of(const vi *sums, int t) { return f_sub(f_load((const float *)(sums + t)), f_set1(SUM_START)); }

/* acc[t] += a unit's sums, scaled, as add_group() does it. */
INLINE void add_sums(int minima, int rows, const block_tiles *w, int u, const vi *sums, const quant_unit *x, vf *acc) {
    UNROLL for (int t = 0; t < rows; t++) {
        acc[t] = f_fma(f_mul(sum_of(sums, t), f_set1(x[t].scale)), w->scale[u], acc[t]);
        if (minima) acc[t] = f_fnma(w->minimum[u], f_set1(x[t].sum), acc[t]);
    }
}

/* Unit u of n, in registers c, a and b. The sums that are in c, of four units before, go to memory, and a unit
 * whose sums are in memory is added. */
#define TILE_STEP(u, c, a, b)                                                                 \
    do {                                                                                      \
        if ((u) >= 4 && (u) - 4 < n) T_STORE(c, ring[(u) % RING], sizeof ring[0][0]);         \
        if ((u) < n) {                                                                        \
            T_LOAD(a, x + (size_t)(u) * step, sizeof *x);                                     \
            T_LOAD(b, w->chunks[u], sizeof w->chunks[0][0]);                                  \
            T_LOAD(c, SUM_STARTS, 0);                                                         \
            T_DOT_INT8(c, a, b);                                                              \
        }                                                                                     \
        if ((u) >= 5 && (u) - 5 < n)                                                          \
            add_sums(minima, rows, w, (u) - 5, ring[((u) - 5) % RING], x + (size_t)((u) - 5) * step, acc); \
    } while (0)

/* sums[t] += a block's units times row t of a strip. */
INLINE void multiply_block_tiles(int minima, int rows, const block_tiles *w, int n, const quant_unit *x, size_t step,
                                 sums_ring ring, float (*sums)[PANEL_ROWS]) {
    static const int32_t SUM_STARTS[16] = {
        SUM_START_BITS, SUM_START_BITS, SUM_START_BITS, SUM_START_BITS, SUM_START_BITS, SUM_START_BITS,
        SUM_START_BITS, SUM_START_BITS, SUM_START_BITS, SUM_START_BITS, SUM_START_BITS, SUM_START_BITS,
        SUM_START_BITS, SUM_START_BITS, SUM_START_BITS, SUM_START_BITS};
    vf acc[STRIP_ROWS];
    UNROLL for (int t = 0; t < rows; t++) acc[t] = f_load(sums[t]);
    for (int u = 0; u < n + 5; u += 4) {
        TILE_STEP(u, 0, 4, 6);
        TILE_STEP(u + 1, 1, 5, 7);
        TILE_STEP(u + 2, 2, 4, 6);
        TILE_STEP(u + 3, 3, 5, 7);
    }
    UNROLL for (int t = 0; t < rows; t++) f_store(sums[t], acc[t]);
}

typedef void block_kernel(const block_tiles *w, int n, const quant_unit *x, size_t step, sums_ring ring,
                          float (*sums)[PANEL_ROWS]);
#define BLOCK_KERNEL(name, minima, rows)                                                                        \
    static void block_##name##_##rows(const block_tiles *w, int n, const quant_unit *x, size_t step,            \
                                      sums_ring ring, float (*sums)[PANEL_ROWS]) {                              \
        multiply_block_tiles(minima, rows, w, n, x, step, ring, sums);                                          \
    }
#define BLOCK_KERNELS_OF(name, minima) \
    BLOCK_KERNEL(name, minima, 4) BLOCK_KERNEL(name, minima, 8) \
    BLOCK_KERNEL(name, minima, 12) BLOCK_KERNEL(name, minima, 16)
#define NAME_BLOCKS(name) {block_##name##_4, block_##name##_8, block_##name##_12, block_##name##_16}
BLOCK_KERNELS_OF(plain, 0)
BLOCK_KERNELS_OF(minima, 1)
/* [minima][rows / 4, rounded up, less 1] */
static block_kernel *const BLOCK_KERNELS[2][4] = {NAME_BLOCKS(plain), NAME_BLOCKS(minima)};

/* Whether a unit of w makes one product. */
INLINE int makes_one_product(const packed_matrix *w) {
    return PACK_TRAITS[w->type].digits == 1 && PACK_TRAITS[w->type].groups == 1;
}

/* Whether a product of few rows is multiplied here. */
INLINE int wants_few_tiles(const linear_args *a) {
    return a->m >= INT8_TILES_MIN_ROWS && a->m < STRIP_ROWS && makes_one_product(&a->w) &&
           (!is_gated(a->form) || makes_one_product(&a->w2));
}

/* Before and after products of m rows. Registers have these, or a few more, which nobody reads. */
INLINE void begin_few_tiles(int m) { t_begin_int8((m + 3) / 4 * 4); }
INLINE void end_few_tiles(void) { t_begin(); }

/* sums = products of one panel. */
static void multiply_tiles_panel(const packed_matrix *w, int64_t panel, const linear_args *a, tiles_scratch *s,
                                 strip_sums *sums) {
    const int units = (int)(w->k / UNIT_COLS);
    const activations x = quantized_rows(a->prepared, (int)w->k, a->m, 0);
    block_kernel *multiply = BLOCK_KERNELS[has_minimum(w->type)][(a->m + 3) / 4 - 1];
    memset(sums, 0, sizeof *sums);
    for (int u = 0; u < units; u += BLOCK_UNITS) {
        const int n = units - u < BLOCK_UNITS ? units - u : BLOCK_UNITS;
        UNPACK_KERNELS[w->type](w, panel, (size_t)u, n, &s->block);
        multiply(&s->block, n, x.units + (size_t)u * x.step, x.step, s->ring, *sums);
    }
}

#else

typedef struct { strip_sums sums[2]; } tiles_scratch;
INLINE int wants_few_tiles(const linear_args *a) { (void)a; return 0; }
INLINE void begin_few_tiles(int m) { (void)m; }
INLINE void end_few_tiles(void) {}
INLINE void multiply_tiles_panel(const packed_matrix *w, int64_t panel, const linear_args *a, tiles_scratch *s,
                                 strip_sums *sums) {
    (void)w, (void)panel, (void)a, (void)s, (void)sums;
}

#endif

#endif
