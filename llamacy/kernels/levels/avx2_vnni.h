/* The verbs of avx2.h, with VNNI's dot products of bytes. */
#ifndef LLAMACY_AVX2_VNNI_H
#define LLAMACY_AVX2_VNNI_H

#define LEVEL_NAME "avx2_vnni"
#define HAS_VNNI
#include "levels/avx2.h"

enum { BYTE_ZERO = 128 };

INLINE vi i_bytes(vi v) {
    const __m256i zero = _mm256_set1_epi8((char)BYTE_ZERO);
    return (vi){_mm256_xor_si256(v.lo, zero), _mm256_xor_si256(v.hi, zero)};
}
/* vpdpbusd takes all of an unsigned byte, whatever the bits. */
INLINE void i_dots(int rows, const vi *codes, int n, const int8_t *x, size_t step, int bits, vi *sums) {
    (void)bits;
    UNROLL for (int c = 0; c < n; c++)
        UNROLL for (int t = 0; t < rows; t++) {
            const __m256i a = i_set1_four(x + t * step + 4 * c);
            sums[t].lo = _mm256_dpbusd_avx_epi32(sums[t].lo, codes[c].lo, a);
            sums[t].hi = _mm256_dpbusd_avx_epi32(sums[t].hi, codes[c].hi, a);
        }
}

#endif
