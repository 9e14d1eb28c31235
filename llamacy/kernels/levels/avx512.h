/* The verbs in AVX-512 with VNNI: one register each for vf and vi. */
#ifndef LLAMACY_AVX512_H
#define LLAMACY_AVX512_H

#include "levels/compiler.h"
#include <immintrin.h>
#include <limits.h>

#ifndef LEVEL_NAME /* a level that includes this file has a name and sizes of its own */
#define LEVEL_NAME "avx512"

/* Chosen on two cores of a Zen 5 EPYC, and where marked X on two of an Ice Lake Xeon at
 * 2.80 GHz. Speeds with these sizes: bench/results/0.1.0-epyc-zen5-peers.json and
 * 0.1.0-xeon-2.80ghz-peers.json. */
enum {
    PREFETCH_BYTES = 7168,      /* one token, Q4_0: 86 to 92 % of the read bandwidth; no further
                                   than the L1 cache has room */
    RESIDENT_BYTES = 512 << 10, /* half of the L2 cache */
    MANY_PANELS = 8,            /* X */
    MANY_ROWS = 256,            /* X */
    SLICE_UNITS = 8,            /* X: 256 columns: 6 KiB of a quantised panel, 16 KiB of a float one */
    FLOAT_MIN_ROWS = 32,        /* X: with fewer, an unpacked copy is hardly read again */
    QUANT_MIN_ROWS = INT_MAX,   /* never: codes that 16 rows meet once unpacked are unpacked anew in less
                                   time than their copy, thrice as large, takes to come back from L2 */
    SPAN_PAGES = 4,             /* X: maxima, sums and rescaling are cheap beside 128 tokens */
    BAND_STRIPS = 8,            /* cheap to unpack a span for, and all stay in the L2 cache */
    PEAK_SUMS = 12,             /* of 32 registers */
    ROW_CHUNK = 4096,           /* a row of logits is work for all threads */
    FETCHED_BYTES = 64 << 10,   /* the L2 cache has room for them */
};
#endif

#define ROWS_MAX 16
/* Registers hold one row's chunks. */
#define DOT_ROWS 1
/* A dot product that is left out is time saved, and the branch is seen long before its turn. */
#define SKIPS_DIGITS
#define BYTE_ZERO 128

typedef __m512 vf;
typedef __m512i vi;

INLINE __m128i avx512_load16(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
INLINE __m256i avx512_load32(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
INLINE __m512 avx512_from_i8(__m128i x) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(x)); }
INLINE __m512 avx512_from_u8(__m128i x) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(x)); }
INLINE __m512 avx512_from_bf16(__m256i x) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}
INLINE __m128i avx512_u4(__m128i x, int shift) { return _mm_and_si128(_mm_srli_epi16(x, shift), _mm_set1_epi8(15)); }

#define NEAREST (_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)

INLINE vf    f_zero(void) { return _mm512_setzero_ps(); }
INLINE vf    f_set1(float x) { return _mm512_set1_ps(x); }
INLINE vf    f_load(const float *p) { return _mm512_loadu_ps(p); }
INLINE void  f_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
INLINE vf    f_load_f16(const void *p) { return _mm512_cvtph_ps(avx512_load32(p)); }
INLINE vf    f_load_bf16(const void *p) { return avx512_from_bf16(avx512_load32(p)); }
INLINE vf    f_load_i8(const void *p) { return avx512_from_i8(avx512_load16(p)); }
INLINE vf    f_load_u8(const void *p) { return avx512_from_u8(avx512_load16(p)); }
INLINE vf    f_load_u4(const void *p, int shift) { return avx512_from_u8(avx512_u4(avx512_load16(p), shift)); }
INLINE vf    f_add(vf a, vf b) { return _mm512_add_ps(a, b); }
INLINE vf    f_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
INLINE vf    f_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
INLINE vf    f_div(vf a, vf b) { return _mm512_div_ps(a, b); }
INLINE vf    f_max(vf a, vf b) { return _mm512_max_ps(a, b); }
INLINE vf    f_min(vf a, vf b) { return _mm512_min_ps(a, b); }
INLINE vf    f_abs(vf a) { return _mm512_abs_ps(a); }
INLINE vf    f_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
INLINE vf    f_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
INLINE vf    f_round(vf a) { return _mm512_roundscale_ps(a, NEAREST); }
INLINE vf    f_scale2(vf a, vf e) { return _mm512_scalef_ps(a, e); }
INLINE vf    f_load_e8m0(const uint8_t *p) { return f_scale2(f_set1(1.0f), f_sub(f_load_u8(p), f_set1(128.0f))); }
INLINE vf    f_load_e5m3(const uint8_t *p) {
    return _mm512_cvtph_ps(_mm256_slli_epi16(_mm256_cvtepu8_epi16(avx512_load16(p)), 7));
}
INLINE float f_sum(vf a) { return _mm512_reduce_add_ps(a); }
INLINE float f_hmax(vf a) { return _mm512_reduce_max_ps(a); }
INLINE vf    f_swap_pairs(vf a) { return _mm512_permute_ps(a, 0xB1); }
/* Blocks of 4 x 4 within quarters of registers, then the quarters. */
INLINE void  f_turn(vf *rows) {
    __m512 pairs[16], fours[16];
    UNROLL for (int i = 0; i < 16; i += 2) {
        pairs[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
    }
    UNROLL for (int i = 0; i < 16; i += 4)
        UNROLL for (int j = 0; j < 4; j++) {
            const __m512d a = _mm512_castps_pd(pairs[i + j / 2]), b = _mm512_castps_pd(pairs[i + j / 2 + 2]);
            fours[i + j] = _mm512_castpd_ps(j % 2 ? _mm512_unpackhi_pd(a, b) : _mm512_unpacklo_pd(a, b));
        }
    UNROLL for (int j = 0; j < 4; j++) {
        const __m512 a = _mm512_shuffle_f32x4(fours[j], fours[4 + j], 0x88);
        const __m512 b = _mm512_shuffle_f32x4(fours[j], fours[4 + j], 0xDD);
        const __m512 c = _mm512_shuffle_f32x4(fours[8 + j], fours[12 + j], 0x88);
        const __m512 d = _mm512_shuffle_f32x4(fours[8 + j], fours[12 + j], 0xDD);
        rows[j] = _mm512_shuffle_f32x4(a, c, 0x88);
        rows[4 + j] = _mm512_shuffle_f32x4(b, d, 0x88);
        rows[8 + j] = _mm512_shuffle_f32x4(a, c, 0xDD);
        rows[12 + j] = _mm512_shuffle_f32x4(b, d, 0xDD);
    }
}
INLINE vf    f_first(vf a, int count, vf other) {
    return _mm512_mask_blend_ps((__mmask16)(0xFFFFu >> (16 - count)), other, a);
}
INLINE vf    f_from_i(vi a) { return _mm512_cvtepi32_ps(a); }
INLINE void  f_store_f16(void *p, vf a) { _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(a, NEAREST)); }
INLINE void  f_store_i8(int8_t *p, vf a) {
    _mm_storeu_si128((__m128i *)p, _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(a)));
}

INLINE vi    i_load(const void *p) { return _mm512_loadu_si512(p); }
INLINE vi    i_zero(void) { return _mm512_setzero_si512(); }
INLINE vi    i_or(vi a, vi b) { return _mm512_or_si512(a, b); }
INLINE vi    i_field(vi v, int shift, int mask) {
    vi moved = shift > 0 ? _mm512_srli_epi16(v, shift) : shift < 0 ? _mm512_slli_epi16(v, -shift) : v;
    return _mm512_and_si512(moved, _mm512_set1_epi8((char)mask));
}
INLINE vi    i_lut(vi v, const int8_t *table) {
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(avx512_load16(table)), v);
}
INLINE vi    i_bytes(vi v) { return _mm512_xor_si512(v, _mm512_set1_epi8((char)BYTE_ZERO)); }
INLINE vi    i_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
INLINE vi    i_shl(vi a, int n) { return _mm512_slli_epi32(a, (unsigned)n); }
INLINE vi    i_start(const int32_t *p, int n) { return _mm512_slli_epi32(_mm512_set1_epi32(*p), (unsigned)n); }
/* vpdpbusd takes all of an unsigned byte, whatever the bits. Each product waits for the sum
 * that it adds to, and few rows fit into the CPU's scheduler: the sum of 8 chunks is made
 * in two halves. */
INLINE void  i_dots(int rows, const vi *codes, int n, const int8_t *x, size_t step, int bits, vi *sums) {
    (void)bits;
    const int parts = n / 4;
    UNROLL for (int t = 0; t < rows; t++) {
        vi part[2] = {sums[t], i_zero()};
        UNROLL for (int c = 0; c < n; c++) {
            int32_t four;
            memcpy(&four, x + t * step + 4 * c, 4);
            part[c % parts] = _mm512_dpbusd_epi32(part[c % parts], codes[c], _mm512_set1_epi32(four));
        }
        sums[t] = parts == 1 ? part[0] : i_add(part[0], part[1]);
    }
}

#ifndef HAS_TILES /* which multiply 16-bit floats in bfloat16 */
#define HAS_FIXED
INLINE void  h_store(int16_t *to, vf a) {
    _mm256_storeu_si256((__m256i *)to, _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(a)));
}
INLINE vf    avx512_load_half(int is_bf16, const uint8_t *p) { return is_bf16 ? f_load_bf16(p) : f_load_f16(p); }
/* The largest magnitude of 32 columns of each row: that of their bits, without signs. */
INLINE vf    avx512_peak(int is_bf16, const uint8_t *columns) {
    __m512i peak = _mm512_setzero_si512();
    UNROLL for (int p = 0; p < 16; p++)
        peak = _mm512_max_epu16(peak, _mm512_and_si512(i_load(columns + 64 * p), _mm512_set1_epi16(0x7FFF)));
    const __m256i each = _mm256_max_epu16(_mm512_castsi512_si256(peak), _mm512_extracti64x4_epi64(peak, 1));
    return is_bf16 ? avx512_from_bf16(each) : _mm512_cvtph_ps(each);
}
INLINE vf    h_fix(int is_bf16, const uint8_t *columns, vi *words) {
    enum { EXPONENT = 23 }; /* where float32 has it */
    const vf peak = avx512_peak(is_bf16, columns);
    const vf whole = f_set1(0x1.8p23f); /* the lowest bits of a sum with it are the integer */
    const __m512i power = _mm512_and_si512(_mm512_castps_si512(peak), _mm512_set1_epi32(0xFF << EXPONENT));
    const __m512i most = _mm512_max_epi32(power, _mm512_set1_epi32(27 << EXPONENT));
    const vf inverse = _mm512_castsi512_ps(_mm512_sub_epi32(_mm512_set1_epi32((int)(266u << EXPONENT)), most));
    const vf scale = _mm512_castsi512_ps(_mm512_sub_epi32(most, _mm512_set1_epi32(12 << EXPONENT)));
    UNROLL for (int p = 0; p < 16; p++) {
        const vf even = f_fma(avx512_load_half(is_bf16, columns + 64 * p), inverse, whole);
        const vf odd = f_fma(avx512_load_half(is_bf16, columns + 64 * p + 32), inverse, whole);
        words[p] = _mm512_mask_blend_epi16(0xAAAAAAAA, _mm512_castps_si512(even),
                                           _mm512_slli_epi32(_mm512_castps_si512(odd), 16));
    }
    return f_fma(peak, f_zero(), scale); /* NaN if the peak is not finite */
}
/* With few rows sums are made in parts, as in i_dots. */
INLINE void  h_dots(int rows, const vi *words, const int16_t *x, size_t step, vi *sums) {
    enum { PARTS = 4 };
    vi part[PARTS][ROWS_MAX];
    const int parts = rows < PARTS ? PARTS : 1;
    UNROLL for (int t = 0; t < rows; t++)
        UNROLL for (int i = 0; i < parts; i++) part[i][t] = i ? i_zero() : sums[t];
    UNROLL for (int p = 0; p < 16; p += parts)
        UNROLL for (int i = 0; i < parts; i++)
            UNROLL for (int t = 0; t < rows; t++) {
                int32_t two;
                memcpy(&two, x + (size_t)t * step + 2 * (p + i), sizeof two);
                part[i][t] = _mm512_dpwssd_epi32(part[i][t], words[p + i], _mm512_set1_epi32(two));
            }
    UNROLL for (int t = 0; t < rows; t++)
        sums[t] = parts == 1 ? part[0][t] : i_add(i_add(part[0][t], part[1][t]), i_add(part[2][t], part[3][t]));
}
#endif

/* Words, which vpermw takes from a table of 32: two sums' 16, the second for odd lanes. Bits 4f .. 4f + 3 of
 * word h of a lane are columns 16 (f % 2) + 4i + j, j = 2h + f / 2. */
#define TABLE_BYTES 256
INLINE vi    avx512_twice(uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    return _mm512_broadcast_i64x4(_mm256_setr_epi64x((int64_t)a, (int64_t)b, (int64_t)c, (int64_t)d));
}
INLINE void  l_tables(uint8_t *tables, const int8_t *x) {
    /* bits 0 and 1 of 0 .. 15, and bits 2 and 3, as codes that count twice */
    const uint64_t low = 0x0202020000020000;
    const vi first = avx512_twice(low, low, low, low);
    const vi last = avx512_twice(0, 0x0002000200020002, 0x0200020002000200, 0x0202020202020202);
    const vi odd = _mm512_maskz_set1_epi8(0xFFFFFFFF00000000, 2);
    UNROLL for (int f = 0; f < 4; f++) {
        const vi four = _mm512_broadcast_i32x4(avx512_load16(x + f % 2 * 16));
        const vi column = _mm512_add_epi8(_mm512_set1_epi16((short)(0x0400 + f / 2 * 0x0101)), odd);
        const vi a = _mm512_shuffle_epi8(four, column);
        const vi b = _mm512_shuffle_epi8(four, _mm512_add_epi8(column, _mm512_set1_epi8(8)));
        const vi sums = _mm512_add_epi16(_mm512_maddubs_epi16(first, a), _mm512_maddubs_epi16(last, b));
        _mm512_storeu_si512(tables + 64 * f, sums);
    }
}
INLINE vi    avx512_look_up(vi plane, const uint8_t *tables, int f) {
    const vi moved = _mm512_srli_epi16(plane, (unsigned)(4 * f)), odd = _mm512_set1_epi32(16 << 16);
    /* moved & 15 | odd; left to gcc 12 it takes a copy more */
    const vi index = _mm512_ternarylogic_epi32(moved, _mm512_set1_epi16(15), odd, 0xEA);
    return _mm512_permutexvar_epi16(index, i_load(tables + 64 * f));
}
/* All units step by step: with gcc 12 a tenth faster than one by one. */
INLINE void  l_sums(int units, const uint8_t *planes, const uint8_t *tables, vi *sums) {
    vi plane[4], words[4];
    UNROLL for (int u = 0; u < units; u++) plane[u] = i_load(planes + 64 * u);
    UNROLL for (int u = 0; u < units; u++)
        UNROLL for (int f = 0; f < 4; f++) {
            const vi found = avx512_look_up(plane[u], tables + TABLE_BYTES * u, f);
            words[u] = f ? _mm512_add_epi16(words[u], found) : found;
        }
    UNROLL for (int u = 0; u < units; u++) sums[u] = _mm512_dpwssd_epi32(sums[u], words[u], _mm512_set1_epi16(1));
}

#endif
