/* The second int8 digit of quantised activations, for weights of 8 bits.
 *
 *   x[i] ~ scale * (2^FINE_BITS q[i] + fine[i])        scale: that of q, over 2^FINE_BITS
 *
 * One digit is far finer than weights of 6 bits or less. 8-bit weights are as precise as one
 * digit; rounding activations to one would cost half of that precision. The fine units of
 * all rows follow the quant units of all rows.
 *
 * A level that SKIPS_DIGITS leaves the second digit out where it would hardly be felt: in units
 * whose step, squared, is below FINE_SHARE times the mean of its row. Errors of rounding are in
 * proportion to the steps, and in language models a few units have most of them: those around a
 * channel that is far greater than the others. No more than 1 / FINE_SHARE of a row's units
 * keep both digits; all of those in short rows do, of which a mean says little.
 *
 * Where dot products are of bytes, the products of both digits go into one sum. AVX2 has
 * none of signed bytes, but one of 16-bit words: there the digits make one word, in half the
 * instructions.
 */
#ifndef LLAMACY_DIGITS_H
#define LLAMACY_DIGITS_H

#include "interface.h"

enum { FINE_BITS = 8, FINE_SHARE = 2, SHORT_UNITS = 16 };

typedef struct {
#ifdef WORD_COLUMNS
    int16_t words[UNIT_COLS];   /* both digits, columns in the order WORD_COLUMNS */
#else
    int8_t q[UNIT_COLS];
#endif
    int32_t minus;              /* the negated sum of both digits, as in quant_unit */
    float scale;                /* 0: the unit has one digit */
} fine_unit;
#ifdef WORD_COLUMNS
enum { FINE_STEP = sizeof(fine_unit) / sizeof(int16_t) };
#endif

/* Store the second digit; low and high are the two halves of x / scale - q, times 2^FINE_BITS, rounded. */
INLINE void store_fine(fine_unit *to, const quant_unit *unit, vf low, vf high) {
    int8_t fine[UNIT_COLS];
    f_store_i8(fine, low);
    f_store_i8(fine + 16, high);
#ifdef WORD_COLUMNS
    w_store(to->words, unit->q, fine, FINE_BITS);
#else
    memcpy(to->q, fine, sizeof fine);
#endif
    to->minus = unit->minus[0] * (1 << FINE_BITS) - (int32_t)f_sum(f_add(low, high));
    to->scale = unit->scale / (1 << FINE_BITS);
}

/* The scale of both digits. If the second was left out, it is 0: sums are 2^FINE_BITS times those of the
 * first alone, and products with this scale the same bits as theirs. */
INLINE float fine_scale(const quant_unit *unit, const fine_unit *fine) {
#if defined(SKIPS_DIGITS) && DOT_ROWS > 1
    (void)fine;
    return unit->scale / (1 << FINE_BITS);
#else
    (void)unit;
    return fine->scale;
#endif
}

/* Leave out second digits of a row of n units, `step` apart. */
INLINE void drop_digits(fine_unit *row, size_t step, int n) {
#ifdef SKIPS_DIGITS
    if (n < SHORT_UNITS) return;
    float sum = 0;
    for (int u = 0; u < n; u++) sum += row[(size_t)u * step].scale * row[(size_t)u * step].scale;
    const float least = FINE_SHARE * sum / (float)n;
    for (int u = 0; u < n; u++) {
        fine_unit *unit = row + (size_t)u * step;
        if (unit->scale * unit->scale >= least) continue;
        unit->scale = 0;
#if DOT_ROWS > 1 /* rows that meet codes together may differ; there `minus` is unread */
        memset(unit->q, 0, sizeof unit->q);
#endif
    }
#else
    (void)row, (void)step, (void)n;
#endif
}

#endif
