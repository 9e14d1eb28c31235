/* The microkernel: PANELS x 16 outputs of TOKENS rows, over all of K.
 *
 *   out[p][t][n] = sum over k of w[16 (panel + p) + n][k] * x[t][k]
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
 * TYPE, TOKENS and PANELS are constants in every instance. One token reads PANELS
 * panels side by side: several streams from memory are faster than one. Many tokens
 * have the weights unpacked for all of them: gemm.h.
 */
#ifndef LLAMACY_TILE_H
#define LLAMACY_TILE_H

#include "interface.h"
#include "unpack.h"

/* Up to PREFETCH_TOKENS tokens are bound by memory: fetch this many bytes ahead of each stream. */
enum { PREFETCH_BYTES = 1024, PREFETCH_TOKENS = 8, STREAMS = 4 };

#if defined(__GNUC__) || defined(__clang__)
#define PREFETCH(p) __builtin_prefetch(p)
#else
#define PREFETCH(p) ((void)(p))
#endif

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

INLINE void unpack_unit(pack_type type, planes p, size_t u, unit_weights *w) {
    UNROLL for (int c = 0; c < 8; c++) w->codes[c] = code_chunk(type, p.codes + u * code_bytes(type), c);
    UNROLL for (int g = 0; g < PACK_TRAITS[type].groups; g++) {
        w->scale[g] = group_scale(type, p, u, g);
        if (has_minimum(type)) w->minimum[g] = group_offset(type, p, u, g, w->scale[g]);
    }
}

/* What sums of codes begin with, so that a code stands for its distance from zero. */
INLINE vi dot_start(pack_type type, const int32_t *minus) {
    return dot_zero(type) ? i_start(minus, __builtin_ctz((unsigned)dot_zero(type))) : i_zero();
}

/* Adds one unit of a panel, for each of `tokens` rows, to acc; x and fine are the first row's. */
INLINE void add_unit(pack_type type, int tokens, const unit_weights *w, const quant_unit *x, const fine_unit *fine,
                     vf *acc) {
    const int groups = PACK_TRAITS[type].groups, chunks = 8 / groups;
    UNROLL for (int g = 0; g < groups; g++)
        UNROLL for (int t = 0; t < tokens; t++) {
            const int32_t *minus = &x[t].minus[groups == 1 ? 0 : 1 + g];
            const int8_t *q = x[t].q + g * UNIT_COLS / groups;
            vf dot = f_from_i(i_dot(dot_start(type, minus), w->codes + g * chunks, chunks, q, dot_bits(type)));
            if (PACK_TRAITS[type].digits == 2) {
                const vi rest = i_dot(dot_start(type, &fine[t].minus), w->codes, 8, fine[t].q, dot_bits(type));
                dot = f_fma(f_from_i(rest), f_set1(1 / FINE), dot);
            }
            acc[t] = f_fma(f_mul(dot, f_set1(x[t].scale)), w->scale[g], acc[t]);
            if (has_minimum(type)) {
                const float sum = groups == 1 ? x[t].sum : -x[t].scale * (float)*minus;
                acc[t] = f_fnma(w->minimum[g], f_set1(sum), acc[t]);
            }
        }
}

INLINE void quant_tile(pack_type type, int tokens, int panels, const packed_matrix *w, int64_t panel,
                       const tile_rows *rows, float *out) {
    const size_t units = (size_t)w->k / UNIT_COLS;
    const quant_unit *x = rows->units;
    const fine_unit *fine = rows->fine;
    planes p[STREAMS];
    vf acc[STREAMS][TILE_ROWS];
    UNROLL for (int i = 0; i < panels; i++) {
        p[i] = panel_planes(w, panel + i, type);
        UNROLL for (int t = 0; t < tokens; t++) acc[i][t] = f_zero();
    }
    for (size_t u = 0; u < units; u++, x += rows->step, fine += rows->step)
        UNROLL for (int i = 0; i < panels; i++) {
            unit_weights unit;
            if (tokens <= PREFETCH_TOKENS) prefetch_ahead(p[i].codes + u * code_bytes(type), code_bytes(type));
            unpack_unit(type, p[i], u, &unit);
            add_unit(type, tokens, &unit, x, fine, acc[i]);
        }
    UNROLL for (int i = 0; i < panels; i++)
        UNROLL for (int t = 0; t < tokens; t++) f_store(out + (i * tokens + t) * PANEL_ROWS, acc[i][t]);
}

INLINE void float_tile(pack_type type, int tokens, int panels, const packed_matrix *w, int64_t panel,
                       const tile_rows *rows, float *out) {
    const float *x = rows->floats;
    const size_t ldx = rows->ld;
    const uint8_t *codes[STREAMS];
    vf acc[STREAMS][TILE_ROWS];
    UNROLL for (int i = 0; i < panels; i++) {
        codes[i] = w->data + (size_t)(panel + i) * w->panel;
        UNROLL for (int t = 0; t < tokens; t++) acc[i][t] = f_zero();
    }
    for (size_t k = 0; k < (size_t)w->k; k++)
        UNROLL for (int i = 0; i < panels; i++) {
            if (tokens <= PREFETCH_TOKENS) prefetch_ahead(codes[i] + 64 * k, 64);
            const vf column = float_column(type, codes[i], k);
            UNROLL for (int t = 0; t < tokens; t++)
                acc[i][t] = f_fma(column, f_set1(x[(size_t)t * ldx + k]), acc[i][t]);
        }
    UNROLL for (int i = 0; i < panels; i++)
        UNROLL for (int t = 0; t < tokens; t++) f_store(out + (i * tokens + t) * PANEL_ROWS, acc[i][t]);
}

/* One instance a type and shape. */
typedef void tile_kernel(const packed_matrix *w, int64_t panel, const tile_rows *rows, float *out);

#define TILE(type, tokens, panels)                                                         \
    static void tile_##type##_##tokens##x##panels(const packed_matrix *w, int64_t panel,   \
                                                  const tile_rows *rows, float *out) {     \
        if (PACK_TRAITS[PACK_##type].scales == SCALE_NONE)                                 \
            float_tile(PACK_##type, tokens, panels, w, panel, rows, out);                  \
        else                                                                               \
            quant_tile(PACK_##type, tokens, panels, w, panel, rows, out);                  \
    }
#if TOKENS_MAX >= 16
#define TILES(type) \
    TILE(type, 1, 4) TILE(type, 1, 1) TILE(type, 2, 1) TILE(type, 4, 1) TILE(type, 8, 1) TILE(type, 16, 1)
#define TILE_ROW(type)                                                                             \
    [PACK_##type] = {tile_##type##_1x4, tile_##type##_1x1, tile_##type##_2x1,                      \
                     tile_##type##_4x1, tile_##type##_8x1, tile_##type##_16x1},
#elif TOKENS_MAX >= 4
#define TILES(type) TILE(type, 1, 4) TILE(type, 1, 1) TILE(type, 2, 1) TILE(type, 4, 1)
#define TILE_ROW(type) [PACK_##type] = {tile_##type##_1x4, tile_##type##_1x1, tile_##type##_2x1, tile_##type##_4x1},
#else
#define TILES(type) TILE(type, 1, 4) TILE(type, 1, 1)
#define TILE_ROW(type) [PACK_##type] = {tile_##type##_1x4, tile_##type##_1x1},
#endif
EACH_PACK_TYPE(TILES)

/* [type][0]: STREAMS panels of one token; [type][1 + log2(tokens)]: one panel. */
static tile_kernel *const TILE_KERNELS[PACK_COUNT][6] = {EACH_PACK_TYPE(TILE_ROW)};

#endif
