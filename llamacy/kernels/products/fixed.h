/* F16 and BF16 weights in fixed point, where the level has dot products of words.
 *
 *   w[i] ~ scale * word[i]      scale: a power of two, for 32 columns of a row;  |word| <= 2^13
 *   x[i] ~ scale * word[i]      scale: the greatest of 32 activations / FIXED_MAX
 *
 * A sum of 32 products is exact: 32 * 2^13 * FIXED_MAX < 2^31. 14 bits leave relative errors of
 * about 0.0001 in a product: a tenth of those of factors rounded to bfloat16, for 16 dot products
 * and 3 instructions that scale them, instead of 32 FMAs.
 *
 * The fixed units of all rows of activations follow their fine units.
 */
#ifndef LLAMACY_FIXED_H
#define LLAMACY_FIXED_H

#include "products/digits.h"
#include "products/unpack.h"

enum { FIXED_MAX = 8191, FIXED_CHUNKS = UNIT_COLS / 2 };

/* Added to the digits that prepare() makes: the form in fixed point, too. */
enum { FIXED_FORM = 4 };

typedef struct {
    int16_t words[UNIT_COLS];
    float scale;
} fixed_unit;

#ifdef HAS_FIXED

/* Whether products with panels of this type may be in fixed point. */
INLINE int is_fixed(pack_type type) { return type == PACK_F16 || type == PACK_BF16; }

enum { FIXED_UNIT_BYTES = sizeof(fixed_unit) };

/* Store a row of n units, `step` apart. If any activation is not finite, all scales are NaN. */
INLINE void store_fixed(fixed_unit *to, size_t step, const float *x, int n) {
    vf zeros = f_zero(); /* or NaN */
    for (int u = 0; u < n; u++) {
        fixed_unit *unit = to + (size_t)u * step;
        const vf low = f_load(x + u * UNIT_COLS), high = f_load(x + u * UNIT_COLS + 16);
        const float peak = f_hmax(f_max(f_abs(low), f_abs(high)));
        const vf inverse = f_set1(peak > 1e-30f ? FIXED_MAX / peak : 0);
        h_store(unit->words, f_mul(low, inverse));
        h_store(unit->words + 16, f_mul(high, inverse));
        unit->scale = peak * (1.0f / FIXED_MAX);
        zeros = f_fma(low, f_zero(), f_fma(high, f_zero(), zeros));
    }
    const float sum = f_sum(zeros);
    if (sum != sum)
        for (int u = 0; u < n; u++) to[(size_t)u * step].scale = sum;
}

/* One unit of a panel. */
typedef struct { vi words[FIXED_CHUNKS]; vf scale; } fixed_weights;

INLINE void unpack_fixed(pack_type type, const uint8_t *panel, size_t u, fixed_weights *w) {
    w->scale = h_fix(type == PACK_BF16, panel + u * code_bytes(type), w->words);
}

/* acc[t] += one unit of a panel times row t of x. */
INLINE void add_fixed(int rows, const fixed_weights *w, const fixed_unit *x, vf *acc) {
    vi sums[ROWS_MAX];
    UNROLL for (int t = 0; t < rows; t++) sums[t] = i_zero();
    h_dots(rows, w->words, x->words, sizeof *x / sizeof *x->words, sums);
    UNROLL for (int t = 0; t < rows; t++)
        acc[t] = f_fma(f_mul(f_from_i(sums[t]), f_set1(x[t].scale)), w->scale, acc[t]);
}

#else

INLINE int is_fixed(pack_type type) { (void)type; return 0; }
enum { FIXED_UNIT_BYTES = 0 };
INLINE void store_fixed(fixed_unit *to, size_t step, const float *x, int n) { (void)to, (void)step, (void)x, (void)n; }

typedef struct { vf scale; } fixed_weights;

INLINE void unpack_fixed(pack_type type, const uint8_t *panel, size_t u, fixed_weights *w) {
    (void)type, (void)panel, (void)u, (void)w;
}
INLINE void add_fixed(int rows, const fixed_weights *w, const fixed_unit *x, vf *acc) {
    (void)rows, (void)w, (void)x, (void)acc;
}

#endif

/* Whether products with w read activations in fixed point. */
INLINE int reads_fixed(const packed_matrix *w) { return is_fixed(w->type) && w->k % UNIT_COLS == 0; }
/* Whether they read floats. */
INLINE int reads_floats(const packed_matrix *w) { return is_float_pack(w->type) && !reads_fixed(w); }

#endif
