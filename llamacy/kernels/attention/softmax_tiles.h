/* Scores to weights in bfloat16 beside matrix registers, which multiply a page's keys and values in
 * less time than its exponentials take.
 *
 *   weight = e^(score - reference)        2^x = p(x - floor(x)) * 2^floor(x)
 *
 * A running maximum would cost a pass over the scores, and outputs that shrink span by span. Floats
 * are as precise at any size, so that the reference need not be the maximum, but only be near: it is
 * the largest score of the first page that a query sees, or its sink, and is raised when weights
 * below it add up to too much. It depends on what its query sees, and on nothing else. Times log2(e)
 * it is rounded, so that all weights of a query are off by one factor, which shares do not have; above
 * 2^29 that factor may be out of range (LEAST_SUM), and outputs NaN.
 */
#ifndef LLAMACY_SOFTMAX_TILES_H
#define LLAMACY_SOFTMAX_TILES_H

#include "attention/bf16_span.h"
#include "attention/softmax.h"
#include "attention/span_fetch.h"

#define LOG2_E 1.44269504f
#define MOST_WEIGHT 65536.0f /* that a lane's weights of a span may add up to; then the reference is raised */

/* 2^x by a polynomial of degree 3, fitted within 2^-13 of it, which is enough for a number that is
 * rounded to 2^-9. About 2^-125 for all that is less: numbers below 2^-126, and p(0) is less than 1, slow the
 * CPU down. NaN for NaN. */
INLINE vf f_rounded_power(vf x) {
    x = f_max(f_set1(-125.0f), x);
    const vf f = t_fraction(x);
    vf p = f_set1(0.0780245200f);
    p = f_fma(p, f, f_set1(0.226067170f));
    p = f_fma(p, f, f_set1(0.695833530f));
    p = f_fma(p, f, f_set1(0.999925220f));
    return t_scale2(p, x);
}

/* 16 numbers, or `other` for tokens that are not hidden .. visible - 1. */
INLINE vf seen_or(vf x, int hidden, int visible, vf other) {
    return f_first(other, within(hidden, 0, 16), f_first(x, within(visible, 0, 16), other));
}

/* The tokens of n_pages that query r sees; of a sight that is NULL, all. */
typedef struct { int hidden, visible; } seen_range;
INLINE seen_range range_of(const sight *see, int r, int n_pages) {
    return see ? (seen_range){see->hidden[r], see->visible[r]} : (seen_range){0, n_pages * PAGE_TOKENS};
}

/* The largest score of query r with the tokens begin .. end - 1, of those that it sees. */
static float find_peak(const attention_state *s, int r, seen_range seen, int begin, int end) {
    const float *scores = s->weights + r * SPAN_TOKENS;
    const vf lowest = f_set1(-INFINITY);
    vf peak = lowest;
    for (int t = begin; t < end; t += 16)
        peak = f_max(seen_or(f_load(scores + t), seen.hidden - t, seen.visible - t, lowest), peak);
    return f_hmax(peak);
}

/* Weights of query r with n_pages, and their sum, by lanes. */
INLINE vf weigh_scores(const attention_state *s, int r, const sight *see, int n_pages, uint8_t *weights) {
    const float *scores = s->weights + r * SPAN_TOKENS;
    const vf slope = f_set1(LOG2_E), shift = f_set1(-LOG2_E * s->max[r]);
    const seen_range seen = range_of(see, r, n_pages);
    int hidden = seen.hidden, visible = seen.visible;
    vf sum = f_zero();
    for (int page = 0; page < n_pages; page++) {
        vf left = f_rounded_power(f_fma(f_load(scores), slope, shift));
        vf right = f_rounded_power(f_fma(f_load(scores + HALF_TOKENS), slope, shift));
        if (hidden > 0 || visible < PAGE_TOKENS) {
            left = seen_or(left, hidden, visible, f_zero());
            right = seen_or(right, hidden - HALF_TOKENS, visible - HALF_TOKENS, f_zero());
        }
        sum = f_add(f_add(sum, left), right);
        put_row(weights + (size_t)page * TILE_BYTES, r, b_join(left, right));
        scores += PAGE_TOKENS, hidden -= PAGE_TOKENS, visible -= PAGE_TOKENS;
    }
    return sum;
}

/* Cap the scores that query r sees, let them fall with the distance, and find its first reference. */
INLINE void begin_scores(attention_state *s, int r, const sight *see, int n_pages) {
    float *scores = s->weights + r * SPAN_TOKENS;
    const seen_range seen = range_of(see, r, n_pages);
    if (s->softcap > 0) cap_scores(scores, seen.visible, s->softcap);
    if (s->slope[r] != 0) slope_scores(scores, seen.visible, s->slope[r], see->place[r]);
    if (s->max[r] > -FLT_MAX || seen.hidden >= seen.visible) return;
    const int begin = seen.hidden / PAGE_TOKENS * PAGE_TOKENS, end = n_pages * PAGE_TOKENS;
    const int first_page = begin + PAGE_TOKENS < end ? begin + PAGE_TOKENS : end;
    s->max[r] = fmaxf(find_peak(s, r, seen, begin, first_page), -FLT_MAX / 2);
    s->sum[r] *= 0; /* without a sink of -infinity; one of NaN stays */
}

/* The reference of query r becomes its largest score with n_pages; sums and outputs shrink. */
static void raise_reference(attention_state *s, int r, const sight *see, int n_pages, int width) {
    const float peak = find_peak(s, r, range_of(see, r, n_pages), 0, n_pages * PAGE_TOKENS);
    const vf shrink = f_exp(f_set1(s->max[r] - peak));
    float *parts = s->parts + 16 * r, one[16];
    f_store(one, shrink);
    s->max[r] = peak;
    s->sum[r] *= one[0];
    f_store(parts, f_mul(f_load(parts), shrink));
    for (float *out = s->out + (size_t)r * width; width > 0; width -= 16, out += 16)
        f_store(out, f_mul(f_load(out), shrink));
}

/* Turn the scores of queries begin .. end - 1 with n_pages into weights, which are added to their
 * sums before they are rounded. width: of the outputs. */
INLINE void soften_queries(attention_state *s, int begin, int end, const sight *see, int n_pages, uint8_t *weights,
                           int width, span_fetch *fetch) {
    vf sums[STRIP_ROWS], most = f_zero();
    for (int r = begin; r < end; r++) {
        begin_scores(s, r, see, n_pages);
        sums[r] = weigh_scores(s, r, see, n_pages, weights);
        fetch_steps(fetch, n_pages);
        most = f_max(sums[r], most); /* in that order, no NaN gets into it */
    }
    if (f_hmax(most) > MOST_WEIGHT)
        for (int r = begin; r < end; r++) {
            if (!(f_hmax(f_max(sums[r], f_zero())) > MOST_WEIGHT)) continue;
            raise_reference(s, r, see, n_pages, width);
            sums[r] = weigh_scores(s, r, see, n_pages, weights);
        }
    for (int r = begin; r < end; r++) f_store(s->parts + 16 * r, f_add(f_load(s->parts + 16 * r), sums[r]));
}

#endif
