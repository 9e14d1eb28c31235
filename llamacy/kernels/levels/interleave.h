/* b_pairs from b_join, for the levels with bfloat16. */
#ifndef LLAMACY_INTERLEAVE_H
#define LLAMACY_INTERLEAVE_H

INLINE vi b_pairs(vf x, vf y) {
    static const uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                       8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_permutexvar_epi16(_mm512_loadu_si512(order), b_join(x, y));
}

#endif
