/* A tile of queries meets one span of keys and values: a few pages of one KV head.
 *
 * Scores, then their exponentials below each query's running maximum, then what these weigh
 * of the values; a microkernel for each type of cache and number of queries that share one
 * load of a key or value.
 */
#ifndef LLAMACY_ATTEND_SPAN_H
#define LLAMACY_ATTEND_SPAN_H

#include "attention/kv_page.h"
#include "rows/vector_math.h"
#include <math.h>

/* Pages whose scores are turned into weights together: enough that maxima, sums and the
 * shrinking of what came before cost little. */
enum { SPAN_PAGES = 4, SPAN_TOKENS = SPAN_PAGES * PAGE_TOKENS };

/* Dimensions of a head as outputs have them. */
INLINE int wide_dim(int head_dim) { return (head_dim + 31) / 32 * 32; }

/* What one call keeps in scratch: queries, outputs and weights of a tile. */
typedef struct {
    union {
        float *q;             /* [d][TILE_ROWS]: scaled, side by side for broadcasts */
        uint8_t *query_tiles; /* the same in bfloat16: [d / 32][TILE_ROWS][32] */
    };
    float *out;     /* [TILE_ROWS][wide_dim] */
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
    const int chunks = padded_dim(head_dim) / 16, groups = kv_groups(head_dim), width = wide_dim(head_dim);
    for (int c = 0; c < chunks; c++) {
        vf acc[TILE_ROWS];
        float *out = s->out + (size_t)r * width + 16 * c;
        UNROLL for (int i = 0; i < rows; i++) acc[i] = f_mul(f_load(out + i * width), f_set1(s->shrink[r + i]));
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
        UNROLL for (int i = 0; i < rows; i++) f_store(out + i * width, acc[i]);
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

#endif
