/* The verbs in NEON with dot products of bytes: four registers each for vf and vi. */
#ifndef LLAMACY_NEON_H
#define LLAMACY_NEON_H

#include "levels/compiler.h"
#include <arm_neon.h>

#ifndef LEVEL_NAME /* a level that includes this file has a name of its own */
#define LEVEL_NAME "neon"
#define HAS_DOTS
#endif

/* Taken over from the levels of x86: no ARM machine has been measured. */
enum {
    PREFETCH_BYTES = 2048,      /* in-order and small cores keep few lines on their way */
    RESIDENT_BYTES = 256 << 10, /* half of the L2 cache of a Cortex-A76 */
    MANY_PANELS = 8,
    MANY_ROWS = 256,
    SLICE_UNITS = 8,            /* 256 columns: 6 KiB of a quantised panel, 16 KiB of a float one */
    FLOAT_MIN_ROWS = 8,
    QUANT_MIN_ROWS = 8,         /* a copy takes the instructions of 4 rows */
    SPAN_PAGES = 4,
    BAND_STRIPS = 8,
    PEAK_SUMS = 6,              /* four registers each, of 32 */
    ROW_CHUNK = 4096,
    FETCHED_BYTES = 64 << 10,
};

#define ROWS_MAX 4
/* i_dots() takes the quarters of codes one by one: four rows' sums of a quarter fit beside their float sums. */
#define DOT_ROWS 4
#define BYTE_ZERO 0
#define SKIPS_DIGITS
#define SUMS_BLOCKS

typedef struct { float32x4_t q[4]; } vf;
typedef struct { int8x16_t q[4]; } vi;

#define QUARTERS UNROLL for (int i = 0; i < 4; i++)
#define F_QUARTERS(expression) { vf y; QUARTERS y.q[i] = (expression); return y; }
#define I_QUARTERS(expression) { vi y; QUARTERS y.q[i] = (expression); return y; }

INLINE int32x4_t neon_words(int8x16_t x) { return vreinterpretq_s32_s8(x); }
INLINE int8x16_t neon_bytes(int32x4_t x) { return vreinterpretq_s8_s32(x); }
INLINE float32x4_t neon_from_f16(uint16x4_t x) { return vcvt_f32_f16(vreinterpret_f16_u16(x)); }
INLINE float32x4_t neon_from_bf16(uint16x4_t x) { return vreinterpretq_f32_u32(vshll_n_u16(x, 16)); }
/* Bytes x less `zero`: as the low bits of floats from 2^23 on, whose difference takes a quarter of the cycles
 * of a conversion. */
INLINE float32x4_t neon_quarter_from_u8(uint8x16_t x, int i, float zero) {
    const uint8x16x2_t bytes = {{x, vdupq_n_u8(0x4B)}};
    const uint8_t at = (uint8_t)(4 * i);
    const uint8x16_t order = {at, 255, 255, 16, at + 1, 255, 255, 16, at + 2, 255, 255, 16, at + 3, 255, 255, 16};
    return vsubq_f32(vreinterpretq_f32_u8(vqtbl2q_u8(bytes, order)), vdupq_n_f32(0x1p23f + zero));
}
INLINE vf neon_from_u8(uint8x16_t x, float zero) F_QUARTERS(neon_quarter_from_u8(x, i, zero))
/* 2^e by its exponent bits, in two factors so that a subnormal result survives. */
INLINE float32x4_t neon_scale2(float32x4_t x, float32x4_t e) {
    const int32x4_t whole = vcvtnq_s32_f32(e), half = vshrq_n_s32(whole, 1), rest = vsubq_s32(whole, half);
    const int32x4_t bias = vdupq_n_s32(127);
    const float32x4_t a = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(half, bias), 23));
    const float32x4_t b = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(rest, bias), 23));
    return vmulq_f32(vmulq_f32(x, a), b);
}
INLINE float32x4_t neon_first(float32x4_t a, int count, float32x4_t other) {
    static const int32_t lanes[4] = {0, 1, 2, 3};
    return vbslq_f32(vcltq_s32(vld1q_s32(lanes), vdupq_n_s32(count)), a, other);
}
/* The rows of a block of 4 x 4 become its columns. */
INLINE void neon_turn(float32x4_t *a, float32x4_t *b, float32x4_t *c, float32x4_t *d) {
    const float64x2_t p = vreinterpretq_f64_f32(vtrn1q_f32(*a, *b)), q = vreinterpretq_f64_f32(vtrn2q_f32(*a, *b));
    const float64x2_t r = vreinterpretq_f64_f32(vtrn1q_f32(*c, *d)), s = vreinterpretq_f64_f32(vtrn2q_f32(*c, *d));
    *a = vreinterpretq_f32_f64(vzip1q_f64(p, r));
    *b = vreinterpretq_f32_f64(vzip1q_f64(q, s));
    *c = vreinterpretq_f32_f64(vzip2q_f64(p, r));
    *d = vreinterpretq_f32_f64(vzip2q_f64(q, s));
}

INLINE vf    f_zero(void) F_QUARTERS(vdupq_n_f32(0.0f))
INLINE vf    f_set1(float x) F_QUARTERS(vdupq_n_f32(x))
INLINE vf    f_load(const float *p) F_QUARTERS(vld1q_f32(p + 4 * i))
INLINE void  f_store(float *p, vf a) { QUARTERS vst1q_f32(p + 4 * i, a.q[i]); }
INLINE vf    f_load_f16(const void *p) F_QUARTERS(neon_from_f16(vld1_u16((const uint16_t *)p + 4 * i)))
INLINE vf    f_load_bf16(const void *p) F_QUARTERS(neon_from_bf16(vld1_u16((const uint16_t *)p + 4 * i)))
INLINE vf    f_load_i8(const void *p) {
    return neon_from_u8(veorq_u8(vld1q_u8((const uint8_t *)p), vdupq_n_u8(128)), 128.0f);
}
INLINE vf    f_load_u8(const void *p) { return neon_from_u8(vld1q_u8((const uint8_t *)p), 0.0f); }
INLINE vf    f_load_u4(const void *p, int shift) {
    const uint8x16_t moved = vshlq_u8(vld1q_u8((const uint8_t *)p), vdupq_n_s8((int8_t)-shift));
    return neon_from_u8(vandq_u8(moved, vdupq_n_u8(15)), 0.0f);
}
INLINE vf    f_add(vf a, vf b) F_QUARTERS(vaddq_f32(a.q[i], b.q[i]))
INLINE vf    f_sub(vf a, vf b) F_QUARTERS(vsubq_f32(a.q[i], b.q[i]))
INLINE vf    f_mul(vf a, vf b) F_QUARTERS(vmulq_f32(a.q[i], b.q[i]))
INLINE vf    f_div(vf a, vf b) F_QUARTERS(vdivq_f32(a.q[i], b.q[i]))
/* Not fmax, which answers NaN with NaN. */
INLINE vf    f_max(vf a, vf b) F_QUARTERS(vbslq_f32(vcgtq_f32(a.q[i], b.q[i]), a.q[i], b.q[i]))
INLINE vf    f_min(vf a, vf b) F_QUARTERS(vbslq_f32(vcltq_f32(a.q[i], b.q[i]), a.q[i], b.q[i]))
INLINE vf    f_abs(vf a) F_QUARTERS(vabsq_f32(a.q[i]))
INLINE vf    f_fma(vf a, vf b, vf c) F_QUARTERS(vfmaq_f32(c.q[i], a.q[i], b.q[i]))
INLINE vf    f_fnma(vf a, vf b, vf c) F_QUARTERS(vfmsq_f32(c.q[i], a.q[i], b.q[i]))
INLINE vf    f_round(vf a) F_QUARTERS(vrndnq_f32(a.q[i]))
INLINE vf    f_scale2(vf a, vf e) F_QUARTERS(neon_scale2(a.q[i], e.q[i]))
INLINE vf    f_load_e8m0(const uint8_t *p) { return f_scale2(f_set1(1.0f), f_sub(f_load_u8(p), f_set1(128.0f))); }
INLINE vf    f_load_e5m3(const uint8_t *p) {
    const uint8x16_t x = vld1q_u8(p);
    const uint16x8_t low = vshll_n_u8(vget_low_u8(x), 7), high = vshll_high_n_u8(x, 7);
    return (vf){{neon_from_f16(vget_low_u16(low)), neon_from_f16(vget_high_u16(low)),
                 neon_from_f16(vget_low_u16(high)), neon_from_f16(vget_high_u16(high))}};
}
INLINE float f_sum(vf a) { return vaddvq_f32(vaddq_f32(vaddq_f32(a.q[0], a.q[1]), vaddq_f32(a.q[2], a.q[3]))); }
INLINE float f_hmax(vf a) { return vmaxvq_f32(vmaxq_f32(vmaxq_f32(a.q[0], a.q[1]), vmaxq_f32(a.q[2], a.q[3]))); }
INLINE vf    f_swap_pairs(vf a) F_QUARTERS(vrev64q_f32(a.q[i]))
/* 16 blocks of 4 x 4, which change places across the diagonal. */
INLINE void  f_turn(vf *rows) {
    UNROLL for (int i = 0; i < 4; i++)
        UNROLL for (int j = 0; j < 4; j++)
            neon_turn(&rows[4 * i].q[j], &rows[4 * i + 1].q[j], &rows[4 * i + 2].q[j], &rows[4 * i + 3].q[j]);
    UNROLL for (int i = 0; i < 4; i++)
        UNROLL for (int j = 0; j < i; j++)
            UNROLL for (int k = 0; k < 4; k++) {
                const float32x4_t x = rows[4 * i + k].q[j];
                rows[4 * i + k].q[j] = rows[4 * j + k].q[i];
                rows[4 * j + k].q[i] = x;
            }
}
INLINE vf    f_first(vf a, int count, vf other) F_QUARTERS(neon_first(a.q[i], count - 4 * i, other.q[i]))
INLINE vf    f_from_i(vi a) F_QUARTERS(vcvtq_f32_s32(neon_words(a.q[i])))
/* A sum that began as the bits of 1.5 * 2^23 is those of a float, larger by that: a subtraction takes a
 * quarter of the cycles of a conversion on Neoverse N1 and N2. */
#define SUM_BIAS 0x4B400000
/* Loaded for each sum, beside products, by pipelines that they leave idle; a copy of a register would take
 * turns with them. */
INLINE int8x16_t neon_bias(void) {
    _Alignas(16) static const int32_t bias[4] = {SUM_BIAS, SUM_BIAS, SUM_BIAS, SUM_BIAS};
    return neon_bytes(*(const volatile int32x4_t *)bias);
}
INLINE vi    i_bias(void) I_QUARTERS(neon_bias())
INLINE vf    f_from_sum(vi a) F_QUARTERS(vsubq_f32(vreinterpretq_f32_s8(a.q[i]), vdupq_n_f32(0x1.8p23f)))
INLINE void  f_store_f16(void *p, vf a) {
    QUARTERS vst1_u16((uint16_t *)p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(a.q[i])));
}
INLINE void  f_store_i8(int8_t *p, vf a) {
    int32x4_t whole[4];
    QUARTERS whole[i] = vcvtnq_s32_f32(a.q[i]);
    const int16x8_t low = vcombine_s16(vqmovn_s32(whole[0]), vqmovn_s32(whole[1]));
    const int16x8_t high = vcombine_s16(vqmovn_s32(whole[2]), vqmovn_s32(whole[3]));
    vst1q_s8(p, vcombine_s8(vqmovn_s16(low), vqmovn_s16(high)));
}

INLINE vi    i_load(const void *p) I_QUARTERS(vld1q_s8((const int8_t *)p + 16 * i))
INLINE vi    i_zero(void) I_QUARTERS(vdupq_n_s8(0))
INLINE vi    i_or(vi a, vi b) I_QUARTERS(vorrq_s8(a.q[i], b.q[i]))
/* Bytes move by themselves; a shift of 0 is no instruction, nor a mask of all bits that are left. */
INLINE int8x16_t neon_field(int8x16_t v, int shift, int mask) {
    const uint8x16_t bytes = vreinterpretq_u8_s8(v);
    const uint8x16_t moved = shift > 0 ? bytes >> shift : shift < 0 ? bytes << -shift : bytes;
    const int left = shift > 0 ? 0xFF >> shift : 0xFF << -shift & 0xFF;
    return vreinterpretq_s8_u8(mask == left ? moved : vandq_u8(moved, vdupq_n_u8((uint8_t)mask)));
}
INLINE vi    i_field(vi v, int shift, int mask) I_QUARTERS(neon_field(v.q[i], shift, mask))
/* One instruction, of which clang would make two if it knew that they do the same. */
INLINE int8x16_t neon_insert(int8x16_t a, int8x16_t b, int8x16_t mask) {
    __asm__("bit %0.16b, %1.16b, %2.16b" : "+w"(a) : "w"(b), "w"(mask));
    return a;
}
#define HAS_INSERT
INLINE vi    i_insert(vi a, vi b, int shift, int mask)
    I_QUARTERS(neon_insert(a.q[i], neon_field(b.q[i], shift, shift > 0 ? 0xFF >> shift : 0xFF << -shift & 0xFF),
                           vdupq_n_s8((int8_t)mask)))
INLINE vi    i_lut(vi v, const int8_t *table) I_QUARTERS(vqtbl1q_s8(vld1q_s8(table), vreinterpretq_u8_s8(v.q[i])))
INLINE vi    i_bytes(vi v) { return v; }
INLINE vi    i_add(vi a, vi b) I_QUARTERS(neon_bytes(vaddq_s32(neon_words(a.q[i]), neon_words(b.q[i]))))
INLINE vi    i_shl(vi a, int n) I_QUARTERS(neon_bytes(vshlq_s32(neon_words(a.q[i]), vdupq_n_s32(n))))
INLINE vi    i_start(const int32_t *p, int n) I_QUARTERS(neon_bytes(vdupq_n_s32(*p * (1 << n))))

#ifdef HAS_DOTS
#define NEON_DOT(sum, codes, x, lane) vdotq_laneq_s32(sum, codes, x, lane)
#else
/* Products of bytes in 16 bits, of which two fit a sum: 2 * 128 * 127. */
#define NEON_DOT(sum, codes, x, lane) neon_dot(sum, codes, neon_bytes(vdupq_laneq_s32(neon_words(x), lane)))
INLINE int32x4_t neon_dot(int32x4_t sum, int8x16_t codes, int8x16_t four) {
    const int16x8_t low = vmull_s8(vget_low_s8(codes), vget_low_s8(four)), high = vmull_high_s8(codes, four);
    return vpadalq_s16(sum, vpaddq_s16(low, high));
}
#endif
/* Quarter by quarter: a register of codes meets all rows before the next, and few sums are on their way. */
INLINE void  i_dots(int rows, const vi *codes, int n, const int8_t *x, size_t step, int bits, vi *sums) {
    (void)bits;
    UNROLL for (int i = 0; i < 4; i++) {
        UNROLL for (int c = 0; c < n; c += 4)
            UNROLL for (int t = 0; t < rows; t++) {
                const int8x16_t row = vld1q_s8(x + t * step + 4 * c);
                int32x4_t s = neon_words(sums[t].q[i]);
                s = NEON_DOT(s, codes[c].q[i], row, 0);
                s = NEON_DOT(s, codes[c + 1].q[i], row, 1);
                s = NEON_DOT(s, codes[c + 2].q[i], row, 2);
                s = NEON_DOT(s, codes[c + 3].q[i], row, 3);
                sums[t].q[i] = neon_bytes(s);
            }
    }
}

/* Bundles of 4 rows, each row in a register of its own, which meet a quarter of 4 chunks: a part. */
#ifndef BUNDLE_ROWS
#define BUNDLE_ROWS 4

INLINE void  p_join(const vf *rows, vf *parts) {
    UNROLL for (int part = 0; part < 4; part++)
        QUARTERS parts[part].q[i] = rows[i].q[part];
}
INLINE void  p_part(const vf *parts, vf *rows) { p_join(parts, rows); }
INLINE void  p_codes(const vi *chunks, int zero, vi *parts) {
    UNROLL for (int part = 0; part < 4; part++)
        QUARTERS parts[part].q[i] = zero ? vsubq_s8(chunks[i].q[part], vdupq_n_s8((int8_t)zero)) : chunks[i].q[part];
}
INLINE vf    p_values(const float *p) {
    const float32x4_t x = vld1q_f32(p);
    return (vf){{vdupq_laneq_f32(x, 0), vdupq_laneq_f32(x, 1), vdupq_laneq_f32(x, 2), vdupq_laneq_f32(x, 3)}};
}
INLINE vf    p_outputs(const vf *joined) F_QUARTERS(joined->q[0])
INLINE vi    p_dots(vi sums, vi codes, const int8_t *x) {
    QUARTERS {
        const int8x16_t row = vld1q_s8(x + 16 * i);
        int32x4_t s = neon_words(sums.q[i]);
        s = NEON_DOT(s, codes.q[0], row, 0);
        s = NEON_DOT(s, codes.q[1], row, 1);
        s = NEON_DOT(s, codes.q[2], row, 2);
        s = NEON_DOT(s, codes.q[3], row, 3);
        sums.q[i] = neon_bytes(s);
    }
    return sums;
}
#endif

#endif
