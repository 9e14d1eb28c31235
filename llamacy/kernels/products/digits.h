/* The second int8 digit of quantised activations, for weights of 8 bits.
 *
 *   x[i] ~ scale * (2^FINE_BITS q[i] + fine[i])        scale: that of q, over 2^FINE_BITS
 *
 * One digit is far finer than weights of 6 bits or less. 8-bit weights are as precise as one
 * digit; rounding activations to one would cost half of that precision. The fine units of
 * all rows follow the quant units of all rows.
 *
 * Where dot products are of bytes, the products of both digits go into one sum. AVX2 has
 * none of signed bytes, but one of 16-bit words: there the digits make one word, in half the
 * instructions.
 */
#ifndef LLAMACY_DIGITS_H
#define LLAMACY_DIGITS_H

#include "interface.h"

enum { FINE_BITS = 8 };

typedef struct {
#ifdef WORD_COLUMNS
    int16_t words[UNIT_COLS];   /* both digits, columns in the order WORD_COLUMNS */
#else
    int8_t q[UNIT_COLS];
#endif
    int32_t minus;              /* the negated sum of both digits, as in quant_unit */
    float scale;
} fine_unit;

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

#endif
