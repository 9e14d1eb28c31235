/* One query alone meets a span in bfloat16: pairs of keys or values are multiplied as soon as
 * they are made, and not written to tiles that nobody else would read. Sums are those of
 * attend_bf16.h, in the same order. */
#ifndef LLAMACY_ATTEND_ALONE_H
#define LLAMACY_ATTEND_ALONE_H

#include "attention/attend_bf16.h"

#if defined(HAS_BF16) && !defined(HAS_TILES)

enum { MEETS_ALONE = 1 };

/* Scores of the tokens of a page, its halves side by side. */
INLINE void score_page(kv_type type, const uint8_t *query_tiles, const kv_head *h, int head_dim, float *scores,
                       row_fetch *soon) {
    vf sums[HALVES];
    UNROLL for (int half = 0; half < HALVES; half++) sums[half] = f_zero();
    for (int first = 0; first < head_dim; first += 32) {
        const uint8_t *query = query_tiles + (size_t)first / 32 * TILE_BYTES;
        const int end = first + 32 < head_dim ? first + 32 : head_dim;
        for (int i = first; i + 1 < end; i += 2, query += 4)
            UNROLL for (int half = 0; half < HALVES; half++) {
                const vi pairs = key_pairs(type, h, head_dim, half, i, soon);
                sums[half] = b_dot(sums[half], pairs, query);
            }
        if ((end - first) % 2)
            UNROLL for (int half = 0; half < HALVES; half++)
                sums[half] = b_dot(sums[half], odd_key(type, h, head_dim, half), query);
    }
    UNROLL for (int half = 0; half < HALVES; half++) f_store(scores + half * HALF_TOKENS, sums[half]);
}

/* `some` chunks from `chunk` on grow by the n weighted values of a page. */
INLINE void weigh_page(kv_type type, int some, const uint8_t *weights, const kv_head *h, int head_dim, int chunk, int n,
                       vf *sums, row_fetch *soon) {
    for (int t = 0; t + 1 < n; t += 2)
        UNROLL for (int c = 0; c < some; c++) {
            const vi pairs = value_pairs(type, h, head_dim, chunk + c, t, soon);
            sums[c] = b_dot(sums[c], pairs, weights + 2 * t);
        }
    if (n % 2)
        UNROLL for (int c = 0; c < some; c++)
            sums[c] = b_dot(sums[c], odd_value(type, h, head_dim, chunk + c, n - 1), weights + 2 * (n - 1));
}

/* `some` chunks of the output from `chunk` on. */
INLINE void weigh_chunks(kv_type type, int some, const attention_state *s, const uint8_t *weights, const kv_head *pages,
                         int head_dim, int chunk, int n_tokens) {
    vf sums[4];
    float *out = s->out + 16 * chunk;
    const size_t bytes = kv_head_bytes(type, head_dim) / 2, chunks = (size_t)padded_dim(head_dim) / 16;
    UNROLL for (int c = 0; c < some; c++) sums[c] = f_mul(f_load(out + 16 * c), f_set1(s->shrink[0]));
    for (int first = 0; first < n_tokens; first += PAGE_TOKENS) {
        const kv_head *h = &pages[first / PAGE_TOKENS];
        row_fetch soon = {h->soon + bytes + bytes / chunks * (size_t)chunk, bytes / (16 * chunks)};
        const int n = n_tokens - first < PAGE_TOKENS ? n_tokens - first : PAGE_TOKENS;
        weigh_page(type, some, weights + (size_t)first / PAGE_TOKENS * TILE_BYTES, h, head_dim, chunk, n, sums, &soon);
    }
    UNROLL for (int c = 0; c < some; c++) f_store(out + 16 * c, sums[c]);
}

INLINE void attend_one(kv_type type, attention_state *s, const kv_head *pages, const span_tiles *t, int head_dim,
                       int n_tokens, const sight *see) {
    const int n_pages = (n_tokens + PAGE_TOKENS - 1) / PAGE_TOKENS, chunks = padded_dim(head_dim) / 16;
    for (int page = 0; page < n_pages; page++) {
        row_fetch soon = {pages[page].soon, kv_head_bytes(type, head_dim) / (size_t)(2 * HALVES * (head_dim + 1) / 2)};
        score_page(type, s->query_tiles, &pages[page], head_dim, s->weights + page * PAGE_TOKENS, &soon);
    }
    soften(s, 1, n_pages * PAGE_TOKENS, see);
    for (int page = 0; page < n_pages; page++)
        round_weights(1, s->weights + page * PAGE_TOKENS, t->weights + (size_t)page * TILE_BYTES);
    int c = 0;
    for (; c + 4 <= chunks; c += 4) weigh_chunks(type, 4, s, t->weights, pages, head_dim, c, n_tokens);
    for (; c < chunks; c++) weigh_chunks(type, 1, s, t->weights, pages, head_dim, c, n_tokens);
}

static void attend_alone(kv_type type, attention_state *s, const kv_head *pages, const span_tiles *t, int head_dim,
                         int n_tokens, const sight *see) {
    if (type == KV_F16) attend_one(KV_F16, s, pages, t, head_dim, n_tokens, see);
    else attend_one(KV_Q8_0, s, pages, t, head_dim, n_tokens, see);
}

#else /* tiles multiply one query as fast as sixteen */

enum { MEETS_ALONE = 0 };

static void attend_alone(kv_type type, attention_state *s, const kv_head *pages, const span_tiles *t, int head_dim,
                         int n_tokens, const sight *see) {
    (void)type, (void)s, (void)pages, (void)t, (void)head_dim, (void)n_tokens, (void)see;
}

#endif

#endif
