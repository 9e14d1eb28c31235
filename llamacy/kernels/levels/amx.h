/* The verbs of avx512.h, and those of matrix tiles in AMX with bfloat16.
 *
 * A tile is 16 rows of 64 bytes, `step` bytes apart in memory. Tile numbers are constants.
 *
 *   T_ZERO(t)  T_LOAD(t, p, step)  T_STORE(t, p, step)
 *   T_DOT(c, a, b): c[m][n] += sum over 16 pairs of a[m][2p] b[p][2n] + a[m][2p+1] b[p][2n+1]
 *   t_begin t_end: around all use of tiles on a thread
 */
#ifndef LLAMACY_AMX_H
#define LLAMACY_AMX_H

#define LEVEL_NAME "amx"
#define HAS_TILES
#define HAS_BF16
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

/* In assembly because gcc 12's intrinsic claims to read only 8 bytes of the
 * configuration, and lets the stores to the rest of it go. */
static void t_begin(void) { __asm__ volatile("ldtilecfg %0" ::"m"(ALL_TILES)); }
static void t_end(void) { _tile_release(); }

#define T_ZERO(t) _tile_zero(t)
/* gcc's intrinsic does not say that it reads memory: stores might come after it. */
#define T_LOAD(t, p, step)                 \
    do {                                   \
        __asm__ volatile("" ::: "memory"); \
        _tile_loadd(t, p, step);           \
    } while (0)
#define T_STORE(t, p, step) _tile_stored(t, p, step)
#define T_DOT(c, a, b) _tile_dpbf16ps(c, a, b)

INLINE vi b_join(vf x, vf y) { return (vi)_mm512_cvtne2ps_pbh(y, x); }

#include "levels/interleave.h"
#include "levels/tile_products.h"

#endif
