/* The verbs in AVX2 with FMA and F16C: two registers each for vf and vi. */
#ifndef LLAMACY_AVX2_H
#define LLAMACY_AVX2_H

#include "levels/compiler.h"
#include <immintrin.h>

#ifndef LEVEL_NAME /* a level that includes this file has a name and sizes of its own */
#define LEVEL_NAME "avx2"

/* Measured at the AVX-512 levels (avx512.h names the machines) and taken over. */
enum {
    PREFETCH_BYTES = 7168,      /* no further than the L1 cache has room */
    RESIDENT_BYTES = 512 << 10,
    MANY_PANELS = 8,
    MANY_ROWS = 256,
    SLICE_UNITS = 8,            /* 256 columns: 6 KiB of a quantised panel, 16 KiB of a float one */
    FLOAT_MIN_ROWS = 8,
    QUANT_MIN_ROWS = 64,        /* 4 rows at a time: a copy is worth it from 16 times on */
    SPAN_PAGES = 4,
    BAND_STRIPS = 8,            /* cheap to unpack a span for, and all stay in the L2 cache */
    PEAK_SUMS = 6,              /* two registers each, of 16 */
    ROW_CHUNK = 4096,
    FETCHED_BYTES = 64 << 10,   /* the L2 cache has room for them */
};
#endif

#define ROWS_MAX 4
/* 16 registers are too few for a unit's codes: a chunk meets all rows before the next one,
 * which halves the loads per product. */
#define DOT_ROWS 4
#ifndef HAS_VNNI
#define BYTE_ZERO 0
/* Products of codes of 7 bits or less need no signs (avx2_pairs), and of 6 or less fewer sums. */
#define MOVED_LOOKUPS
#endif

typedef struct { __m256 lo, hi; } vf;
typedef struct { __m256i lo, hi; } vi;

/* f of each register. */
#define F1(f, a) ((vf){f((a).lo), f((a).hi)})
#define F2(f, a, b) ((vf){f((a).lo, (b).lo), f((a).hi, (b).hi)})
#define F3(f, a, b, c) ((vf){f((a).lo, (b).lo, (c).lo), f((a).hi, (b).hi, (c).hi)})
#define I2(f, a, b) ((vi){f((a).lo, (b).lo), f((a).hi, (b).hi)})
/* f of each register and something that both share. */
#define F1_BY(f, a, ...) ((vf){f((a).lo, __VA_ARGS__), f((a).hi, __VA_ARGS__)})
#define F1_OF(f, a, ...) ((vf){f(__VA_ARGS__, (a).lo), f(__VA_ARGS__, (a).hi)})
#define I1_BY(f, a, ...) ((vi){f((a).lo, __VA_ARGS__), f((a).hi, __VA_ARGS__)})
#define I1_OF(f, a, ...) ((vi){f(__VA_ARGS__, (a).lo), f(__VA_ARGS__, (a).hi)})

INLINE __m128i avx2_load16(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
INLINE __m256i avx2_load32(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
INLINE const uint8_t *avx2_after(const void *p, size_t bytes) { return (const uint8_t *)p + bytes; }
INLINE __m256 avx2_from_bf16(__m128i x) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
}
INLINE vf avx2_from_i8(__m128i x) {
    return (vf){_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(x)),
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(x, 8)))};
}
INLINE vf avx2_from_u8(__m128i x) {
    return (vf){_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(x)),
                _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(x, 8)))};
}
INLINE __m128i avx2_u4(__m128i x, int shift) { return _mm_and_si128(_mm_srli_epi16(x, shift), _mm_set1_epi8(15)); }
/* 2^e by its exponent bits, in two factors so that a subnormal result survives. */
INLINE __m256 avx2_scale2(__m256 x, __m256 e) {
    __m256i whole = _mm256_cvtps_epi32(e), half = _mm256_srai_epi32(whole, 1);
    __m256i rest = _mm256_sub_epi32(whole, half), bias = _mm256_set1_epi32(127);
    __m256 a = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
    __m256 b = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
    return _mm256_mul_ps(_mm256_mul_ps(x, a), b);
}
INLINE float avx2_sum(__m256 x) {
    __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_add_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
}
INLINE float avx2_hmax(__m256 x) {
    __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_max_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_max_ss(y, _mm_movehdup_ps(y)));
}
INLINE __m256 avx2_first(__m256 a, int count, __m256 other) {
    __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_blendv_ps(other, a, _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(count), lanes)));
}
/* Blocks of 4 x 4 within halves of registers, then the halves. */
INLINE void avx2_turn(__m256 *rows) {
    __m256 pairs[8], fours[8];
    UNROLL for (int i = 0; i < 8; i += 2) {
        pairs[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
    }
    UNROLL for (int i = 0; i < 8; i += 4)
        UNROLL for (int j = 0; j < 4; j++) {
            const __m256d a = _mm256_castps_pd(pairs[i + j / 2]), b = _mm256_castps_pd(pairs[i + j / 2 + 2]);
            fours[i + j] = _mm256_castpd_ps(j % 2 ? _mm256_unpackhi_pd(a, b) : _mm256_unpacklo_pd(a, b));
        }
    UNROLL for (int j = 0; j < 4; j++) {
        rows[j] = _mm256_permute2f128_ps(fours[j], fours[4 + j], 0x20);
        rows[4 + j] = _mm256_permute2f128_ps(fours[j], fours[4 + j], 0x31);
    }
}
INLINE __m128i avx2_to_i8(vf a) {
    __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi));
    words = _mm256_permute4x64_epi64(words, 0xD8); /* packs works within 128-bit halves */
    return _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}
INLINE __m256i avx2_field(__m256i v, int shift, int mask) {
    __m256i moved = shift > 0 ? _mm256_srli_epi16(v, shift) : shift < 0 ? _mm256_slli_epi16(v, -shift) : v;
    return _mm256_and_si256(moved, _mm256_set1_epi8((char)mask));
}
/* Four bytes in every lane. */
INLINE __m256i avx2_set1_four(const void *p) {
    int32_t four;
    memcpy(&four, p, 4);
    return _mm256_set1_epi32(four);
}

#define NEAREST (_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)

INLINE vf    f_zero(void) { return (vf){_mm256_setzero_ps(), _mm256_setzero_ps()}; }
INLINE vf    f_set1(float x) { return (vf){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
INLINE vf    f_load(const float *p) { return (vf){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
INLINE void  f_store(float *p, vf a) { _mm256_storeu_ps(p, a.lo); _mm256_storeu_ps(p + 8, a.hi); }
INLINE vf    f_load_f16(const void *p) {
    return (vf){_mm256_cvtph_ps(avx2_load16(p)), _mm256_cvtph_ps(avx2_load16(avx2_after(p, 16)))};
}
INLINE vf    f_load_bf16(const void *p) {
    return (vf){avx2_from_bf16(avx2_load16(p)), avx2_from_bf16(avx2_load16(avx2_after(p, 16)))};
}
INLINE vf    f_load_i8(const void *p) { return avx2_from_i8(avx2_load16(p)); }
INLINE vf    f_load_u8(const void *p) { return avx2_from_u8(avx2_load16(p)); }
INLINE vf    f_load_u4(const void *p, int shift) { return avx2_from_u8(avx2_u4(avx2_load16(p), shift)); }
INLINE vf    f_add(vf a, vf b) { return F2(_mm256_add_ps, a, b); }
INLINE vf    f_sub(vf a, vf b) { return F2(_mm256_sub_ps, a, b); }
INLINE vf    f_mul(vf a, vf b) { return F2(_mm256_mul_ps, a, b); }
INLINE vf    f_div(vf a, vf b) { return F2(_mm256_div_ps, a, b); }
INLINE vf    f_max(vf a, vf b) { return F2(_mm256_max_ps, a, b); }
INLINE vf    f_min(vf a, vf b) { return F2(_mm256_min_ps, a, b); }
INLINE vf    f_abs(vf a) { return F1_OF(_mm256_andnot_ps, a, _mm256_set1_ps(-0.0f)); }
INLINE vf    f_fma(vf a, vf b, vf c) { return F3(_mm256_fmadd_ps, a, b, c); }
INLINE vf    f_fnma(vf a, vf b, vf c) { return F3(_mm256_fnmadd_ps, a, b, c); }
INLINE vf    f_round(vf a) { return F1_BY(_mm256_round_ps, a, NEAREST); }
INLINE vf    f_scale2(vf a, vf e) { return F2(avx2_scale2, a, e); }
INLINE vf    f_load_e8m0(const uint8_t *p) { return f_scale2(f_set1(1.0f), f_sub(f_load_u8(p), f_set1(128.0f))); }
INLINE vf    f_load_e5m3(const uint8_t *p) {
    const __m256i halves = _mm256_slli_epi16(_mm256_cvtepu8_epi16(avx2_load16(p)), 7);
    return (vf){_mm256_cvtph_ps(_mm256_castsi256_si128(halves)), _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1))};
}
INLINE float f_sum(vf a) { return avx2_sum(_mm256_add_ps(a.lo, a.hi)); }
INLINE float f_hmax(vf a) { return avx2_hmax(_mm256_max_ps(a.lo, a.hi)); }
INLINE vf    f_swap_pairs(vf a) { return F1_BY(_mm256_permute_ps, a, 0xB1); }
/* Four blocks of 8 x 8, of which two change places. */
INLINE void  f_turn(vf *rows) {
    __m256 block[4][8];
    UNROLL for (int i = 0; i < 8; i++) {
        block[0][i] = rows[i].lo, block[1][i] = rows[i].hi;
        block[2][i] = rows[8 + i].lo, block[3][i] = rows[8 + i].hi;
    }
    UNROLL for (int i = 0; i < 4; i++) avx2_turn(block[i]);
    UNROLL for (int i = 0; i < 8; i++) {
        rows[i] = (vf){block[0][i], block[2][i]};
        rows[8 + i] = (vf){block[1][i], block[3][i]};
    }
}
INLINE vf    f_first(vf a, int count, vf other) {
    return (vf){avx2_first(a.lo, count, other.lo), avx2_first(a.hi, count - 8, other.hi)};
}
INLINE vf    f_from_i(vi a) { return F1(_mm256_cvtepi32_ps, a); }
INLINE void  f_store_f16(void *p, vf a) {
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(a.lo, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128((__m128i *)p + 1, _mm256_cvtps_ph(a.hi, _MM_FROUND_TO_NEAREST_INT));
}
INLINE void  f_store_i8(int8_t *p, vf a) { _mm_storeu_si128((__m128i *)p, avx2_to_i8(a)); }

INLINE vi    i_load(const void *p) { return (vi){avx2_load32(p), avx2_load32(avx2_after(p, 32))}; }
INLINE vi    i_zero(void) { return (vi){_mm256_setzero_si256(), _mm256_setzero_si256()}; }
INLINE vi    i_or(vi a, vi b) { return I2(_mm256_or_si256, a, b); }
INLINE vi    i_field(vi v, int shift, int mask) { return I1_BY(avx2_field, v, shift, mask); }
INLINE vi    i_lut(vi v, const int8_t *table) {
    return I1_OF(_mm256_shuffle_epi8, v, _mm256_broadcastsi128_si256(avx2_load16(table)));
}
#ifndef HAS_VNNI
INLINE vi    i_bytes(vi v) { return v; }
#endif
INLINE vi    i_add(vi a, vi b) { return I2(_mm256_add_epi32, a, b); }
INLINE vi    i_shl(vi a, int n) { return I1_BY(_mm256_slli_epi32, a, n); }
INLINE vi    i_start(const int32_t *p, int n) {
    const __m256i start = _mm256_slli_epi32(_mm256_set1_epi32(*p), n);
    return (vi){start, start};
}

/* Tables of 16 bytes, one in each half of a register. A sum of four activations takes two digits,
 * 32 high + low. low is 0 .. 31 of columns 0 .. 15 and -32 .. -1 of the rest, so that eight
 * of either digit still fit a byte. */
#define TABLE_BYTES 256
/* The sums of columns 16f + 4i + y in the first half, 16f + 4i + y + 2 in the second; above: those with bit 3. */
INLINE __m256i avx2_sums_of_four(const int8_t *x, int f, int y, int above) {
    const int64_t bit_2 = 0x0001000100010001, bit_3 = above ? 0x0100010001000100 : 0;
    const __m256i first = _mm256_set1_epi64x(0x0101010000010000);
    const __m256i last = _mm256_setr_epi64x(bit_3, bit_2 | bit_3, bit_3, bit_2 | bit_3);
    const __m256i half = _mm256_setr_epi64x(0, 0, 0x0202020202020202, 0x0202020202020202);
    const __m256i column = _mm256_add_epi8(_mm256_set1_epi16((short)(0x0400 + y * 0x0101)), half);
    const __m256i four = _mm256_broadcastsi128_si256(avx2_load16(x + 16 * f));
    const __m256i a = _mm256_shuffle_epi8(four, column);
    const __m256i b = _mm256_shuffle_epi8(four, _mm256_add_epi8(column, _mm256_set1_epi8(8)));
    return _mm256_add_epi16(_mm256_maddubs_epi16(first, a), _mm256_maddubs_epi16(last, b));
}
INLINE __m256i avx2_low_digit(__m256i sums, int f) {
    return f ? _mm256_or_si256(sums, _mm256_set1_epi16(-32)) : _mm256_and_si256(sums, _mm256_set1_epi16(31));
}
INLINE __m256i avx2_high_digit(__m256i sums, int f) {
    return _mm256_add_epi16(_mm256_srai_epi16(sums, 5), _mm256_set1_epi16((short)f));
}
INLINE void  l_tables(uint8_t *tables, const int8_t *x) {
    UNROLL for (int i = 0; i < 4; i++) {
        const int f = i / 2, y = i % 2;
        const __m256i below = avx2_sums_of_four(x, f, y, 0), above = avx2_sums_of_four(x, f, y, 1);
        __m256i *to = (__m256i *)(tables + 64 * i);
        _mm256_storeu_si256(to, _mm256_packs_epi16(avx2_low_digit(below, f), avx2_low_digit(above, f)));
        _mm256_storeu_si256(to + 1, _mm256_packs_epi16(avx2_high_digit(below, f), avx2_high_digit(above, f)));
    }
}
/* Bytes 4n + j of a plane as byte n of a half: j = 0 and 2 in lo, 1 and 3 in hi. */
INLINE vi    avx2_by_column(vi plane) {
    const __m128i columns = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m256i bytes = _mm256_broadcastsi128_si256(columns);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const __m256i a = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(plane.lo, bytes), order);
    const __m256i b = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(plane.hi, bytes), order);
    return (vi){_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b)};
}
/* One digit (0: low, 1: high) of the sums that all nibbles of a register stand for. */
INLINE __m256i avx2_look_up(__m256i bytes, const uint8_t *tables, int y, int digit) {
    const uint8_t *low = tables + 64 * y + 32 * digit, *high = low + 128;
    return _mm256_add_epi8(_mm256_shuffle_epi8(avx2_load32(low), avx2_field(bytes, 0, 15)),
                           _mm256_shuffle_epi8(avx2_load32(high), avx2_field(bytes, 4, 15)));
}
/* Both digits of a unit's sums: of rows 0 .. 15 the low ones, then the high ones. */
INLINE __m256i avx2_digits(vi bytes, const uint8_t *tables) {
    const __m256i low = _mm256_add_epi8(avx2_look_up(bytes.lo, tables, 0, 0), avx2_look_up(bytes.hi, tables, 1, 0));
    const __m256i high = _mm256_add_epi8(avx2_look_up(bytes.lo, tables, 0, 1), avx2_look_up(bytes.hi, tables, 1, 1));
    return _mm256_add_epi8(_mm256_permute2x128_si256(low, high, 0x20), _mm256_permute2x128_si256(low, high, 0x31));
}
/* 2 low + 64 high. */
INLINE __m256i avx2_twice_digits(__m256i digits) {
    const __m128i side_by_side = _mm_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
    const __m256i halves = _mm256_permute4x64_epi64(digits, 0xD8);
    const __m256i pairs = _mm256_shuffle_epi8(halves, _mm256_broadcastsi128_si256(side_by_side));
    return _mm256_maddubs_epi16(_mm256_set1_epi16(2 + (64 << 8)), pairs);
}
INLINE vi    avx2_add_words(vi sum, __m256i words) {
    return (vi){_mm256_add_epi32(sum.lo, _mm256_cvtepi16_epi32(_mm256_castsi256_si128(words))),
                _mm256_add_epi32(sum.hi, _mm256_cvtepi16_epi32(_mm256_extracti128_si256(words, 1)))};
}
/* All units step by step, since each step waits long for the one before. */
INLINE void  l_sums(int units, const uint8_t *planes, const uint8_t *tables, vi *sums) {
    vi bytes[4];
    __m256i digits[4];
    UNROLL for (int u = 0; u < units; u++) bytes[u] = avx2_by_column(i_load(planes + 64 * u));
    UNROLL for (int u = 0; u < units; u++) digits[u] = avx2_digits(bytes[u], tables + TABLE_BYTES * u);
    UNROLL for (int u = 0; u < units; u++) digits[u] = avx2_twice_digits(digits[u]);
    UNROLL for (int u = 0; u < units; u++) sums[u] = avx2_add_words(sums[u], digits[u]);
}

#ifndef HAS_VNNI

/* Products of bytes in pairs. Signed codes: |w| * (x with w's sign) stays within 2 * 128 * 127. */
INLINE __m256i avx2_pairs(__m256i w, __m256i x, int bits) {
    return bits == 8 ? _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w)) : _mm256_maddubs_epi16(w, x);
}
/* x is computed here. Left to itself gcc 12 adds all products of a unit at its end, and
 * until then keeps them on the stack: a third slower. */
#define COMPUTE(x) __asm__("" : "+x"((x).lo), "+x"((x).hi))
INLINE __m256i avx2_add_pairs(__m256i sum, __m256i pairs) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/* Unsigned codes below 2^bits times int8 are summed in pairs to 16 bits without overflow:
 * 2 * (2^bits - 1) * 127 a chunk, so 8 chunks of 4 bits fit, 4 of 5, 2 of 6, 1 of 7. */
INLINE void avx2_dots(int rows, int room, const vi *codes, int n, const int8_t *x, size_t step, int bits, vi *sums) {
    vi pairs[DOT_ROWS];
    UNROLL for (int c = 0; c < n; c++) {
        UNROLL for (int t = 0; t < rows; t++) {
            const __m256i a = avx2_set1_four(x + t * step + 4 * c);
            const vi p = {avx2_pairs(codes[c].lo, a, bits), avx2_pairs(codes[c].hi, a, bits)};
            pairs[t].lo = c % room == 0 ? p.lo : _mm256_add_epi16(pairs[t].lo, p.lo);
            pairs[t].hi = c % room == 0 ? p.hi : _mm256_add_epi16(pairs[t].hi, p.hi);
            COMPUTE(pairs[t]);
            if ((c + 1) % room) continue;
            sums[t] = (vi){avx2_add_pairs(sums[t].lo, pairs[t].lo), avx2_add_pairs(sums[t].hi, pairs[t].hi)};
            COMPUTE(sums[t]);
        }
    }
}
INLINE void  i_dots(int rows, const vi *codes, int n, const int8_t *x, size_t step, int bits, vi *sums) {
    const int most = bits <= 4 ? 8 : bits == 5 ? 4 : bits == 6 ? 2 : 1, room = most < n ? most : n;
    /* sums and pairs of four rows would take all registers */
    const int together = room < n ? 2 : DOT_ROWS;
    UNROLL for (int t = 0; t < rows; t += together)
        avx2_dots(rows - t < together ? rows - t : together, room, codes, n, x + t * step, step, bits, sums + t);
}

/* Even columns of a chunk come before odd ones, as two shifts leave its bytes in words. */
#define WORD_COLUMNS 0, 2, 1, 3
INLINE void  w_store(int16_t *to, const int8_t *q, const int8_t *fine, int bits) {
    const __m128i columns = _mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
    const __m256i order = _mm256_broadcastsi128_si256(columns);
    for (int i = 0; i < 32; i += 16) {
        const __m256i whole = _mm256_cvtepi8_epi16(avx2_load16(q + i));
        const __m256i rest = _mm256_cvtepi8_epi16(avx2_load16(fine + i));
        const __m256i words = _mm256_add_epi16(_mm256_slli_epi16(whole, bits), rest);
        _mm256_storeu_si256((__m256i *)(to + i), _mm256_shuffle_epi8(words, order));
    }
}
INLINE void  w_split(vi codes, vi *words) {
    const vi high = I1_BY(_mm256_slli_epi16, codes, 8);
    words[0] = I1_BY(_mm256_srai_epi16, high, 8);
    words[1] = I1_BY(_mm256_srai_epi16, codes, 8);
}
INLINE void  w_dots(int rows, const vi *words, int n, const int16_t *x, size_t step, vi *sums) {
    UNROLL for (int p = 0; p < n; p++)
        UNROLL for (int t = 0; t < rows; t++) {
            const __m256i two = avx2_set1_four(x + t * step + 2 * p);
            sums[t].lo = _mm256_add_epi32(sums[t].lo, _mm256_madd_epi16(words[p].lo, two));
            sums[t].hi = _mm256_add_epi32(sums[t].hi, _mm256_madd_epi16(words[p].hi, two));
            COMPUTE(sums[t]);
        }
}

#endif

#endif
