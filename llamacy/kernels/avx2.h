/* The verbs in AVX2 with FMA and F16C: two registers each for vf and vi. */
#ifndef LLAMACY_AVX2_H
#define LLAMACY_AVX2_H

#include "verbs.h"
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
INLINE vi i_start(const int32_t *p, int log2) {
    __m256i start = _mm256_slli_epi32(_mm256_set1_epi32(*p), log2);
    return (vi){start, start};
}

#ifndef HAS_VNNI

enum { BYTE_ZERO = 0 };
INLINE vi i_bytes(vi v) { return v; }

/* Unsigned codes below 2^bits times int8, summed in pairs to 16 bits without
 * overflow: 2 * (2^bits - 1) * 127 a chunk, so 8 chunks of 4 bits fit, 4 of 5, 2 of 6. */
INLINE __m256i i_dot_half(__m256i sum, const vi *codes, int high, int n, const int8_t *x, int bits) {
    const __m256i ones = _mm256_set1_epi16(1);
    const int room = bits <= 4 ? 8 : bits == 5 ? 4 : bits == 6 ? 2 : 1;
    __m256i pairs = sum;
    UNROLL for (int c = 0; c < n; c++) {
        int32_t four;
        memcpy(&four, x + 4 * c, 4);
        __m256i w = high ? codes[c].hi : codes[c].lo, a = _mm256_set1_epi32(four);
        /* signed codes: |w| * (x with w's sign) stays within 2 * 128 * 127 */
        __m256i p = bits == 8 ? _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(a, w))
                              : _mm256_maddubs_epi16(w, a);
        if (c && c % room == 0) sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
        pairs = c % room == 0 ? p : _mm256_add_epi16(pairs, p);
    }
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
}
INLINE vi i_dot(vi start, const vi *codes, int n, const int8_t *x, int bits) {
    return (vi){i_dot_half(start.lo, codes, 0, n, x, bits), i_dot_half(start.hi, codes, 1, n, x, bits)};
}

#endif

#endif
