/* The verbs of amx.h with its instructions in plain C, so that the algorithms on tiles can
 * be tested on machines that have AVX-512 but no AMX. Slow; chosen only by name. */
#ifndef LLAMACY_AMX_EMULATED_H
#define LLAMACY_AMX_EMULATED_H

#define LEVEL_NAME "amx_emulated"
#define HAS_BF16
#define HAS_TILES
#include "levels/avx512.h"

/* Nearest, ties to even; NaN stays NaN. */
INLINE __m256i emulated_round(vf x) {
    __m512i bits = _mm512_castps_si512(x);
    __m512i even = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(even, _mm512_set1_epi32(0x7FFF)));
    __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    rounded = _mm512_mask_mov_epi32(rounded, nan, _mm512_set1_epi32(0x7FC00000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
}
INLINE vi    b_join(vf x, vf y) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(emulated_round(x)), emulated_round(y), 1);
}
#include "levels/avx512_pairs.h"

typedef union { float f[16][16]; uint16_t h[16][32]; } emulated_tile;

static _Thread_local emulated_tile TILES_HELD[8];

static _Thread_local int HAVE_SHAPES;

INLINE void  t_begin(void) {
    memset(TILES_HELD, 0, sizeof TILES_HELD);
    HAVE_SHAPES = 1;
}
INLINE void  t_end(void) { HAVE_SHAPES = 0; }

/* As a CPU does with registers that have no shape. */
static void emulated_check(void) { if (!HAVE_SHAPES) abort(); }

static float emulated_bf16(uint16_t h) {
    uint32_t bits = (uint32_t)h << 16;
    float x;
    memcpy(&x, &bits, 4);
    return x;
}
static void emulated_dot(int c, int a, int b) {
    emulated_check();
    for (int m = 0; m < 16; m++)
        for (int p = 0; p < 16; p++)
            for (int n = 0; n < 16; n++) {
                float even = emulated_bf16(TILES_HELD[a].h[m][2 * p]) * emulated_bf16(TILES_HELD[b].h[p][2 * n]);
                float odd = emulated_bf16(TILES_HELD[a].h[m][2 * p + 1]) * emulated_bf16(TILES_HELD[b].h[p][2 * n + 1]);
                TILES_HELD[c].f[m][n] += even + odd;
            }
}
static void emulated_load(int t, const uint8_t *p, size_t step) {
    emulated_check();
    for (size_t r = 0; r < 16; r++) memcpy(TILES_HELD[t].h[r], p + r * step, 64);
}
static void emulated_store(int t, uint8_t *p, size_t step) {
    emulated_check();
    for (size_t r = 0; r < 16; r++) memcpy(p + r * step, TILES_HELD[t].h[r], 64);
}

#define T_ZERO(t) memset(&TILES_HELD[t], 0, sizeof(emulated_tile))
#define T_LOAD(t, p, step) emulated_load(t, (const uint8_t *)(p), step)
#define T_STORE(t, p, step) emulated_store(t, (uint8_t *)(p), step)
#define T_DOT(c, a, b) emulated_dot(c, a, b)

#include "levels/amx_products.h"

#endif
