/* The verbs of neon.h, those of bundles of 2 rows with matrix products of bytes (smmla), and those
 * of bfloat16 with its dot and matrix products (bfdot, bfmmla): a matrix of 2 x 2 sums fills a
 * register. */
#ifndef LLAMACY_NEON_I8MM_H
#define LLAMACY_NEON_I8MM_H

#define LEVEL_NAME "neon_i8mm"
#define HAS_DOTS
#define BUNDLE_ROWS 2
#define HAS_BF16
#include "levels/neon.h"
#include "levels/tile.h"

INLINE int8x16_t neon_zip1_words(int8x16_t a, int8x16_t b) { return neon_bytes(vzip1q_s32(neon_words(a), neon_words(b))); }
INLINE int8x16_t neon_zip2_words(int8x16_t a, int8x16_t b) { return neon_bytes(vzip2q_s32(neon_words(a), neon_words(b))); }
/* The low, or the high, halves of a and b. */
INLINE float32x4_t neon_low_halves(float32x4_t a, float32x4_t b) {
    return vreinterpretq_f32_f64(vzip1q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)));
}
INLINE float32x4_t neon_high_halves(float32x4_t a, float32x4_t b) {
    return vreinterpretq_f32_f64(vzip2q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)));
}

INLINE void  p_codes(const vi *chunks, int zero, vi *parts) {
    const int8x16_t moved = vdupq_n_s8((int8_t)zero);
    UNROLL for (int i = 0; i < 4; i++) {
        parts[i / 2].q[2 * i % 4] = vsubq_s8(neon_zip1_words(chunks[0].q[i], chunks[1].q[i]), moved);
        parts[i / 2].q[2 * i % 4 + 1] = vsubq_s8(neon_zip2_words(chunks[0].q[i], chunks[1].q[i]), moved);
    }
}
INLINE void  p_join(const vf *rows, vf *parts) {
    UNROLL for (int i = 0; i < 4; i++) {
        parts[i / 2].q[2 * i % 4] = neon_low_halves(rows[0].q[i], rows[1].q[i]);
        parts[i / 2].q[2 * i % 4 + 1] = neon_high_halves(rows[0].q[i], rows[1].q[i]);
    }
}
INLINE void  p_part(const vf *parts, vf *rows) {
    UNROLL for (int i = 0; i < 4; i++) {
        rows[0].q[i] = neon_low_halves(parts[i / 2].q[2 * i % 4], parts[i / 2].q[2 * i % 4 + 1]);
        rows[1].q[i] = neon_high_halves(parts[i / 2].q[2 * i % 4], parts[i / 2].q[2 * i % 4 + 1]);
    }
}
INLINE vf    p_values(const float *p) F_QUARTERS(vld1q_f32(p))
INLINE vf    p_outputs(const vf *joined) { return *joined; }
INLINE vi    p_dots(vi sums, vi codes, const int8_t *x) {
    const int8x16_t rows = vld1q_s8(x);
    QUARTERS sums.q[i] = neon_bytes(vmmlaq_s32(neon_words(sums.q[i]), rows, codes.q[i]));
    return sums;
}

INLINE bfloat16x8_t neon_bf16(int8x16_t x) { return vreinterpretq_bf16_s8(x); }
INLINE int8x16_t neon_round(float32x4_t low, float32x4_t high) {
    return vreinterpretq_s8_bf16(vcvtq_high_bf16_f32(vcvtq_low_bf16_f32(low), high));
}
INLINE int8x16_t neon_round_pairs(float32x4_t x, float32x4_t y) {
    const int16x8_t a = vreinterpretq_s16_bf16(vcvtq_low_bf16_f32(x)), b = vreinterpretq_s16_bf16(vcvtq_low_bf16_f32(y));
    return vreinterpretq_s8_s16(vzip1q_s16(a, b));
}
INLINE vi    b_join(vf x, vf y) {
    return (vi){{neon_round(x.q[0], x.q[1]), neon_round(x.q[2], x.q[3]),
                 neon_round(y.q[0], y.q[1]), neon_round(y.q[2], y.q[3])}};
}
INLINE vi    b_pairs(vf a, vf b) I_QUARTERS(neon_round_pairs(a.q[i], b.q[i]))
INLINE vf    b_dot(vf sum, vi pairs, const uint8_t *pair) {
    int32_t two;
    memcpy(&two, pair, sizeof two);
    const bfloat16x8_t x = neon_bf16(neon_bytes(vdupq_n_s32(two)));
    QUARTERS sum.q[i] = vbfdotq_f32(sum.q[i], neon_bf16(pairs.q[i]), x);
    return sum;
}

/* Rows of a times 8 columns of b, eight rows of pairs at a time; a bfmmla adds two products of pairs to
 * a sum, one after the other, as two bfdot do. */
INLINE void  neon_b_products(int rows, const uint8_t *a, const uint8_t *b, int n, float *c, size_t ldc, int adds) {
    enum { ROWS = 8 };
    float32x4_t sums[ROWS / 2][4];
    UNROLL for (int r = 0; r < rows / 2; r++)
        UNROLL for (int i = 0; i < 2; i++) {
            const float *at = c + (size_t)(2 * r) * ldc + 4 * i;
            const float32x4_t one = adds ? vld1q_f32(at) : vdupq_n_f32(0.0f);
            const float32x4_t other = adds ? vld1q_f32(at + ldc) : vdupq_n_f32(0.0f);
            sums[r][2 * i] = neon_low_halves(one, other);
            sums[r][2 * i + 1] = neon_high_halves(one, other);
        }
    for (int i = 0; i < n; i++, a += TILE_BYTES, b += TILE_BYTES)
        for (int p = 0; p < 16; p += 4) {
            int8x16_t left[ROWS / 2][2];
            UNROLL for (int r = 0; r < rows / 2; r++) {
                const float32x4_t one = vld1q_f32((const float *)(a + 128 * r + 4 * p));
                const float32x4_t other = vld1q_f32((const float *)(a + 128 * r + 64 + 4 * p));
                left[r][0] = vreinterpretq_s8_f32(neon_low_halves(one, other));
                left[r][1] = vreinterpretq_s8_f32(neon_high_halves(one, other));
            }
            UNROLL for (int step = 0; step < 2; step++)
                UNROLL for (int j = 0; j < 2; j++) {
                    const int8_t *at = (const int8_t *)b + 64 * (p + 2 * step) + 16 * j;
                    const int8x16_t one = vld1q_s8(at), other = vld1q_s8(at + 64);
                    const bfloat16x8_t low = neon_bf16(neon_zip1_words(one, other));
                    const bfloat16x8_t high = neon_bf16(neon_zip2_words(one, other));
                    UNROLL for (int r = 0; r < rows / 2; r++) {
                        sums[r][2 * j] = vbfmmlaq_f32(sums[r][2 * j], neon_bf16(left[r][step]), low);
                        sums[r][2 * j + 1] = vbfmmlaq_f32(sums[r][2 * j + 1], neon_bf16(left[r][step]), high);
                    }
                }
        }
    UNROLL for (int r = 0; r < rows / 2; r++)
        UNROLL for (int i = 0; i < 2; i++) {
            float *at = c + (size_t)(2 * r) * ldc + 4 * i;
            vst1q_f32(at, neon_low_halves(sums[r][2 * i], sums[r][2 * i + 1]));
            vst1q_f32(at + ldc, neon_high_halves(sums[r][2 * i], sums[r][2 * i + 1]));
        }
}
INLINE void  b_products(int rows, const uint8_t *a, const uint8_t *b, size_t b_step, int n, float *c, size_t ldc,
                        int adds) {
    enum { ROWS = 8 };
    for (int first = 0; first < rows; first += ROWS)
        for (int column = 0; column < 32; column += 8)
            neon_b_products(rows < ROWS ? rows : ROWS, a + (size_t)first * 64,
                            b + (size_t)(column / 16) * b_step + (size_t)(column % 16) * 4, n,
                            c + (size_t)first * ldc + column, ldc, adds);
}

#endif
