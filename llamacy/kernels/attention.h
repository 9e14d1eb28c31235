/* Attention of a tile of queries over the pages of one KV head, flash-style.
 *
 *   y[r] = sum over t of softmax over t of (scale * q[r] . k[t]) * v[t]
 *
 * over the tokens that r sees: those up to its own, or of these the last ones, a window. The
 * scores may be capped softly before (Bello et al. 2016, arXiv:1611.09940).
 *
 * (Dao et al. 2022, arXiv:2205.14135; Milakov & Gimelshein 2018, arXiv:1805.02867.)
 * A tile is the queries of all heads that share the KV head, for one or more
 * consecutive tokens, so that each key and value is read once for all of them. Keys
 * and values go by a span of a few pages at a time; each query keeps a running maximum
 * and sum.
 *
 * One head of a page, d dimensions (dv = d rounded up to 16):
 *
 *   F32, F16   keys   [2 halves of 16 tokens][d][16 tokens]
 *              values [32 tokens][dv]
 *   Q8_0       keys   [2 halves][d][16 tokens] int8, then [2 halves][d/32][16] float32 scales
 *              values [32 tokens][dv] int8, then [32 tokens][d/32] float32 scales
 *
 * (d/32 rounded up.) Keys have their tokens side by side, so that the scores of 16
 * tokens are one vector and no sum over lanes is needed; values have their
 * dimensions side by side, for the same reason.
 */
#ifndef LLAMACY_ATTENTION_H
#define LLAMACY_ATTENTION_H

#include "interface.h"
#include "vector_math.h"
#include <float.h>
#include <math.h>

enum { HALF_TOKENS = 16, HALVES = PAGE_TOKENS / HALF_TOKENS };

/* The parts of one head of a page; and a head that is wanted soon, to be fetched meanwhile. */
typedef struct { uint8_t *keys, *values; float *key_scales, *value_scales; const uint8_t *soon; } kv_head;

INLINE kv_head page_head(const kv_layout *kv, uint8_t *page, size_t offset, int head) {
    const size_t element = kv_bytes(kv->type), groups = kv->type == KV_Q8_0 ? (size_t)kv_groups(kv->head_dim) : 0;
    kv_head h;
    h.keys = page + offset + (size_t)head * kv->head_bytes;
    h.key_scales = (float *)(h.keys + element * PAGE_TOKENS * (size_t)padded_dim(kv->head_dim));
    h.values = (uint8_t *)(h.key_scales + groups * PAGE_TOKENS);
    h.value_scales = (float *)(h.values + element * PAGE_TOKENS * (size_t)padded_dim(kv->head_dim));
    h.soon = h.keys;
    return h;
}

/* 16 elements, number `i` of 16. */
INLINE vf kv_load(kv_type type, const uint8_t *p, size_t i) {
    switch (type) {
    case KV_F32: return f_load((const float *)p + 16 * i);
    case KV_F16: return f_load_f16(p + 32 * i);
    default: return f_load_i8(p + 16 * i);
    }
}

/* Pages whose scores are turned into weights together: enough that maxima, sums and the
 * shrinking of what came before cost little. */
enum { SPAN_PAGES = 4, SPAN_TOKENS = SPAN_PAGES * PAGE_TOKENS };

/* What one call keeps in scratch: queries, outputs and weights of a tile. */
typedef struct {
    float *q;       /* [d][TILE_ROWS]: scaled, side by side for broadcasts */
    float *out;     /* [TILE_ROWS][dv] */
    float *weights; /* [TILE_ROWS][SPAN_TOKENS]: scores, then their exponentials */
    float max[TILE_ROWS], sum[TILE_ROWS], shrink[TILE_ROWS];
    float softcap; /* 0: none */
} attention_state;

/* What each query of a tile sees of a span: tokens hidden[r] .. visible[r] - 1. */
typedef struct { int hidden[TILE_ROWS], visible[TILE_ROWS]; } sight;

/* Up to two lines, into the L2 cache: the L1 is full of what is in use. */
INLINE void fetch_soon(kv_type type, const uint8_t *p) {
    PREFETCH_L2(p);
    if (type == KV_F32) PREFETCH_L2(p + 64);
}

/* score[i] += q[d][i] * k[d] for the 16 tokens at `keys`; d from `begin` to `end`. */
INLINE void add_scores(kv_type type, int rows, const float *q, const uint8_t *keys, size_t begin, size_t end,
                       const uint8_t *soon, size_t share, vf *score) {
    for (size_t d = begin; d < end; d++) {
        const vf k = kv_load(type, keys, d);
        const float *column = q + d * TILE_ROWS;
        fetch_soon(type, soon + d * share);
        UNROLL for (int i = 0; i < rows; i++) score[i] = f_fma(f_set1(column[i]), k, score[i]);
    }
}

/* weights[r] = scores of queries r .. r + rows - 1 with the 16 tokens of one half of a page. */
INLINE void score_half(kv_type type, int rows, const attention_state *s, int r, kv_head h, int head_dim, int half,
                       float *weights) {
    const uint8_t *keys = h.keys + (size_t)half * HALF_TOKENS * padded_dim(head_dim) * kv_bytes(type);
    const float *q = s->q + r;
    /* all of `soon`, spread over the dimensions of both halves */
    const size_t share = (kv_head_bytes(type, head_dim) - 1) / (size_t)(HALVES * head_dim) + 1;
    const uint8_t *soon = h.soon + (size_t)half * head_dim * share;
    vf score[TILE_ROWS], part[TILE_ROWS];
    UNROLL for (int i = 0; i < rows; i++) score[i] = f_zero();
    if (type != KV_Q8_0) {
        add_scores(type, rows, q, keys, 0, (size_t)head_dim, soon, share, score);
    } else {
        const int groups = kv_groups(head_dim);
        for (int g = 0; g < groups; g++) {
            const int end = (g + 1) * KV_GROUP < head_dim ? (g + 1) * KV_GROUP : head_dim;
            const vf scale = f_load(h.key_scales + ((size_t)half * groups + g) * HALF_TOKENS);
            UNROLL for (int i = 0; i < rows; i++) part[i] = f_zero();
            add_scores(type, rows, q, keys, (size_t)g * KV_GROUP, (size_t)end, soon, share, part);
            UNROLL for (int i = 0; i < rows; i++) score[i] = f_fma(scale, part[i], score[i]);
        }
    }
    UNROLL for (int i = 0; i < rows; i++) f_store(weights + (r + i) * SPAN_TOKENS + half * HALF_TOKENS, score[i]);
}

/* out[r] = out[r] * shrink[r] + sum over the span's tokens of weights[r][t] * values[t]. */
INLINE void weigh_values(kv_type type, int rows, const attention_state *s, int r, const kv_head *pages, int head_dim,
                         int n_tokens) {
    const int chunks = padded_dim(head_dim) / 16, groups = kv_groups(head_dim);
    for (int c = 0; c < chunks; c++) {
        vf acc[TILE_ROWS];
        float *out = s->out + (size_t)r * padded_dim(head_dim) + 16 * c;
        UNROLL for (int i = 0; i < rows; i++)
            acc[i] = f_mul(f_load(out + i * padded_dim(head_dim)), f_set1(s->shrink[r + i]));
        for (int first = 0; first < n_tokens; first += PAGE_TOKENS) {
            const kv_head *h = &pages[first / PAGE_TOKENS];
            const int n = n_tokens - first < PAGE_TOKENS ? n_tokens - first : PAGE_TOKENS;
            const float *weights = s->weights + r * SPAN_TOKENS + first;
            for (int t = 0; t < n; t++) {
                vf v = kv_load(type, h->values, (size_t)t * chunks + c);
                if (type == KV_Q8_0) v = f_mul(v, f_set1(h->value_scales[t * groups + 16 * c / KV_GROUP]));
                UNROLL for (int i = 0; i < rows; i++) acc[i] = f_fma(f_set1(weights[i * SPAN_TOKENS + t]), v, acc[i]);
            }
        }
        UNROLL for (int i = 0; i < rows; i++) f_store(out + i * padded_dim(head_dim), acc[i]);
    }
}

/* The first n values become -inf. */
INLINE void hide(float *w, int n) {
    for (int t = 0; t < n; t += 16)
        f_store(w + t, f_first(f_set1(-INFINITY), n - t < 16 ? n - t : 16, f_load(w + t)));
}

INLINE void cap_scores(float *w, int n, float cap) {
    for (int t = 0; t < n; t += 16) f_store(w + t, f_softcap(f_load(w + t), cap));
}

/* The largest of the first n values; the rest of their vector becomes -inf. */
INLINE float mask_and_max(float *w, int n) {
    vf peak = f_set1(-INFINITY);
    for (int t = 0; t < n; t += 16) {
        const vf seen = f_first(f_load(w + t), n - t < 16 ? n - t : 16, f_set1(-INFINITY));
        f_store(w + t, seen);
        peak = f_max(peak, seen);
    }
    return f_hmax(peak);
}

/* Turns scores into exponentials below the running maximum, of the tokens that each query
 * sees of n_tokens. Leaves by how much what came before shrinks. */
INLINE void soften(attention_state *s, int n_queries, int n_tokens, const sight *see) {
    const int *visible = see->visible;
    float peaks[TILE_ROWS];
    for (int r = 0; r < TILE_ROWS; r++) {
        float *w = s->weights + r * SPAN_TOKENS;
        if (s->softcap > 0 && r < n_queries) cap_scores(w, visible[r], s->softcap);
        if (see->hidden[r] > 0) hide(w, see->hidden[r]);
        peaks[r] = r < n_queries ? mask_and_max(w, visible[r]) : 0;
    }
    const vf old = f_load(s->max), peak = f_max(f_load(peaks), old);
    const vf shrink = f_exp(f_sub(old, peak)); /* 0 at the first span: exp(-inf) */
    f_store(s->shrink, shrink);
    f_store(s->sum, f_mul(f_load(s->sum), shrink));
    f_store(s->max, peak);
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

/* One span: n_queries queries in groups of `rows`. The tile has room for a last group
 * that is not full. */
INLINE void attend_span(kv_type type, int rows, attention_state *s, int n_queries, const kv_head *pages, int head_dim,
                        int n_tokens, const sight *see) {
    for (int t = 0; t < n_tokens; t += HALF_TOKENS)
        for (int r = 0; r < n_queries; r += rows)
            score_half(type, rows, s, r, pages[t / PAGE_TOKENS], head_dim, t % PAGE_TOKENS / HALF_TOKENS,
                       s->weights + t / PAGE_TOKENS * PAGE_TOKENS);
    soften(s, n_queries, n_tokens, see);
    for (int r = 0; r < n_queries; r += rows) weigh_values(type, rows, s, r, pages, head_dim, n_tokens);
}

#define SPAN_KERNEL(type, rows)                                                                   \
    static void attend_##type##_##rows(attention_state *s, int n_queries, const kv_head *pages,   \
                                       int head_dim, int n_tokens, const sight *see) {            \
        attend_span(KV_##type, rows, s, n_queries, pages, head_dim, n_tokens, see);               \
    }
#if TOKENS_MAX >= 16
#define SPAN_KERNELS(type) SPAN_KERNEL(type, 1) SPAN_KERNEL(type, 4) SPAN_KERNEL(type, 8) SPAN_KERNEL(type, 16)
#define SPAN_ROW(type) [KV_##type] = {attend_##type##_1, attend_##type##_4, attend_##type##_8, attend_##type##_16},
enum { SPAN_WIDTHS = 4 };
#elif TOKENS_MAX >= 4
#define SPAN_KERNELS(type) SPAN_KERNEL(type, 1) SPAN_KERNEL(type, 4)
#define SPAN_ROW(type) [KV_##type] = {attend_##type##_1, attend_##type##_4},
enum { SPAN_WIDTHS = 2 };
#else
#define SPAN_KERNELS(type) SPAN_KERNEL(type, 1)
#define SPAN_ROW(type) [KV_##type] = {attend_##type##_1},
enum { SPAN_WIDTHS = 1 };
#endif
SPAN_KERNELS(F32) SPAN_KERNELS(F16) SPAN_KERNELS(Q8_0)

typedef void span_kernel(attention_state *s, int n_queries, const kv_head *pages, int head_dim, int n_tokens,
                         const sight *see);

/* By the queries that share one load of a key or value: 1, 4, 8, 16. */
static span_kernel *const SPAN_KERNELS_BY_TYPE[KV_COUNT][SPAN_WIDTHS] = {SPAN_ROW(F32) SPAN_ROW(F16) SPAN_ROW(Q8_0)};

/* The narrowest kernel that takes all queries at once, or else the widest. */
static span_kernel *choose_span_kernel(kv_type type, int n_queries) {
    const int wanted = n_queries <= 1 ? 0 : n_queries <= 4 ? 1 : n_queries <= 8 ? 2 : 3;
    return SPAN_KERNELS_BY_TYPE[type][wanted < SPAN_WIDTHS ? wanted : SPAN_WIDTHS - 1];
}

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
