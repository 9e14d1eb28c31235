/* The verbs of avx512.h, and those of bfloat16 and of matrix registers in AMX. */
#ifndef LLAMACY_AMX_H
#define LLAMACY_AMX_H

#define LEVEL_NAME "amx"
#define HAS_BF16
#define HAS_TILES
#include "levels/avx512.h"

typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;

static const tile_config ALL_TILES = {
    .palette = 1,
    .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
    .rows = {16, 16, 16, 16, 16, 16, 16, 16},
};

INLINE vi    b_join(vf x, vf y) { return (vi)_mm512_cvtne2ps_pbh(y, x); }
#include "levels/avx512_pairs.h"

/* In assembly because gcc 12's intrinsic claims to read only 8 bytes of the
 * configuration, and lets the stores to the rest of it go. */
INLINE void  t_begin(void) { __asm__ volatile("ldtilecfg %0" ::"m"(ALL_TILES)); }
INLINE void  t_end(void) { _tile_release(); }

#define T_ZERO(t) _tile_zero(t)
/* gcc's intrinsic does not say that it reads memory: stores might come after it. */
#define T_LOAD(t, p, step)                 \
    do {                                   \
        __asm__ volatile("" ::: "memory"); \
        _tile_loadd(t, p, step);           \
    } while (0)
#define T_STORE(t, p, step) _tile_stored(t, p, step)
#define T_DOT(c, a, b) _tile_dpbf16ps(c, a, b)

#include "levels/amx_products.h"

#endif
