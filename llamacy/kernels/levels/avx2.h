/* The verbs in AVX2 with FMA and F16C: two registers each for vf and vi. */
#ifndef LLAMACY_AVX2_H
#define LLAMACY_AVX2_H

#include "levels/verbs.h"
#include <immintrin.h>

#ifndef LEVEL_NAME
#define LEVEL_NAME "avx2"
#endif
#define TOKENS_MAX 4

typedef struct { __m256 lo, hi; } vf;
typedef struct { __m256i lo, hi; } vi;

INLINE vf f_both(__m256 x) { return (vf){x, x}; }
INLINE vf f_zero(void) { return f_both(_mm256_setzero_ps()); }
INLINE vf f_set1(float x) { return f_both(_mm256_set1_ps(x)); }
INLINE vf f_load(const float *p) { return (vf){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
INLINE void f_store(float *p, vf x) { _mm256_storeu_ps(p, x.lo); _mm256_storeu_ps(p + 8, x.hi); }
INLINE vf f_load_f16(const void *p) {
    const __m128i *half = (const __m128i *)p;
    return (vf){_mm256_cvtph_ps(_mm_loadu_si128(half)), _mm256_cvtph_ps(_mm_loadu_si128(half + 1))};
}
INLINE __m256 f_widen_bf16(__m128i x) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
}
INLINE vf f_load_bf16(const void *p) {
    const __m128i *half = (const __m128i *)p;
    return (vf){f_widen_bf16(_mm_loadu_si128(half)), f_widen_bf16(_mm_loadu_si128(half + 1))};
}
INLINE vf f_load_i8(const void *p) {
    __m128i x = _mm_loadu_si128((const __m128i *)p);
    return (vf){_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(x)),
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(x, 8)))};
}
INLINE vf f_load_u8(const void *p) {
    __m128i x = _mm_loadu_si128((const __m128i *)p);
    return (vf){_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(x)),
                _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(x, 8)))};
}
INLINE vf f_load_u4(const void *p, int shift) {
    __m128i x = _mm_srli_epi16(_mm_loadu_si128((const __m128i *)p), shift);
    x = _mm_and_si128(x, _mm_set1_epi8(15));
    return (vf){_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(x)),
                _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(x, 8)))};
}
INLINE vf f_add(vf a, vf b) { return (vf){_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
INLINE vf f_sub(vf a, vf b) { return (vf){_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
INLINE vf f_mul(vf a, vf b) { return (vf){_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
INLINE vf f_div(vf a, vf b) { return (vf){_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
INLINE vf f_max(vf a, vf b) { return (vf){_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
INLINE vf f_min(vf a, vf b) { return (vf){_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }
INLINE vf f_abs(vf a) {
    __m256 sign = _mm256_set1_ps(-0.0f);
    return (vf){_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}
INLINE vf f_fma(vf a, vf b, vf c) {
    return (vf){_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
INLINE vf f_fnma(vf a, vf b, vf c) {
    return (vf){_mm256_fnmadd_ps(a.lo, b.lo, c.lo), _mm256_fnmadd_ps(a.hi, b.hi, c.hi)};
}
INLINE vf f_round(vf a) {
    return (vf){_mm256_round_ps(a.lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                _mm256_round_ps(a.hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
/* 2^n by its exponent bits, in two factors so that a subnormal result survives. */
INLINE __m256 f_scale2_half(__m256 x, __m256 n) {
    __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    __m256i rest = _mm256_sub_epi32(whole, half), bias = _mm256_set1_epi32(127);
    __m256 a = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
    __m256 b = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
    return _mm256_mul_ps(_mm256_mul_ps(x, a), b);
}
INLINE vf f_scale2(vf x, vf n) { return (vf){f_scale2_half(x.lo, n.lo), f_scale2_half(x.hi, n.hi)}; }
INLINE vf f_load_e8m0(const uint8_t *p) { return f_scale2(f_set1(1.0f), f_sub(f_load_u8(p), f_set1(128.0f))); }
INLINE float f_sum(vf a) {
    __m256 x = _mm256_add_ps(a.lo, a.hi);
    __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_add_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
}
INLINE float f_hmax(vf a) {
    __m256 x = _mm256_max_ps(a.lo, a.hi);
    __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_max_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_max_ss(y, _mm_movehdup_ps(y)));
}
INLINE vf f_swap_pairs(vf a) { return (vf){_mm256_permute_ps(a.lo, 0xB1), _mm256_permute_ps(a.hi, 0xB1)}; }
INLINE vf f_first(vf a, int n, vf other) {
    __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256 lo = _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(n), lanes));
    __m256 hi = _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(n - 8), lanes));
    return (vf){_mm256_blendv_ps(other.lo, a.lo, lo), _mm256_blendv_ps(other.hi, a.hi, hi)};
}
INLINE vf f_from_i(vi a) { return (vf){_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)}; }
INLINE void f_store_f16(void *p, vf a) {
    __m128i *half = (__m128i *)p;
    _mm_storeu_si128(half, _mm256_cvtps_ph(a.lo, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128(half + 1, _mm256_cvtps_ph(a.hi, _MM_FROUND_TO_NEAREST_INT));
}
INLINE void f_store_i8(int8_t *p, vf a) {
    __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi));
    words = _mm256_permute4x64_epi64(words, 0xD8); /* packs works within 128-bit halves */
    __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128((__m128i *)p, bytes);
}

INLINE vi i_load(const void *p) {
    const __m256i *half = (const __m256i *)p;
    return (vi){_mm256_loadu_si256(half), _mm256_loadu_si256(half + 1)};
}
INLINE vi i_or(vi a, vi b) { return (vi){_mm256_or_si256(a.lo, b.lo), _mm256_or_si256(a.hi, b.hi)}; }
INLINE __m256i i_field_half(__m256i v, int shift, int mask) {
    __m256i moved = shift > 0 ? _mm256_srli_epi16(v, shift) : shift < 0 ? _mm256_slli_epi16(v, -shift) : v;
    return _mm256_and_si256(moved, _mm256_set1_epi8((char)mask));
}
INLINE vi i_field(vi v, int shift, int mask) {
    return (vi){i_field_half(v.lo, shift, mask), i_field_half(v.hi, shift, mask)};
}
INLINE vi i_lut(vi v, const int8_t *table) {
    __m256i t = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table));
    return (vi){_mm256_shuffle_epi8(t, v.lo), _mm256_shuffle_epi8(t, v.hi)};
}
INLINE vi i_zero(void) { return (vi){_mm256_setzero_si256(), _mm256_setzero_si256()}; }
INLINE vi i_add(vi a, vi b) { return (vi){_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)}; }
INLINE vi i_shl(vi a, int n) { return (vi){_mm256_slli_epi32(a.lo, n), _mm256_slli_epi32(a.hi, n)}; }
INLINE vi i_start(const int32_t *p, int log2) {
    const __m256i start = _mm256_slli_epi32(_mm256_set1_epi32(*p), log2);
    return (vi){start, start};
}
/* Four bytes in every lane. */
INLINE __m256i i_set1_four(const void *p) {
    int32_t four;
    memcpy(&four, p, 4);
    return _mm256_set1_epi32(four);
}

/* 16 registers are too few for a unit's codes: a chunk meets all rows before the next one,
 * which halves the loads per product. */
#define DOT_ROWS 4

#ifndef HAS_VNNI

enum { BYTE_ZERO = 0 };
INLINE vi i_bytes(vi v) { return v; }

/* Products of bytes in pairs. Signed codes: |w| * (x with w's sign) stays within 2 * 128 * 127. */
INLINE __m256i i_pairs(__m256i w, __m256i x, int bits) {
    return bits == 8 ? _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w)) : _mm256_maddubs_epi16(w, x);
}
/* x is computed here. Left to itself gcc 12 adds all products of a unit at its end, and
 * until then keeps them on the stack: a third slower. */
#define COMPUTE(x) __asm__("" : "+x"((x).lo), "+x"((x).hi))
INLINE __m256i i_add_pairs(__m256i sum, __m256i pairs) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/* Unsigned codes below 2^bits times int8 are summed in pairs to 16 bits without overflow:
 * 2 * (2^bits - 1) * 127 a chunk, so 8 chunks of 4 bits fit, 4 of 5, 2 of 6. */
INLINE void i_dots_of(int rows, int room, const vi *codes, int n, const int8_t *x, size_t step, int bits, vi *sums) {
    vi pairs[DOT_ROWS];
    UNROLL for (int c = 0; c < n; c++) {
        UNROLL for (int t = 0; t < rows; t++) {
            const __m256i a = i_set1_four(x + t * step + 4 * c);
            const vi p = {i_pairs(codes[c].lo, a, bits), i_pairs(codes[c].hi, a, bits)};
            pairs[t].lo = c % room == 0 ? p.lo : _mm256_add_epi16(pairs[t].lo, p.lo);
            pairs[t].hi = c % room == 0 ? p.hi : _mm256_add_epi16(pairs[t].hi, p.hi);
            COMPUTE(pairs[t]);
            if ((c + 1) % room) continue;
            sums[t] = (vi){i_add_pairs(sums[t].lo, pairs[t].lo), i_add_pairs(sums[t].hi, pairs[t].hi)};
            COMPUTE(sums[t]);
        }
    }
}
INLINE void i_dots(int rows, const vi *codes, int n, const int8_t *x, size_t step, int bits, vi *sums) {
    const int most = bits <= 4 ? 8 : bits == 5 ? 4 : bits == 6 ? 2 : 1, room = most < n ? most : n;
    /* sums and pairs of four rows would be all registers */
    const int together = room < n ? 2 : DOT_ROWS;
    UNROLL for (int t = 0; t < rows; t += together)
        i_dots_of(rows - t < together ? rows - t : together, room, codes, n, x + t * step, step, bits, sums + t);
}

/* Even columns of a chunk come before odd ones, as two shifts leave its bytes in words. */
#define WORD_COLUMNS 0, 2, 1, 3
INLINE void w_store(int16_t *to, const int8_t *q, const int8_t *fine, int bits) {
    const __m128i columns = _mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
    const __m256i order = _mm256_broadcastsi128_si256(columns);
    for (int i = 0; i < 32; i += 16) {
        const __m256i whole = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(q + i)));
        const __m256i rest = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(fine + i)));
        const __m256i words = _mm256_add_epi16(_mm256_slli_epi16(whole, bits), rest);
        _mm256_storeu_si256((__m256i *)(to + i), _mm256_shuffle_epi8(words, order));
    }
}
INLINE __m256i w_even(__m256i bytes) { return _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8); }
INLINE __m256i w_odd(__m256i bytes) { return _mm256_srai_epi16(bytes, 8); }
INLINE void w_dots(int rows, const vi *codes, const int16_t *x, size_t step, vi *sums) {
    UNROLL for (int c = 0; c < 8; c++)
        UNROLL for (int odd = 0; odd < 2; odd++) {
            const vi w = odd ? (vi){w_odd(codes[c].lo), w_odd(codes[c].hi)}
                             : (vi){w_even(codes[c].lo), w_even(codes[c].hi)};
            UNROLL for (int t = 0; t < rows; t++) {
                const __m256i two = i_set1_four(x + t * step + 4 * c + 2 * odd);
                sums[t].lo = _mm256_add_epi32(sums[t].lo, _mm256_madd_epi16(w.lo, two));
                sums[t].hi = _mm256_add_epi32(sums[t].hi, _mm256_madd_epi16(w.hi, two));
                COMPUTE(sums[t]);
            }
        }
}

#endif

#endif
