/* Softmax over a stream of spans: scores become weights below a running maximum.
 *
 *   max' = max(max, scores)    shrink = e^(max - max')    sum' = sum * shrink + sum of e^(score - max')
 *
 * (Milakov & Gimelshein 2018, arXiv:1805.02867.) */
#ifndef LLAMACY_SOFTMAX_H
#define LLAMACY_SOFTMAX_H

#include "attention/span.h"
#include "rows/vector_math.h"
#include <math.h>

/* The first n values become -inf. */
INLINE void hide(float *w, int n) {
    for (int t = 0; t < n; t += 16)
        f_store(w + t, f_first(f_set1(-INFINITY), n - t < 16 ? n - t : 16, f_load(w + t)));
}

INLINE void cap_scores(float *w, int n, float cap) {
    for (int t = 0; t < n; t += 16) f_store(w + t, f_softcap(f_load(w + t), cap));
}

/* Scores fall by `slope` a token of distance from `place`. */
INLINE void slope_scores(float *w, int n, float slope, int place) {
    static const float OFFSETS[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    for (int t = 0; t < n; t += 16) {
        const vf distance = f_abs(f_sub(f_load(OFFSETS), f_set1((float)(place - t))));
        f_store(w + t, f_fma(f_set1(-slope), distance, f_load(w + t)));
    }
}

/* The largest of the first n values; the rest of their vector becomes -inf. */
INLINE float mask_and_max(float *w, int n) {
    vf peak = f_set1(-INFINITY);
    int t = 0;
    for (; t + 16 <= n; t += 16) peak = f_max(peak, f_load(w + t));
    if (t < n) {
        const vf seen = f_first(f_load(w + t), n - t, f_set1(-INFINITY));
        f_store(w + t, seen);
        peak = f_max(peak, seen);
    }
    return f_hmax(peak);
}

/* Cap and slope the scores of the tokens that each query sees, hide the others, and raise the
 * running maxima. Sums shrink, and outputs are to. */
INLINE void find_peaks(attention_state *s, int n_queries, const sight *see) {
    const int *visible = see->visible;
    float peaks[STRIP_ROWS];
    for (int r = 0; r < STRIP_ROWS; r++) {
        float *w = s->weights + r * SPAN_TOKENS;
        if (s->softcap > 0 && r < n_queries) cap_scores(w, visible[r], s->softcap);
        if (s->slope[r] != 0) slope_scores(w, visible[r], s->slope[r], see->place[r]);
        if (see->hidden[r] > 0) hide(w, see->hidden[r]);
        peaks[r] = r < n_queries ? mask_and_max(w, visible[r]) : 0;
    }
    const vf old = f_load(s->max), peak = f_max(f_load(peaks), old);
    const vf shrink = f_exp(f_sub(old, peak)); /* 0 at the first span: exp(-inf) */
    f_store(s->shrink, shrink);
    f_store(s->sum, f_mul(f_load(s->sum), shrink));
    f_store(s->max, peak);
}

/* Turn the scores of the tokens that each query sees, of n_tokens, into exponentials below
 * its running maximum. Earlier sums and outputs are to be multiplied by s->shrink. */
INLINE void soften(attention_state *s, int n_queries, int n_tokens, const sight *see) {
    const int *visible = see->visible;
    find_peaks(s, n_queries, see);
    for (int r = 0; r < n_queries; r++) {
        float *w = s->weights + r * SPAN_TOKENS;
        const vf shift = f_set1(s->max[r]);
        vf sum = f_zero();
        int t = 0;
        for (; t < visible[r]; t += 16) {
            const vf e = f_exp(f_sub(f_load(w + t), shift));
            f_store(w + t, e);
            sum = f_add(sum, e);
        }
        for (; t < n_tokens; t += 16) f_store(w + t, f_zero());
        s->sum[r] += f_sum(sum);
    }
}

#endif
