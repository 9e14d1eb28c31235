/* The verbs of avx512.h, and those of bfloat16 with AVX-512's dot products of pairs. */
#ifndef LLAMACY_AVX512_BF16_H
#define LLAMACY_AVX512_BF16_H

#define LEVEL_NAME "avx512_bf16"
#define HAS_BF16
#include "levels/avx512.h"
#include "levels/tile.h"

/* As avx512.h has them, chosen on the same machines. */
enum {
    PREFETCH_BYTES = 7168,      /* no further than the L1 cache has room */
    RESIDENT_BYTES = 512 << 10,
    MANY_PANELS = 8,
    MANY_ROWS = 256,
    SLICE_UNITS = 8,            /* 256 columns: 6 KiB of a quantised panel, 16 KiB of a float one */
    FLOAT_MIN_ROWS = 32,
    QUANT_MIN_ROWS = INT_MAX,   /* never, as in avx512.h */
    SPAN_PAGES = 8,             /* Z4: a strip of 8 queries 1.2 times as fast as with 4 */
    BAND_STRIPS = 16,           /* Z4: at 16,384 tokens 1.05 times as fast as with 8; all stay in the L2 cache */
    PEAK_SUMS = 12,
    ROW_CHUNK = 4096,
    FETCHED_BYTES = 64 << 10,   /* the L2 cache has room for them */
};

INLINE vi    b_join(vf x, vf y) { return (vi)_mm512_cvtne2ps_pbh(y, x); }
#include "levels/avx512_pairs.h"
INLINE vf    b_dot(vf sum, vi pairs, const uint8_t *pair) {
    int32_t two;
    memcpy(&two, pair, sizeof two);
    return _mm512_dpbf16_ps(sum, (__m512bh)pairs, (__m512bh)_mm512_set1_epi32(two));
}
/* 8 rows at a time, so that 16 sums stay in registers and each pair that is loaded meets
 * both tiles: 5 loads for 8 products. */
INLINE void  b_products(int rows, const uint8_t *a, const uint8_t *b, size_t b_step, int n, float *c, size_t ldc,
                        int adds) {
    enum { ROWS = 8 };
    UNROLL for (int first = 0; first < rows; first += ROWS) {
        const int some = rows - first < ROWS ? rows - first : ROWS;
        vf left[ROWS], right[ROWS];
        float *sums = c + (size_t)first * ldc;
        UNROLL for (int r = 0; r < some; r++) {
            left[r] = adds ? f_load(sums + (size_t)r * ldc) : f_zero();
            right[r] = adds ? f_load(sums + (size_t)r * ldc + 16) : f_zero();
        }
        for (int i = 0; i < n; i++)
            for (size_t p = 0; p < TILE_BYTES; p += 64) {
                const uint8_t *tile = b + (size_t)i * TILE_BYTES + p;
                const vi x = i_load(tile), y = i_load(tile + b_step);
                UNROLL for (int r = 0; r < some; r++) {
                    const uint8_t *pair = a + (size_t)i * TILE_BYTES + (size_t)(first + r) * 64 + p / 16;
                    left[r] = b_dot(left[r], x, pair);
                    right[r] = b_dot(right[r], y, pair);
                }
            }
        UNROLL for (int r = 0; r < some; r++) {
            f_store(sums + (size_t)r * ldc, left[r]);
            f_store(sums + (size_t)r * ldc + 16, right[r]);
        }
    }
}

#endif
