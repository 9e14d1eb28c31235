/* A single query meets a span in bfloat16 (decode): pairs of keys or values are multiplied as
 * soon as they are made, since nobody else would read tiles of them. Sums are those of
 * attend_bf16.h, in the same order. */
#ifndef LLAMACY_ATTEND_ALONE_H
#define LLAMACY_ATTEND_ALONE_H

#include "attention/bf16_span.h"
#include "attention/softmax.h"

/* Scores of the tokens of a page, its halves side by side. */
INLINE void score_page(kv_type type, const uint8_t *query_tiles, const kv_head *h, int key_dim, float *scores,
                       row_fetch *soon) {
    vf sums[HALVES];
    UNROLL for (int half = 0; half < HALVES; half++) sums[half] = f_zero();
    for (int first = 0; first < key_dim; first += 32) {
        const uint8_t *query = query_tiles + (size_t)first / 32 * TILE_BYTES;
        const int end = first + 32 < key_dim ? first + 32 : key_dim;
        for (int i = first; i + 1 < end; i += 2, query += 4)
            UNROLL for (int half = 0; half < HALVES; half++) {
                const vi pairs = key_pairs(type, h, key_dim, half, i, soon);
                sums[half] = b_dot(sums[half], pairs, query);
            }
        if ((end - first) % 2)
            UNROLL for (int half = 0; half < HALVES; half++)
                sums[half] = b_dot(sums[half], odd_key(type, h, key_dim, half), query);
    }
    UNROLL for (int half = 0; half < HALVES; half++) f_store(scores + half * HALF_TOKENS, sums[half]);
}

/* `some` vectors from `vector` on grow by the weighted values of a page's tokens hidden .. n - 1.
 * Tokens before a window are left out: a weight of 0 times NaN is NaN. */
INLINE void weigh_page(kv_type type, int some, const uint8_t *weights, const kv_head *h, int value_dim, int vector,
                       int hidden, int n, vf *sums, row_fetch *soon) {
    int t = hidden;
    if (t % 2) {
        UNROLL for (int c = 0; c < some; c++)
            sums[c] = b_dot(sums[c], even_hidden(type, h, value_dim, vector + c, t), weights + 2 * (t - 1));
        t++;
    }
    for (; t + 1 < n; t += 2)
        UNROLL for (int c = 0; c < some; c++) {
            const vi pairs = value_pairs(type, h, value_dim, vector + c, t, soon);
            sums[c] = b_dot(sums[c], pairs, weights + 2 * t);
        }
    if (t < n)
        UNROLL for (int c = 0; c < some; c++)
            sums[c] = b_dot(sums[c], odd_value(type, h, value_dim, vector + c, t), weights + 2 * t);
}

/* `some` vectors of the output from `vector` on. */
INLINE void weigh_vectors(kv_type type, int some, const attention_state *s, const uint8_t *weights,
                          const kv_head *pages, head_dims d, int vector, int n_tokens, int hidden) {
    vf sums[4];
    float *out = s->out + 16 * vector;
    /* keys are prefetched by score_page(), values here */
    const size_t after_keys = kv_plane_bytes(type, d.key), bytes = kv_plane_bytes(type, d.value);
    const size_t vectors = (size_t)padded_dim(d.value) / 16;
    UNROLL for (int c = 0; c < some; c++) sums[c] = f_mul(f_load(out + 16 * c), f_set1(s->shrink[0]));
    for (int first = 0; first < n_tokens; first += PAGE_TOKENS) {
        const kv_head *h = &pages[first / PAGE_TOKENS];
        row_fetch soon = {h->soon + after_keys + bytes / vectors * (size_t)vector, bytes / (16 * vectors)};
        if (d.is_latent) soon = (row_fetch){h->soon, 0};
        const int n = n_tokens - first < PAGE_TOKENS ? n_tokens - first : PAGE_TOKENS;
        weigh_page(type, some, weights + (size_t)first / PAGE_TOKENS * TILE_BYTES, h, d.value, vector,
                   within(hidden - first, 0, n), n, sums, &soon);
    }
    UNROLL for (int c = 0; c < some; c++) f_store(out + 16 * c, sums[c]);
}

INLINE void score_one(kv_type type, attention_state *s, const kv_head *pages, head_dims d, int n_tokens) {
    for (int page = 0; page * PAGE_TOKENS < n_tokens; page++) {
        row_fetch soon = {pages[page].soon, kv_plane_bytes(type, d.key) / (size_t)(d.key + 1)};
        score_page(type, s->query_tiles, &pages[page], d.key, s->weights + page * PAGE_TOKENS, &soon);
    }
}

INLINE void weigh_one(kv_type type, attention_state *s, const kv_head *pages, uint8_t *weights, head_dims d,
                      int n_tokens, int hidden, vector_range some) {
    int c = some.begin;
    for (; c + 4 <= some.end; c += 4) weigh_vectors(type, 4, s, weights, pages, d, c, n_tokens, hidden);
    for (; c < some.end; c++) weigh_vectors(type, 1, s, weights, pages, d, c, n_tokens, hidden);
}

static void score_alone(kv_type type, attention_state *s, const kv_head *pages, head_dims d, int n_tokens) {
    if (type == KV_F16) score_one(KV_F16, s, pages, d, n_tokens);
    else score_one(KV_Q8_0, s, pages, d, n_tokens);
}

/* Of `weights`, [pages][16 rows][32 tokens] in bfloat16, the first rows. */
static void weigh_alone(kv_type type, attention_state *s, const kv_head *pages, uint8_t *weights, head_dims d,
                        int n_tokens, int hidden, vector_range some) {
    if (type == KV_F16) weigh_one(KV_F16, s, pages, weights, d, n_tokens, hidden, some);
    else weigh_one(KV_Q8_0, s, pages, weights, d, n_tokens, hidden, some);
}

#endif
