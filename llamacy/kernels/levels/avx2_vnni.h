/* The verbs of avx2.h, with VNNI's dot products of bytes. */
#ifndef LLAMACY_AVX2_VNNI_H
#define LLAMACY_AVX2_VNNI_H

#define LEVEL_NAME "avx2_vnni"
#define HAS_VNNI
#define BYTE_ZERO 128
#include "levels/avx2.h"

/* Measured at the AVX-512 levels (avx512.h names the machines) and taken over. */
enum {
    PREFETCH_BYTES = 7168,      /* no further than the L1 cache has room */
    RESIDENT_BYTES = 512 << 10,
    MANY_PANELS = 8,
    MANY_ROWS = 256,
    SLICE_UNITS = 8,            /* 256 columns: 6 KiB of a quantised panel, 16 KiB of a float one */
    FLOAT_MIN_ROWS = 8,
    QUANT_MIN_ROWS = 64,
    SPAN_PAGES = 4,
    BAND_STRIPS = 8,            /* cheap to unpack a span for, and all stay in the L2 cache */
    PEAK_SUMS = 6,
    ROW_CHUNK = 4096,
    FETCHED_BYTES = 64 << 10,   /* the L2 cache has room for them */
};

INLINE vi    i_bytes(vi v) { return I1_BY(_mm256_xor_si256, v, _mm256_set1_epi8((char)BYTE_ZERO)); }
/* vpdpbusd takes all of an unsigned byte, whatever the bits. */
INLINE void  i_dots(int rows, const vi *codes, int n, const int8_t *x, size_t step, int bits, vi *sums) {
    (void)bits;
    UNROLL for (int c = 0; c < n; c++)
        UNROLL for (int t = 0; t < rows; t++) {
            const __m256i a = avx2_set1_four(x + t * step + 4 * c);
            sums[t].lo = _mm256_dpbusd_avx_epi32(sums[t].lo, codes[c].lo, a);
            sums[t].hi = _mm256_dpbusd_avx_epi32(sums[t].hi, codes[c].hi, a);
        }
}

#endif
