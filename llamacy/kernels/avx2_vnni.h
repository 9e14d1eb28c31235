/* The verbs of avx2.h, with VNNI's dot products of bytes. */
#ifndef LLAMACY_AVX2_VNNI_H
#define LLAMACY_AVX2_VNNI_H

#define LEVEL_NAME "avx2_vnni"
#define HAS_VNNI
#include "avx2.h"

enum { BYTE_ZERO = 128 };

INLINE vi i_bytes(vi v) {
    const __m256i zero = _mm256_set1_epi8((char)BYTE_ZERO);
    return (vi){_mm256_xor_si256(v.lo, zero), _mm256_xor_si256(v.hi, zero)};
}
INLINE vi i_dot(vi start, const vi *codes, int n, const int8_t *x, int bits) {
    (void)bits; /* vpdpbusd takes all of an unsigned byte */
    vi sum = start;
    UNROLL for (int c = 0; c < n; c++) {
        int32_t four;
        memcpy(&four, x + 4 * c, 4);
        const __m256i a = _mm256_set1_epi32(four);
        sum.lo = _mm256_dpbusd_avx_epi32(sum.lo, codes[c].lo, a);
        sum.hi = _mm256_dpbusd_avx_epi32(sum.hi, codes[c].hi, a);
    }
    return sum;
}

#endif
