/* A strip of queries meets a span in float32, from keys and values of any type.
 *
 *   score[r][t] = sum over d of q[r][d] * k[t][d]
 *   out[r][d]   = out[r][d] * shrink[r] + sum over t of weight[r][t] * v[t][d]
 *
 * One microkernel for each type of cache and number of queries that share one load of a key
 * or value.
 */
#ifndef LLAMACY_ATTEND_F32_H
#define LLAMACY_ATTEND_F32_H

#include "attention/latent_values.h"
#include "attention/softmax.h"

/* Prefetch up to two lines, into the L2 cache: the L1 cache is full of lines in use. */
INLINE void fetch_soon(kv_type type, const uint8_t *p) {
    PREFETCH_L2(p);
    if (type == KV_F32) PREFETCH_L2(p + 64);
}

/* score[i] += q[d][i] * k[d] for the 16 tokens at `keys`; d from `begin` to `end`. */
INLINE void add_scores(kv_type type, int rows, const float *q, const uint8_t *keys, size_t begin, size_t end,
                       const uint8_t *soon, size_t share, vf *score) {
    for (size_t d = begin; d < end; d++) {
        const vf k = kv_load(type, keys, d);
        const float *column = q + d * STRIP_ROWS;
        fetch_soon(type, soon + d * share);
        UNROLL for (int i = 0; i < rows; i++) score[i] = f_fma(f_set1(column[i]), k, score[i]);
    }
}

/* weights[r] = scores of queries r .. r + rows - 1 with the 16 tokens of one half of a page. */
INLINE void score_half(kv_type type, int rows, const attention_state *s, int r, kv_head h, head_dims d, int half,
                       float *weights) {
    const int dim = d.key;
    const uint8_t *keys = h.keys + (size_t)half * HALF_TOKENS * padded_dim(dim) * kv_bytes(type);
    const float *q = s->q + r;
    /* all of `soon`, spread over the dimensions of both halves */
    const size_t share = (head_bytes(type, d) - 1) / (size_t)(HALVES * dim) + 1;
    const uint8_t *soon = h.soon + (size_t)half * dim * share;
    vf score[STRIP_ROWS], part[STRIP_ROWS];
    UNROLL for (int i = 0; i < rows; i++) score[i] = f_zero();
    if (type != KV_Q8_0) {
        add_scores(type, rows, q, keys, 0, (size_t)dim, soon, share, score);
    } else {
        const int groups = kv_groups(dim);
        for (int g = 0; g < groups; g++) {
            const int end = (g + 1) * KV_GROUP < dim ? (g + 1) * KV_GROUP : dim;
            const vf scale = f_load(h.key_scales + ((size_t)half * groups + g) * HALF_TOKENS);
            UNROLL for (int i = 0; i < rows; i++) part[i] = f_zero();
            add_scores(type, rows, q, keys, (size_t)g * KV_GROUP, (size_t)end, soon, share, part);
            UNROLL for (int i = 0; i < rows; i++) score[i] = f_fma(scale, part[i], score[i]);
        }
    }
    UNROLL for (int i = 0; i < rows; i++) f_store(weights + (r + i) * SPAN_TOKENS + half * HALF_TOKENS, score[i]);
}

/* acc[i] grows by weights[i][t] * values[t], vector c of these; t from `begin` to `end`, of one
 * page. Queries that do not see a token must not meet it, if some do not: a weight of 0 times
 * NaN is NaN. */
INLINE void weigh_tokens(kv_type type, int rows, int all_see, const kv_head *h, int dim, int c, const float *weights,
                         int begin, int end, const int *hidden, const int *visible, vf *acc) {
    const int vectors = padded_dim(dim) / 16, groups = kv_groups(dim);
    for (int t = begin; t < end; t++) {
        const int slot = t % PAGE_TOKENS;
        vf v = kv_load(type, h->values, (size_t)slot * vectors + c);
        if (type == KV_Q8_0) v = f_mul(v, f_set1(h->value_scales[slot * groups + 16 * c / KV_GROUP]));
        UNROLL for (int i = 0; i < rows; i++)
            if (all_see || (hidden[i] <= t && t < visible[i]))
                acc[i] = f_fma(f_set1(weights[i * SPAN_TOKENS + t]), v, acc[i]);
    }
}

/* out[r] = out[r] * shrink[r] + sum over the span's tokens of weights[r][t] * values[t], of
 * `rows` queries from r on, which all see the tokens from `begin` to `end`. */
INLINE void weigh_values(kv_type type, int rows, const attention_state *s, int r, const kv_head *pages, int dim,
                         vector_range some, int n_tokens, const sight *see, int begin, int end) {
    const int width = wide_dim(dim);
    const int *hidden = see->hidden + r, *visible = see->visible + r;
    const float *weights = s->weights + r * SPAN_TOKENS;
    for (int c = some.begin; c < some.end; c++) {
        vf acc[STRIP_ROWS];
        float *out = s->out + (size_t)r * width + 16 * c;
        UNROLL for (int i = 0; i < rows; i++) acc[i] = f_mul(f_load(out + i * width), f_set1(s->shrink[r + i]));
        for (int first = 0; first < n_tokens; first += PAGE_TOKENS) {
            const kv_head *h = &pages[first / PAGE_TOKENS];
            const int last = first + PAGE_TOKENS < n_tokens ? first + PAGE_TOKENS : n_tokens;
            const int from = within(begin, first, last), to = within(end, from, last);
            weigh_tokens(type, rows, 0, h, dim, c, weights, first, from, hidden, visible, acc);
            weigh_tokens(type, rows, 1, h, dim, c, weights, from, to, hidden, visible, acc);
            weigh_tokens(type, rows, 0, h, dim, c, weights, to, last, hidden, visible, acc);
        }
        UNROLL for (int i = 0; i < rows; i++) f_store(out + i * width, acc[i]);
    }
}

/* One span and n_queries queries in groups of `rows`. The strip has room for a last group that
 * is not full. */
INLINE void score_rows(kv_type type, int rows, attention_state *s, int n_queries, const kv_head *pages, head_dims d,
                       int n_tokens) {
    for (int t = 0; t < n_tokens; t += HALF_TOKENS)
        for (int r = 0; r < n_queries; r += rows)
            score_half(type, rows, s, r, pages[t / PAGE_TOKENS], d, t % PAGE_TOKENS / HALF_TOKENS,
                       s->weights + t / PAGE_TOKENS * PAGE_TOKENS);
}

INLINE void weigh_rows(kv_type type, int rows, attention_state *s, int n_queries, const kv_head *pages, head_dims d,
                       int n_tokens, const sight *see, vector_range some) {
    for (int r = 0; r < n_queries; r += rows) {
        int begin = 0, end = n_tokens;
        for (int i = r; i < r + rows && i < n_queries; i++) {
            if (see->hidden[i] > begin) begin = see->hidden[i];
            if (see->visible[i] < end) end = see->visible[i];
        }
        weigh_values(type, rows, s, r, pages, d.value, some, n_tokens, see, begin, end);
    }
}

typedef struct {
    void (*score)(attention_state *s, int n_queries, const kv_head *pages, head_dims d, int n_tokens);
    void (*weigh)(attention_state *s, int n_queries, const kv_head *pages, head_dims d, int n_tokens,
                  const sight *see, vector_range some);
} f32_kernels;

#define ATTEND(type, rows)                                                                               \
    static void score_##type##_##rows(attention_state *s, int n_queries, const kv_head *pages,           \
                                      head_dims d, int n_tokens) {                                       \
        score_rows(KV_##type, rows, s, n_queries, pages, d, n_tokens);                                   \
    }                                                                                                    \
    static void weigh_##type##_##rows(attention_state *s, int n_queries, const kv_head *pages,           \
                                      head_dims d, int n_tokens, const sight *see, vector_range some) {  \
        weigh_rows(KV_##type, rows, s, n_queries, pages, d, n_tokens, see, some);                        \
    }
#define F32_PAIR(type, rows) {score_##type##_##rows, weigh_##type##_##rows}
#if ROWS_MAX >= 16
#define ATTENDS(type) ATTEND(type, 1) ATTEND(type, 4) ATTEND(type, 8) ATTEND(type, 16)
#define ATTEND_ROW(type) [KV_##type] = {F32_PAIR(type, 1), F32_PAIR(type, 4), F32_PAIR(type, 8), F32_PAIR(type, 16)},
enum { ATTEND_WIDTHS = 4 };
#elif ROWS_MAX >= 4
#define ATTENDS(type) ATTEND(type, 1) ATTEND(type, 4)
#define ATTEND_ROW(type) [KV_##type] = {F32_PAIR(type, 1), F32_PAIR(type, 4)},
enum { ATTEND_WIDTHS = 2 };
#else
#define ATTENDS(type) ATTEND(type, 1)
#define ATTEND_ROW(type) [KV_##type] = {F32_PAIR(type, 1)},
enum { ATTEND_WIDTHS = 1 };
#endif
ATTENDS(F32) ATTENDS(F16) ATTENDS(Q8_0)

/* By the queries that share one load of a key or value: 1, 4, 8, 16. */
static const f32_kernels F32_KERNELS[KV_COUNT][ATTEND_WIDTHS] = {ATTEND_ROW(F32) ATTEND_ROW(F16) ATTEND_ROW(Q8_0)};

/* The narrowest kernels that take all queries at once, or else the widest. */
static const f32_kernels *choose_f32_kernels(kv_type type, int n_queries) {
    const int wanted = n_queries <= 1 ? 0 : n_queries <= 4 ? 1 : n_queries <= 8 ? 2 : 3;
    return &F32_KERNELS[type][wanted < ATTEND_WIDTHS ? wanted : ATTEND_WIDTHS - 1];
}

static size_t f32_span_bytes(head_dims d) { (void)d; return 0; }
static void store_f32_query(attention_state *s, int r, const float *q, int key_dim, float scale) {
    for (int i = 0; i < key_dim; i++) s->q[i * STRIP_ROWS + r] = q[i] * scale;
}
/* Pages are read as they are. */
static void open_f32_keys(const kv_span *span, int n_tokens) { (void)span, (void)n_tokens; }
static void open_f32_values(kv_span *span, int n_tokens, vector_range some) {
    if (span->d.is_latent) turn_span(span, n_tokens, some);
}
static void score_f32(const kv_span *span, int first, int n_tokens, attention_state *s, int n_queries) {
    choose_f32_kernels(span->type, n_queries)->score(s, n_queries, span->pages + first, span->d, n_tokens);
}
static void soften_f32(const kv_span *span, int n_tokens, attention_state *s, int n_queries, const sight *see) {
    (void)span;
    soften(s, n_queries, count_pages(n_tokens) * PAGE_TOKENS, see);
}
static void weigh_f32(const kv_span *span, int first, int n_tokens, attention_state *s, int n_queries,
                      const sight *see, vector_range some) {
    const vector_range own = own_vectors(some, span->d.value);
    choose_f32_kernels(span->type, n_queries)->weigh(s, n_queries, span->pages + first, span->d, n_tokens, see, own);
}

static const attention_path F32_PATH = {f32_span_bytes, store_f32_query, open_f32_keys, open_f32_values,
                                        score_f32, soften_f32, weigh_f32};

#endif
