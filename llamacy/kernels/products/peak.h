/* A level's arithmetic peak: each kind of product that its kernels are made of, repeated on
 * registers, with nothing to unpack, scale or wait for.
 *
 *   f32    f_fma, in PEAK_SUMS sums side by side
 *   int8   i_dots of codes of 4 bits, for which every level needs the fewest instructions; or p_dots
 *   bf16   T_DOT, on 2 x 2 registers, or b_products in the L1 cache, on levels that have them
 *
 * The fastest of them bounds what any kernel of the level can do.
 */
#ifndef LLAMACY_PEAK_H
#define LLAMACY_PEAK_H

#include "products/few_rows.h"

/* Calls of i_dots a round. */
enum { PEAK_DOTS = 8 };

/* To the compiler x is unknown from here on, and needed: otherwise it would merge equal
 * products and drop those that nobody reads. */
#define OPAQUE(x) __asm__ volatile("" : "+m"(x))

static double peak_f32(int64_t n) {
    vf sums[PEAK_SUMS], half = f_set1(0.5f);
    UNROLL for (int t = 0; t < PEAK_SUMS; t++) {
        OPAQUE(half);
        sums[t] = half;
    }
    const vf x = half;
    for (int64_t i = 0; i < n; i++)
        /* no product is of x alone, which would be taken out of the loop */
        UNROLL for (int t = 0; t < PEAK_SUMS; t++) sums[t] = f_fma(sums[t], x, x);
    UNROLL for (int t = 0; t < PEAK_SUMS; t++) {
        vf sum = sums[t];
        OPAQUE(sum);
    }
    return 2.0 * 16 * PEAK_SUMS * (double)n;
}

#ifdef BUNDLE_ROWS
static double peak_int8(int64_t n) {
    vi sums[PEAK_SUMS], codes = i_zero();
    int8_t x[4 * BUNDLE_ROWS * BUNDLE_ROWS];
    memset(x, 1, sizeof x);
    OPAQUE(codes);
    OPAQUE(x);
    UNROLL for (int t = 0; t < PEAK_SUMS; t++) sums[t] = i_zero();
    for (int64_t i = 0; i < n; i++)
        UNROLL for (int t = 0; t < PEAK_SUMS; t++) sums[t] = p_dots(sums[t], codes, x);
    UNROLL for (int t = 0; t < PEAK_SUMS; t++) OPAQUE(sums[t]);
    return 2.0 * PANEL_ROWS * 4 * BUNDLE_ROWS * PEAK_SUMS * (double)n;
}
#else
static double peak_int8(int64_t n) {
    vi codes[PEAK_DOTS];
    int8_t x[UNIT_COLS];
    memset(codes, 1, sizeof codes);
    memset(x, 1, sizeof x);
    OPAQUE(codes);
    for (int64_t i = 0; i < n; i++) {
        OPAQUE(x);
        UNROLL for (int t = 0; t < PEAK_DOTS; t++) {
            const vi w = codes[t], chunks[8] = {w, w, w, w, w, w, w, w};
            vi dots[DOT_ROWS];
            UNROLL for (int row = 0; row < DOT_ROWS; row++) dots[row] = i_zero();
            i_dots(DOT_ROWS, chunks, 8, x, 0, 4, dots);
            OPAQUE(dots);
        }
    }
    return 2.0 * PANEL_ROWS * UNIT_COLS * PEAK_DOTS * (double)n;
}
#endif

#if defined(HAS_TILES)
static double peak_bf16(int64_t n) {
    T_ZERO(0); T_ZERO(1); T_ZERO(2); T_ZERO(3);
    T_ZERO(4); T_ZERO(5); T_ZERO(6); T_ZERO(7);
    for (int64_t i = 0; i < n; i++) {
        T_DOT(0, 4, 6);
        T_DOT(1, 4, 7);
        T_DOT(2, 5, 6);
        T_DOT(3, 5, 7);
    }
    return 2.0 * 16 * 16 * 32 * 4 * (double)n;
}
#elif defined(HAS_BF16)
static double peak_bf16(int64_t n) {
    enum { TILES = 4 };
    uint8_t a[TILES * TILE_BYTES], b[2 * TILES * TILE_BYTES];
    float sums[STRIP_ROWS][2 * PANEL_ROWS];
    memset(a, 0, sizeof a);
    memset(b, 0, sizeof b);
    for (int64_t i = 0; i < n; i++) {
        OPAQUE(a);
        b_products(STRIP_ROWS, a, b, TILES * TILE_BYTES, TILES, sums[0], 2 * PANEL_ROWS, 0);
        OPAQUE(sums);
    }
    return 2.0 * STRIP_ROWS * 2 * PANEL_ROWS * 32 * TILES * (double)n;
}
#endif

static const peak_product PEAKS[] = {
    {"f32", peak_f32},
    {"int8", peak_int8},
#ifdef HAS_BF16
    {"bf16", peak_bf16},
#endif
    {NULL, NULL},
};

#endif
