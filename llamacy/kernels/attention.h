/* Attention of a tile of queries over the pages of one KV head, flash-style.
 *
 *   y[r] = sum over t of softmax over t of (scale * q[r] . k[t]) * v[t]
 *
 * (Dao et al. 2022, arXiv:2205.14135; Milakov & Gimelshein 2018, arXiv:1805.02867.)
 * A tile is the queries of all heads that share the KV head, for one or more
 * consecutive tokens, so that each key and value is read once for all of them. Keys
 * and values go by one page (32 tokens) at a time; the running maximum and sum of
 * each query make the result independent of where the pages begin.
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
#include <math.h>

enum { HALF_TOKENS = 16, HALVES = PAGE_TOKENS / HALF_TOKENS };

/* The parts of one head of a page. */
typedef struct { uint8_t *keys, *values; float *key_scales, *value_scales; } kv_head;

INLINE kv_head page_head(const kv_layout *kv, uint8_t *page, size_t offset, int head) {
    const size_t element = kv_bytes(kv->type), groups = kv->type == KV_Q8_0 ? (size_t)kv_groups(kv->head_dim) : 0;
    kv_head h;
    h.keys = page + offset + (size_t)head * kv->head_bytes;
    h.key_scales = (float *)(h.keys + element * PAGE_TOKENS * (size_t)padded_dim(kv->head_dim));
    h.values = (uint8_t *)(h.key_scales + groups * PAGE_TOKENS);
    h.value_scales = (float *)(h.values + element * PAGE_TOKENS * (size_t)padded_dim(kv->head_dim));
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

/* What one call keeps in scratch: queries, outputs and weights of a tile. */
typedef struct {
    float *q;       /* [d][TILE_ROWS]: scaled, side by side for broadcasts */
    float *out;     /* [TILE_ROWS][dv] */
    float *weights; /* [TILE_ROWS][PAGE_TOKENS]: scores, then their exponentials */
    float max[TILE_ROWS], sum[TILE_ROWS];
} attention_state;

/* weights[r] = scores of queries r .. r + rows - 1 with 16 tokens of a page. */
INLINE void score_half(kv_type type, int rows, const attention_state *s, int r, kv_head h, int head_dim, int half) {
    const uint8_t *keys = h.keys + (size_t)half * HALF_TOKENS * padded_dim(head_dim) * kv_bytes(type);
    const float *q = s->q + r;
    vf score[TILE_ROWS], part[TILE_ROWS];
    UNROLL for (int i = 0; i < rows; i++) score[i] = f_zero();
    if (type != KV_Q8_0) {
        for (int d = 0; d < head_dim; d++) {
            const vf k = kv_load(type, keys, (size_t)d);
            UNROLL for (int i = 0; i < rows; i++) score[i] = f_fma(f_set1(q[d * TILE_ROWS + i]), k, score[i]);
        }
    } else {
        const int groups = kv_groups(head_dim);
        for (int g = 0; g < groups; g++) {
            const int end = (g + 1) * KV_GROUP < head_dim ? (g + 1) * KV_GROUP : head_dim;
            const vf scale = f_load(h.key_scales + ((size_t)half * groups + g) * HALF_TOKENS);
            UNROLL for (int i = 0; i < rows; i++) part[i] = f_zero();
            for (int d = g * KV_GROUP; d < end; d++) {
                const vf k = kv_load(type, keys, (size_t)d);
                UNROLL for (int i = 0; i < rows; i++) part[i] = f_fma(f_set1(q[d * TILE_ROWS + i]), k, part[i]);
            }
            UNROLL for (int i = 0; i < rows; i++) score[i] = f_fma(scale, part[i], score[i]);
        }
    }
    UNROLL for (int i = 0; i < rows; i++) f_store(s->weights + (r + i) * PAGE_TOKENS + half * HALF_TOKENS, score[i]);
}

/* out[r] = out[r] * shrink[r] + sum over n_tokens of weights[r][t] * values[t]. */
INLINE void weigh_values(kv_type type, int rows, const attention_state *s, int r, kv_head h, int head_dim,
                         int n_tokens, const float *shrink) {
    const int chunks = padded_dim(head_dim) / 16, groups = kv_groups(head_dim);
    for (int c = 0; c < chunks; c++) {
        vf acc[TILE_ROWS];
        float *out = s->out + (size_t)r * padded_dim(head_dim) + 16 * c;
        UNROLL for (int i = 0; i < rows; i++)
            acc[i] = f_mul(f_load(out + i * padded_dim(head_dim)), f_set1(shrink[r + i]));
        for (int t = 0; t < n_tokens; t++) {
            vf v = kv_load(type, h.values, (size_t)t * chunks + c);
            if (type == KV_Q8_0) v = f_mul(v, f_set1(h.value_scales[t * groups + 16 * c / KV_GROUP]));
            UNROLL for (int i = 0; i < rows; i++)
                acc[i] = f_fma(f_set1(s->weights[(r + i) * PAGE_TOKENS + t]), v, acc[i]);
        }
        UNROLL for (int i = 0; i < rows; i++) f_store(out + i * padded_dim(head_dim), acc[i]);
    }
}

/* Turns scores into exponentials below the running maximum; the first `visible`
 * tokens of the page count. Returns by how much what came before shrinks. */
INLINE float soften(attention_state *s, int r, int visible) {
    float *w = s->weights + r * PAGE_TOKENS;
    const vf low = f_set1(-INFINITY);
    const int n0 = visible < 16 ? visible : 16, n1 = visible < 16 ? 0 : visible - 16;
    vf a = f_first(f_load(w), n0, low), b = f_first(f_load(w + 16), n1, low);
    float peak = f_hmax(f_max(a, b));
    if (peak < s->max[r]) peak = s->max[r];
    vf shift = f_set1(peak);
    a = f_first(f_exp(f_sub(a, shift)), n0, f_zero());
    b = f_first(f_exp(f_sub(b, shift)), n1, f_zero());
    f_store(w, a);
    f_store(w + 16, b);
    float shrink = expf(s->max[r] - peak); /* 0 at the first page: exp(-inf) */
    s->sum[r] = s->sum[r] * shrink + f_sum(f_add(a, b));
    s->max[r] = peak;
    return shrink;
}

/* Queries that share one load of a key or value. */
enum { QUERIES = TOKENS_MAX >= 16 ? 8 : TOKENS_MAX };

/* One page: n_queries queries in groups of `rows`, of which query r sees the first
 * visible[r] tokens. The tile has room for a last group that is not full. */
INLINE void attend_page(kv_type type, int rows, attention_state *s, int n_queries, kv_head h, int head_dim,
                        int n_tokens, const int *visible) {
    float shrink[TILE_ROWS];
    for (int r = 0; r < n_queries; r += rows)
        for (int half = 0; half * HALF_TOKENS < n_tokens; half++) score_half(type, rows, s, r, h, head_dim, half);
    for (int r = 0; r < TILE_ROWS && r < n_queries + rows - 1; r++) shrink[r] = soften(s, r, visible[r]);
    for (int r = 0; r < n_queries; r += rows) weigh_values(type, rows, s, r, h, head_dim, n_tokens, shrink);
}

#define PAGE_KERNEL(type, name, rows)                                                                    \
    static void attend_##type##_##name(attention_state *s, int n_queries, kv_head h, int head_dim,       \
                                       int n_tokens, const int *visible) {                               \
        attend_page(KV_##type, rows, s, n_queries, h, head_dim, n_tokens, visible);                      \
    }
#define PAGE_KERNELS(type) PAGE_KERNEL(type, one, 1) PAGE_KERNEL(type, many, QUERIES)

PAGE_KERNELS(F32) PAGE_KERNELS(F16) PAGE_KERNELS(Q8_0)

typedef void page_kernel(attention_state *s, int n_queries, kv_head h, int head_dim, int n_tokens, const int *visible);

/* [type][0]: query by query; [type][1]: QUERIES at a time. */
static page_kernel *const PAGE_KERNELS_BY_TYPE[KV_COUNT][2] = {
    [KV_F32] = {attend_F32_one, attend_F32_many},
    [KV_F16] = {attend_F16_one, attend_F16_many},
    [KV_Q8_0] = {attend_Q8_0_one, attend_Q8_0_many},
};

static size_t attention_scratch_bytes(int head_dim) {
    return sizeof(float) * TILE_ROWS * (2 * (size_t)padded_dim(head_dim) + PAGE_TOKENS);
}

/* One KV head and one run: queries are its rows times `group` heads, from head `first_head`. */
static void attend_run(const kv_layout *kv, size_t offset, const row_run *run, int head, int first_head, int group,
                       float scale, const float *q, size_t ldq, float *y, size_t ldy, void *scratch) {
    const int d = kv->head_dim, n_queries = run->n_rows * group;
    attention_state s;
    int visible[TILE_ROWS];
    s.q = (float *)scratch;
    s.out = s.q + (size_t)padded_dim(d) * TILE_ROWS;
    s.weights = s.out + (size_t)padded_dim(d) * TILE_ROWS;
    memset(s.q, 0, sizeof(float) * TILE_ROWS * (size_t)d);
    memset(s.out, 0, sizeof(float) * TILE_ROWS * (size_t)padded_dim(d));
    for (int r = 0; r < TILE_ROWS; r++) s.max[r] = -INFINITY, s.sum[r] = 0;
    for (int r = 0; r < n_queries; r++) {
        const float *row = q + (size_t)(run->row + r / group) * ldq + (size_t)(first_head + r % group) * d;
        for (int i = 0; i < d; i++) s.q[i * TILE_ROWS + r] = row[i] * scale;
    }
    const int n_tokens = run->position + run->n_rows;
    page_kernel *attend = PAGE_KERNELS_BY_TYPE[kv->type][n_queries > 1];
    for (int first = 0; first < n_tokens; first += PAGE_TOKENS) {
        const int n = n_tokens - first < PAGE_TOKENS ? n_tokens - first : PAGE_TOKENS;
        for (int r = 0; r < TILE_ROWS; r++) {
            const int seen = run->position + (r < n_queries ? r / group : 0) + 1 - first;
            visible[r] = seen < 0 ? 0 : seen < PAGE_TOKENS ? seen : PAGE_TOKENS;
        }
        attend(&s, n_queries, page_head(kv, run->pages[first / PAGE_TOKENS], offset, head), d, n, visible);
    }
    for (int r = 0; r < n_queries; r++) {
        float *row = y + (size_t)(run->row + r / group) * ldy + (size_t)(first_head + r % group) * d;
        const float *out = s.out + (size_t)r * padded_dim(d);
        const float share = 1 / s.sum[r];
        for (int i = 0; i < d; i++) row[i] = out[i] * share;
    }
}

#endif
