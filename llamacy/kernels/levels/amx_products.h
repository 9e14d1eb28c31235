/* Shared by `amx` and its emulation: their sizes, and the verbs made of T_* and AVX-512. */
#ifndef LLAMACY_AMX_PRODUCTS_H
#define LLAMACY_AMX_PRODUCTS_H

#include "levels/tile.h"

/* Chosen on two cores of an Intel Xeon with AMX (Granite Rapids class), whose caches have 48 KiB and 2 MiB a
 * core. Sizes that do not depend on tiles are as in avx512.h, where nothing else is said. */
enum {
    PREFETCH_BYTES = 3072,      /* Q4_K, a panel at a time: 2 rows 1.13 times as fast as with 7,168, 8 as fast */
    RESIDENT_BYTES = 512 << 10,
    MANY_PANELS = 32,           /* read a slice of activations eight times */
    MANY_ROWS = 512,            /* their sums: 1 MiB, in the L2 cache; with 256, prompts take 1.2 times as long */
    SLICE_UNITS = 8,            /* of 4 panels: 32 KiB, in the L1 cache; with 6 or 10, prompts take 1.1 times as long */
    TILES_MIN_ROWS = 32,        /* with fewer, dot products of int8 are faster: unpacking costs as much as
                                   a product */
    SPAN_PAGES = 4,             /* with 8, as fast */
    BAND_STRIPS = 16,           /* as many as a thread takes runs at a time */
    PEAK_SUMS = 12,
    ROW_CHUNK = 4096,
    FETCHED_BYTES = 64 << 10,
};

/* 2 products for 3 loads, which take less time than they. Always of 16 rows: fewer take a
 * tile instruction as long. */
INLINE void  b_products(int rows, const uint8_t *a, const uint8_t *b, size_t b_step, int n, float *c, size_t ldc,
                        int adds) {
    (void)rows;
    if (adds) {
        T_LOAD(0, c, sizeof *c * ldc);
        T_LOAD(1, c + 16, sizeof *c * ldc);
    } else {
        T_ZERO(0);
        T_ZERO(1);
    }
    for (size_t at = 0; at < (size_t)n * TILE_BYTES; at += TILE_BYTES) {
        T_LOAD(4, a + at, 64);
        T_LOAD(6, b + at, 64);
        T_DOT(0, 4, 6);
        T_LOAD(7, b + b_step + at, 64);
        T_DOT(1, 4, 7);
    }
    T_STORE(0, c, sizeof *c * ldc);
    T_STORE(1, c + 16, sizeof *c * ldc);
}
INLINE vf    t_fraction(vf x) { return _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
INLINE vf    t_scale2(vf a, vf e) { return _mm512_scalef_ps(a, e); }
INLINE vi    t_byte(vi v, int n) { return _mm512_and_si512(_mm512_srli_epi32(v, 8 * n), _mm512_set1_epi32(0xFF)); }
INLINE vf    t_lookup(vf table, vi v, int shift) {
    return _mm512_permutexvar_ps(_mm512_srli_epi32(v, (unsigned)shift), table);
}

#endif
