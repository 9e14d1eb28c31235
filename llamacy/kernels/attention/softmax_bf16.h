/* Scores to weights that are rounded to bfloat16: the left side of a product with values. */
#ifndef LLAMACY_SOFTMAX_BF16_H
#define LLAMACY_SOFTMAX_BF16_H

#include "attention/bf16_span.h"
#include "attention/softmax.h"

/* e^x for x <= 0: a polynomial of degree 4, fitted to 2^f within 2^-18 of it, which is enough for a
 * number that is rounded to 2^-9. 1 for 0; 0 for -infinity; NaN for NaN. */
INLINE vf f_weight(vf x) {
    const vf power = f_max(f_set1(-200.0f), f_mul(x, f_set1(1.44269504f))), whole = f_round(power);
    const vf f = f_sub(power, whole);
    vf p = f_set1(0.00958285294f);
    p = f_fma(p, f, f_set1(0.0559064262f));
    p = f_fma(p, f, f_set1(0.240240991f));
    p = f_fma(p, f, f_set1(0.693124175f));
    p = f_fma(p, f, f_set1(1.0f));
    return f_scale2(p, whole);
}

/* As soften(), for the first n_pages of weights in scratch; their sums are of those before rounding. */
INLINE void soften_rounded(attention_state *s, int n_queries, int n_pages, const sight *see, uint8_t *weights) {
    find_peaks(s, n_queries, see);
    for (int r = 0; r < n_queries; r++) {
        float *w = s->weights + r * SPAN_TOKENS;
        const int visible = see->visible[r];
        const vf shift = f_set1(s->max[r]);
        vf sum = f_zero();
        for (int page = 0; page < n_pages; page++, w += PAGE_TOKENS) {
            const int n = visible - page * PAGE_TOKENS;
            const vf left = n > 0 ? f_weight(f_sub(f_load(w), shift)) : f_zero();
            const vf right = n > HALF_TOKENS ? f_weight(f_sub(f_load(w + HALF_TOKENS), shift)) : f_zero();
            sum = f_add(f_add(sum, left), right);
            put_row(weights + (size_t)page * TILE_BYTES, r, b_join(left, right));
        }
        s->sum[r] += f_sum(sum);
    }
}

#endif
