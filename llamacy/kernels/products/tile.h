/* The microkernel: a panel's 16 outputs of TOKENS rows, over all of K.
 *
 *   out[t][n] = sum over k of w[16 panel + n][k] * x[t][k]
 *
 * Quantised weights meet activations quantised to int8 in units of 32:
 *
 *   sum over units u, groups g of
 *       scale[g][n] * x.scale * (sum over the group of (code - zero) * x.q)  -  minimum[g][n] * x.sum
 *
 * The inner sum is exact in int32; the rest is float32, always in the order of k,
 * so that a row's result depends on nothing but the row: not on how many rows are
 * read together, nor on which thread reads them.
 *
 * Per unit of a 4-bit type and with AVX-512: 4 loads, 8 masks and 4 shifts unpack the
 * codes once for all tokens; each token costs 8 dot products with the activations
 * broadcast from memory, a conversion, a multiplication and an FMA (two with a minimum).
 * These 10 or 11 of two ports bound the rate to 80 or 73 % of what dot products alone
 * would reach.
 *
 * TYPE and TOKENS are constants in every instance. What bounds few tokens is memory:
 * panels follow one another there, and are fetched long before they are needed. Many
 * tokens have the weights unpacked for all of them: gemm.h.
 */
#ifndef LLAMACY_TILE_H
#define LLAMACY_TILE_H

#include "products/digits.h"
#include "products/unpack.h"

/* How far ahead of the weights in use more are fetched: for as long as the memory takes to
 * answer, and no further than the L1 cache has room. Measured with one token on Zen 5. */
enum { PREFETCH_BYTES = 7168 };

/* n bytes of a stream, that far ahead of p. */
INLINE void prefetch_ahead(const uint8_t *p, size_t n) {
    UNROLL for (size_t i = 0; i < n; i += 64) PREFETCH(p + PREFETCH_BYTES + i);
}

/* Rows of activations, those of one tile first: quantised, [K/32][step], or in float32. */
typedef struct {
    const quant_unit *units;
    const fine_unit *fine;
    size_t step;
    const float *floats;
    size_t ld;
} tile_rows;

/* Bytes of the units of m rows; their fine units follow. */
INLINE size_t units_bytes(int k, int m) { return (size_t)m * (size_t)(k / UNIT_COLS) * sizeof(quant_unit); }

/* Quantised activations of m rows of k columns, from `row` on. */
INLINE tile_rows quantized_rows(const void *prepared, int k, int m, int row) {
    const int tile = row / TILE_ROWS * TILE_ROWS;
    const size_t first = (size_t)tile * (size_t)(k / UNIT_COLS) + (size_t)(row - tile);
    tile_rows at = {0};
    at.step = (size_t)(m - tile < TILE_ROWS ? m - tile : TILE_ROWS);
    at.units = (const quant_unit *)prepared + first;
    at.fine = (const fine_unit *)((const uint8_t *)prepared + units_bytes(k, m)) + first;
    return at;
}

/* Rows, in whole tiles, whose quantised activations stay in L2 while panels pass by. */
INLINE int resident_rows(int k) {
    const size_t row = (size_t)(k / UNIT_COLS) * (sizeof(quant_unit) + sizeof(fine_unit));
    const int tiles = (int)((512 << 10) / (row * TILE_ROWS + 1));
    return (tiles > 1 ? tiles : 1) * TILE_ROWS;
}

/* Activations of a product from `row` on, in the form that w reads. */
INLINE tile_rows rows_for(const packed_matrix *w, const linear_args *a, int row) {
    if (!is_float_pack(w->type)) return quantized_rows(a->prepared, (int)w->k, a->m, row);
    tile_rows at = {0};
    at.floats = a->x + (size_t)row * a->ldx;
    at.ld = a->ldx;
    return at;
}

/* log2 of the most rows a kernel takes when n are left. */
INLINE int log2_tokens(int n) {
    int log2 = 0;
    while (2 << log2 <= n && 2 << log2 <= TOKENS_MAX) log2++;
    return log2;
}

/* One unit of a panel as dot products meet it, by group of columns. */
typedef struct { vi codes[8]; vf scale[2], minimum[2]; } unit_weights;

INLINE void unpack_unit(pack_type type, packed_unit packed, unit_weights *w) {
    UNROLL for (int c = 0; c < 8; c++) w->codes[c] = code_chunk(type, packed.codes, c);
    UNROLL for (int g = 0; g < PACK_TRAITS[type].groups; g++) {
        w->scale[g] = group_scale(type, packed, g);
        if (has_minimum(type)) w->minimum[g] = group_offset(type, packed, g, w->scale[g]);
    }
}

/* What sums of codes begin with, so that a code stands for its distance from zero. */
INLINE vi dot_start(pack_type type, const int32_t *minus) {
    return dot_zero(type) ? i_start(minus, __builtin_ctz((unsigned)dot_zero(type))) : i_zero();
}

/* Adds one unit of a panel, for each of up to DOT_ROWS rows, to acc; x is the first row's. */
INLINE void add_unit(pack_type type, int tokens, const unit_weights *w, const quant_unit *x, vf *acc) {
    const int groups = PACK_TRAITS[type].groups, chunks = 8 / groups;
    UNROLL for (int g = 0; g < groups; g++) {
        const int sum_of = groups == 1 ? 0 : 1 + g;
        vi sums[DOT_ROWS];
        UNROLL for (int t = 0; t < tokens; t++) sums[t] = dot_start(type, &x[t].minus[sum_of]);
        i_dots(tokens, w->codes + g * chunks, chunks, x->q + 4 * g * chunks, sizeof *x, dot_bits(type), sums);
        UNROLL for (int t = 0; t < tokens; t++) {
            acc[t] = f_fma(f_mul(f_from_i(sums[t]), f_set1(x[t].scale)), w->scale[g], acc[t]);
            if (has_minimum(type)) {
                const float sum = groups == 1 ? x[t].sum : -x[t].scale * (float)x[t].minus[sum_of];
                acc[t] = f_fnma(w->minimum[g], f_set1(sum), acc[t]);
            }
        }
    }
}

/* sums[t] = the sums of codes times both digits. */
INLINE void dot_digits(pack_type type, int tokens, const vi *codes, const quant_unit *x, const fine_unit *fine,
                       vi *sums) {
#ifdef WORD_COLUMNS
    (void)type, (void)x;
    UNROLL for (int t = 0; t < tokens; t++) sums[t] = i_zero();
    w_dots(tokens, codes, fine->words, sizeof *fine / sizeof *fine->words, sums);
#else
    vi whole[DOT_ROWS];
    UNROLL for (int t = 0; t < tokens; t++) whole[t] = i_zero();
    i_dots(tokens, codes, 8, x->q, sizeof *x, dot_bits(type), whole);
    UNROLL for (int t = 0; t < tokens; t++) sums[t] = dot_start(type, &fine[t].minus);
    i_dots(tokens, codes, 8, fine->q, sizeof *fine, dot_bits(type), sums);
    UNROLL for (int t = 0; t < tokens; t++) sums[t] = i_add(i_shl(whole[t], FINE_BITS), sums[t]);
#endif
}

/* The same as add_unit, with both digits. */
INLINE void add_unit_finely(pack_type type, int tokens, const unit_weights *w, const quant_unit *x,
                            const fine_unit *fine, vf *acc) {
    vi sums[DOT_ROWS];
    dot_digits(type, tokens, w->codes, x, fine, sums);
    UNROLL for (int t = 0; t < tokens; t++)
        acc[t] = f_fma(f_mul(f_from_i(sums[t]), f_set1(fine[t].scale)), w->scale[0], acc[t]);
}

INLINE void add_units(pack_type type, int tokens, const unit_weights *w, const quant_unit *x, const fine_unit *fine,
                      vf *acc) {
    UNROLL for (int t = 0; t < tokens; t += DOT_ROWS) {
        const int rows = tokens - t < DOT_ROWS ? tokens - t : DOT_ROWS;
        if (PACK_TRAITS[type].digits == 2) add_unit_finely(type, rows, w, x + t, fine + t, acc + t);
        else add_unit(type, rows, w, x + t, acc + t);
    }
}

INLINE void quant_tile(pack_type type, int tokens, const packed_matrix *w, int64_t panel, const tile_rows *rows,
                       float *out) {
    const size_t units = (size_t)w->k / UNIT_COLS;
    const quant_unit *x = rows->units;
    const fine_unit *fine = rows->fine;
    /* a panel is fetched in the order of memory, though codes and scales of a unit are apart in it */
    const uint8_t *stream = panel_of(w, panel);
    const size_t share = code_bytes(type) + scale_bytes(type) + super_bytes(type) / BLOCK_UNITS;
    vf acc[TILE_ROWS];
    UNROLL for (int t = 0; t < tokens; t++) acc[t] = f_zero();
    for (size_t u = 0; u < units; u++, x += rows->step, fine += rows->step) {
        const packed_unit packed = find_unit(type, w, panel, u);
        unit_weights unit;
        prefetch_ahead(stream, share);
        stream += share;
        unpack_unit(type, packed, &unit);
        add_units(type, tokens, &unit, x, fine, acc);
    }
    UNROLL for (int t = 0; t < tokens; t++) f_store(out + t * PANEL_ROWS, acc[t]);
}

INLINE void float_tile(pack_type type, int tokens, const packed_matrix *w, int64_t panel, const tile_rows *rows,
                       float *out) {
    const size_t column_bytes = PANEL_ROWS * (size_t)PACK_TRAITS[type].bits / 8;
    const uint8_t *codes = panel_of(w, panel);
    vf acc[TILE_ROWS];
    UNROLL for (int t = 0; t < tokens; t++) acc[t] = f_zero();
    for (size_t k = 0; k < (size_t)w->k; k++) {
        prefetch_ahead(codes + k * column_bytes, column_bytes);
        const vf column = float_column(type, codes, k);
        UNROLL for (int t = 0; t < tokens; t++)
            acc[t] = f_fma(column, f_set1(rows->floats[(size_t)t * rows->ld + k]), acc[t]);
    }
    UNROLL for (int t = 0; t < tokens; t++) f_store(out + t * PANEL_ROWS, acc[t]);
}

/* One instance a type and shape. */
typedef void tile_kernel(const packed_matrix *w, int64_t panel, const tile_rows *rows, float *out);

#define TILE(type, tokens)                                                                            \
    static void tile_##type##_##tokens(const packed_matrix *w, int64_t panel, const tile_rows *rows,  \
                                       float *out) {                                                  \
        if (is_float_pack(PACK_##type)) float_tile(PACK_##type, tokens, w, panel, rows, out);         \
        else quant_tile(PACK_##type, tokens, w, panel, rows, out);                                    \
    }
#if TOKENS_MAX >= 16
#define TILES(type) TILE(type, 1) TILE(type, 2) TILE(type, 4) TILE(type, 8) TILE(type, 16)
#define TILE_ROW(type) \
    [PACK_##type] = {tile_##type##_1, tile_##type##_2, tile_##type##_4, tile_##type##_8, tile_##type##_16},
#elif TOKENS_MAX >= 4
#define TILES(type) TILE(type, 1) TILE(type, 2) TILE(type, 4)
#define TILE_ROW(type) [PACK_##type] = {tile_##type##_1, tile_##type##_2, tile_##type##_4},
#else
#define TILES(type) TILE(type, 1)
#define TILE_ROW(type) [PACK_##type] = {tile_##type##_1},
#endif
EACH_PACK_TYPE(TILES)

/* [type][log2(tokens)] */
static tile_kernel *const TILE_KERNELS[PACK_COUNT][5] = {EACH_PACK_TYPE(TILE_ROW)};

#endif
