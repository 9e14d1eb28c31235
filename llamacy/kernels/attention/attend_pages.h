/* A single strip of queries meets pages in bfloat16 where they are (decode): they are tiles
 * already, and nobody else would read copies. Sums are those of attend_bf16.h, in the same order.
 */
#ifndef LLAMACY_ATTEND_PAGES_H
#define LLAMACY_ATTEND_PAGES_H

#include "attention/bf16_span.h"
#include "attention/softmax.h"

enum { PAGE_QUERIES = 8 }; /* whose sums, two vectors each, stay in registers */

/* left[r] and right[r] grow by the products of pairs p of 16 from the row of `a` of query r, and
 * rows p of two tiles. Each prefetches two lines of a page to come. */
INLINE void meet_tiles(int rows, const uint8_t *a, const uint8_t *left_tile, const uint8_t *right_tile,
                       const uint8_t *left_soon, const uint8_t *right_soon, vf *left, vf *right) {
    for (size_t p = 0; p < TILE_BYTES; p += 64) {
        const vi x = i_load(left_tile + p), y = i_load(right_tile + p);
        PREFETCH_L2(left_soon + p);
        PREFETCH_L2(right_soon + p);
        UNROLL for (int r = 0; r < rows; r++) {
            const uint8_t *pair = a + r * 64 + p / 16;
            left[r] = b_dot(left[r], x, pair);
            right[r] = b_dot(right[r], y, pair);
        }
    }
}

/* Scores of some queries with a page's tokens, its halves side by side. */
INLINE void score_page_rows(int rows, const uint8_t *queries, const kv_head *h, int key_dim, float *scores) {
    const size_t half = (size_t)key_units(key_dim) * TILE_BYTES;
    vf left[PAGE_QUERIES], right[PAGE_QUERIES];
    UNROLL for (int r = 0; r < rows; r++) left[r] = right[r] = f_zero();
    for (size_t at = 0; at < half; at += TILE_BYTES)
        meet_tiles(rows, queries + at, h->keys + at, h->keys + half + at, h->soon + at, h->soon + half + at, left,
                   right);
    UNROLL for (int r = 0; r < rows; r++) {
        f_store(scores + r * SPAN_TOKENS, left[r]);
        f_store(scores + r * SPAN_TOKENS + HALF_TOKENS, right[r]);
    }
}

/* Two vectors of the outputs of some queries grow by the weighted values of n_pages. */
INLINE void weigh_page_rows(int rows, const uint8_t *weights, const kv_head *pages, int n_pages, head_dims d,
                            int vector, float *out, const float *shrink) {
    const size_t at = (size_t)vector * TILE_BYTES, ld = (size_t)wide_dim(d.value);
    const size_t after_keys = kv_plane_bytes(KV_BF16, d.key);
    vf left[PAGE_QUERIES], right[PAGE_QUERIES];
    UNROLL for (int r = 0; r < rows; r++) {
        left[r] = f_mul(f_load(out + (size_t)r * ld), f_set1(shrink[r]));
        right[r] = f_mul(f_load(out + (size_t)r * ld + 16), f_set1(shrink[r]));
    }
    for (int page = 0; page < n_pages; page++) {
        const uint8_t *tile = pages[page].values + at, *soon = pages[page].soon + after_keys + at;
        meet_tiles(rows, weights + (size_t)page * TILE_BYTES, tile, tile + TILE_BYTES, soon, soon + TILE_BYTES, left,
                   right);
    }
    UNROLL for (int r = 0; r < rows; r++) {
        f_store(out + (size_t)r * ld, left[r]);
        f_store(out + (size_t)r * ld + 16, right[r]);
    }
}

INLINE void score_pages(int rows, attention_state *s, const kv_head *pages, int n_pages, head_dims d) {
    for (int page = 0; page < n_pages; page++)
        UNROLL for (int r = 0; r < rows; r += PAGE_QUERIES)
            score_page_rows(rows < PAGE_QUERIES ? rows : PAGE_QUERIES, s->query_tiles + r * 64, &pages[page], d.key,
                            s->weights + r * SPAN_TOKENS + page * PAGE_TOKENS);
}

INLINE void weigh_pages(int rows, attention_state *s, const kv_head *pages, int n_pages, const uint8_t *weights,
                        head_dims d, vector_range some) {
    for (int c = some.begin; c < some.end; c += 2)
        UNROLL for (int r = 0; r < rows; r += PAGE_QUERIES)
            weigh_page_rows(rows < PAGE_QUERIES ? rows : PAGE_QUERIES, weights + r * 64, pages, n_pages, d, c,
                            s->out + (size_t)r * (size_t)wide_dim(d.value) + 16 * c, s->shrink + r);
}

typedef struct {
    void (*score)(attention_state *s, const kv_head *pages, int n_pages, head_dims d);
    /* weights: [pages][16 rows][32 tokens] in bfloat16 */
    void (*weigh)(attention_state *s, const kv_head *pages, int n_pages, const uint8_t *weights, head_dims d,
                  vector_range some);
} page_kernels;

#define ATTEND_PAGES(rows)                                                                               \
    static void score_pages_##rows(attention_state *s, const kv_head *pages, int n_pages, head_dims d) { \
        score_pages(rows, s, pages, n_pages, d);                                                         \
    }                                                                                                    \
    static void weigh_pages_##rows(attention_state *s, const kv_head *pages, int n_pages,                \
                                   const uint8_t *weights, head_dims d, vector_range some) {             \
        weigh_pages(rows, s, pages, n_pages, weights, d, some);                                          \
    }                                                                                                    \
    static const page_kernels PAGE_KERNELS_##rows = {score_pages_##rows, weigh_pages_##rows};
ATTEND_PAGES(1) ATTEND_PAGES(2) ATTEND_PAGES(4) ATTEND_PAGES(6) ATTEND_PAGES(8) ATTEND_PAGES(16)

static const page_kernels *choose_page_kernels(int n_queries) {
    return n_queries <= 1   ? &PAGE_KERNELS_1
           : n_queries <= 2 ? &PAGE_KERNELS_2
           : n_queries <= 4 ? &PAGE_KERNELS_4
           : n_queries <= 6 ? &PAGE_KERNELS_6
           : n_queries <= 8 ? &PAGE_KERNELS_8
                            : &PAGE_KERNELS_16;
}

#endif
