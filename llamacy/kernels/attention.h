/* Attention of a tile of queries over the pages of one KV head, flash-style.
 *
 *   y[r] = sum over t of softmax over t of (scale * q[r] . k[t]) * v[t]
 *
 * over the tokens that r sees: those up to its own, or of these the last ones, a window. The
 * scores may be capped softly before (Bello et al. 2016, arXiv:1611.09940). A head may have a
 * sink: one more score in each softmax, whose value is 0 (Xiao et al. 2023, arXiv:2309.17453).
 *
 * (Dao et al. 2022, arXiv:2205.14135; Milakov & Gimelshein 2018, arXiv:1805.02867.)
 * A tile is the queries of all heads that share the KV head, for one or more
 * consecutive tokens, so that each key and value is read once for all of them. Keys
 * and values go by a span of a few pages at a time; each query keeps a running maximum
 * and sum.
 */
#ifndef LLAMACY_ATTENTION_H
#define LLAMACY_ATTENTION_H

#include "attend_span.h"
#include <float.h>
#include <math.h>

static size_t attention_scratch_bytes(int head_dim) {
    return sizeof(float) * TILE_ROWS * (2 * (size_t)padded_dim(head_dim) + SPAN_TOKENS);
}

/* Scaled queries of one run and KV head, side by side; nothing attended to yet. */
static attention_state begin_run(const attention_args *a, const row_run *run, int first_head, int group,
                                 const float *q, size_t ldq, void *scratch) {
    const int head_dim = a->kv->head_dim;
    attention_state s;
    s.softcap = a->softcap;
    s.q = (float *)scratch;
    s.out = s.q + (size_t)padded_dim(head_dim) * TILE_ROWS;
    s.weights = s.out + (size_t)padded_dim(head_dim) * TILE_ROWS;
    memset(s.q, 0, sizeof(float) * TILE_ROWS * (size_t)head_dim);
    memset(s.out, 0, sizeof(float) * TILE_ROWS * (size_t)padded_dim(head_dim));
    /* no infinity: a query that sees nothing of a span is to be left as it was by it */
    for (int r = 0; r < TILE_ROWS; r++) s.max[r] = -FLT_MAX, s.sum[r] = 0;
    for (int r = 0; r < run->n_rows * group; r++) {
        const float *row = q + (size_t)(run->row + r / group) * ldq + (size_t)(first_head + r % group) * head_dim;
        for (int i = 0; i < head_dim; i++) s.q[i * TILE_ROWS + r] = row[i] * a->scale;
        if (a->sinks) s.max[r] = fmaxf(a->sinks[first_head + r % group], -FLT_MAX), s.sum[r] = 1;
    }
    return s;
}

/* The position of the first page that the window of a row at `position` reaches into. */
INLINE int first_page(const attention_args *a, int position) {
    const int hidden = a->window > 0 && position >= a->window ? position + 1 - a->window : 0;
    return hidden / PAGE_TOKENS * PAGE_TOKENS;
}

/* What the queries of a run see of the n tokens from position `first` on. */
INLINE sight look(const attention_args *a, const row_run *run, int group, int first, int n) {
    sight see;
    memset(&see, 0, sizeof see);
    for (int r = 0; r < run->n_rows * group; r++) {
        const int seen = run->position + r / group + 1 - first, hidden = a->window > 0 ? seen - a->window : 0;
        see.visible[r] = seen < 0 ? 0 : seen < n ? seen : n;
        see.hidden[r] = hidden < 0 ? 0 : hidden < n ? hidden : n;
    }
    return see;
}

/* One KV head and one run: queries are its rows times `group` heads, from head `first_head`.
 * Spans begin at multiples of their length, wherever a window does, so that a row's sums are
 * the same whatever the rows of its run; pages that no row sees are left out. */
static void attend_run(const attention_args *a, const row_run *run, int head, int first_head, int group,
                       const float *q, size_t ldq, float *y, size_t ldy, void *scratch) {
    const kv_layout *kv = a->kv;
    const size_t offset = a->offset;
    const int d = kv->head_dim, n_queries = run->n_rows * group, n_tokens = run->position + run->n_rows;
    attention_state s = begin_run(a, run, first_head, group, q, ldq, scratch);
    span_kernel *attend = choose_span_kernel(kv->type, n_queries);
    for (int first = first_page(a, run->position), end; first < n_tokens; first = end) {
        end = (first / SPAN_TOKENS + 1) * SPAN_TOKENS;
        const int n = (end < n_tokens ? end : n_tokens) - first;
        const sight see = look(a, run, group, first, n);
        kv_head pages[SPAN_PAGES];
        for (int t = 0; t < n; t += PAGE_TOKENS) {
            kv_head *page = &pages[t / PAGE_TOKENS];
            const int soon = first + t + SPAN_TOKENS;
            *page = page_head(kv, run->pages[(first + t) / PAGE_TOKENS], offset, head);
            if (soon < n_tokens) page->soon = page_head(kv, run->pages[soon / PAGE_TOKENS], offset, head).keys;
        }
        attend(&s, n_queries, pages, d, n, &see);
    }
    for (int r = 0; r < n_queries; r++) {
        float *row = y + (size_t)(run->row + r / group) * ldy + (size_t)(first_head + r % group) * d;
        const float *out = s.out + (size_t)r * padded_dim(d);
        const float share = 1 / s.sum[r];
        for (int i = 0; i < d; i++) row[i] = out[i] * share;
    }
}

#endif
