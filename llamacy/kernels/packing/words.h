/* Four words of one row, and their way to the lanes of a panel's vectors.
 *
 * Vectors of a compiler's own, since packing is compiled once for all CPUs of a kind.
 */
#ifndef LLAMACY_WORDS_H
#define LLAMACY_WORDS_H

#include "packing/packed.h"

typedef uint32_t words4 __attribute__((vector_size(16)));

#if defined(__clang__)
#define PICK4(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PICK4(a, b, ...) __builtin_shuffle(a, b, (words4){__VA_ARGS__})
#endif

INLINE words4 load_words(const uint8_t *p) {
    words4 words;
    memcpy(&words, p, sizeof words);
    return words;
}

/* n bits from bit `shift` on, of each byte. */
INLINE words4 fields(words4 words, int shift, int n) { return words >> shift & 0x01010101u * ((1u << n) - 1); }

/* Word i of each row becomes vector i: lane n is row n's. */
INLINE void turn_words(const words4 rows[PANEL_ROWS], uint32_t vectors[4][PANEL_ROWS]) {
    UNROLL for (int n = 0; n < PANEL_ROWS; n += 4) {
        const words4 a = PICK4(rows[n], rows[n + 1], 0, 4, 1, 5), b = PICK4(rows[n], rows[n + 1], 2, 6, 3, 7);
        const words4 c = PICK4(rows[n + 2], rows[n + 3], 0, 4, 1, 5);
        const words4 d = PICK4(rows[n + 2], rows[n + 3], 2, 6, 3, 7);
        const words4 turned[4] = {PICK4(a, c, 0, 1, 4, 5), PICK4(a, c, 2, 3, 6, 7), PICK4(b, d, 0, 1, 4, 5),
                                  PICK4(b, d, 2, 3, 6, 7)};
        UNROLL for (int i = 0; i < 4; i++) memcpy(vectors[i] + n, &turned[i], sizeof turned[i]);
    }
}

#endif
