/* b_pairs from b_join, for levels that have bfloat16 and AVX-512. */
#ifndef LLAMACY_AVX512_PAIRS_H
#define LLAMACY_AVX512_PAIRS_H

INLINE vi    b_pairs(vf x, vf y) {
    static const uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                       8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_permutexvar_epi16(_mm512_loadu_si512(order), b_join(x, y));
}

#endif
