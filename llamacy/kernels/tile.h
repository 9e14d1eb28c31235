/* The microkernel: PANELS x 16 outputs of TOKENS rows, over all of K.
 *
 *   out[p][t][n] = sum over k of w[16 (panel + p) + n][k] * x[t][k]
 *
 * Quantised weights meet activations quantised to int8 in units of 32:
 *
 *   sum over units u, groups g of
 *       scale[g][n] * x.scale * (sum over the group of code * x.q)  -  offset[g][n] * x.sum
 *
 * The inner sum is exact in int32; the rest is float32, always in the order of k,
 * so that a row's result depends on nothing but the row: not on how many rows are
 * read together, nor on which thread reads them.
 *
 * Per unit of a 4-bit type and with AVX-512: 4 loads, 8 masks and 4 shifts unpack the
 * codes once for all tokens; each token costs 8 dot products with the activations
 * broadcast from memory, a conversion, and 3 multiplications or FMAs.
 *
 * TYPE, TOKENS and PANELS are constants in every instance. One token reads PANELS
 * panels side by side: several streams from memory are faster than one.
 */
#ifndef LLAMACY_TILE_H
#define LLAMACY_TILE_H

#include "interface.h"
#include "unpack.h"

/* One token is bound by memory: fetch this many bytes ahead of each stream. */
enum { PREFETCH_BYTES = 1024, STREAMS = 4 };

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

/* Adds one unit of one panel to acc[TOKENS]; x and fine are the unit's first token's. */
INLINE void quant_step(pack_type type, int tokens, planes p, size_t u, const quant_unit *x, const fine_unit *fine,
                       vf *acc) {
    const int groups = PACK_TRAITS[type].groups, chunks = 8 / groups;
    const uint8_t *codes = p.codes + u * code_bytes(type);
    vi chunk[8];
    UNROLL for (int c = 0; c < 8; c++) chunk[c] = code_chunk(type, codes, c);
    UNROLL for (int g = 0; g < groups; g++) {
        const vf scale = group_scale(type, p, u, g);
        const vf offset = group_offset(type, p, u, g, scale);
        UNROLL for (int t = 0; t < tokens; t++) {
            vf dot = f_from_i(i_dot(chunk + g * chunks, chunks, x[t].q + g * UNIT_COLS / groups, dot_bits(type)));
            if (PACK_TRAITS[type].digits == 2)
                dot = f_fma(f_from_i(i_dot(chunk, 8, fine[t].q, dot_bits(type))), f_set1(1 / FINE), dot);
            acc[t] = f_fma(f_mul(dot, f_set1(x[t].scale)), scale, acc[t]);
            if (has_minimum(type) || dot_zero(type)) {
                float sum = PACK_TRAITS[type].digits == 2 ? fine[t].sum : groups == 1 ? x[t].sum : x[t].sums[g];
                acc[t] = f_fnma(offset, f_set1(sum), acc[t]);
            }
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
            if (tokens == 1) prefetch_ahead(p[i].codes + u * code_bytes(type), code_bytes(type));
            quant_step(type, tokens, p[i], u, x, fine, acc[i]);
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
            if (tokens == 1) prefetch_ahead(codes[i] + 64 * k, 64);
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
