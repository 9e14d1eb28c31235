/* A tile of queries meets one span of keys and values in bfloat16, on levels that have it.
 *
 * Products take two to many times as many numbers at once as in float32, but neither float16
 * nor int8, which caches hold. So a span is unpacked first, for all tiles of a band. Scores,
 * their maxima, sums and outputs stay float32; queries are rounded once a band, and weights
 * once a span. A bfloat16 is within 2^-9 of what it stands for, which is finer than the int8
 * that activations are rounded to before the next product.
 */
#ifndef LLAMACY_ATTEND_BF16_H
#define LLAMACY_ATTEND_BF16_H

#include "attention/span_tiles.h"

typedef void tiles_kernel(attention_state *s, int n_queries, const span_tiles *t, int first, int head_dim,
                          int n_tokens, const sight *see);

#ifdef HAS_BF16

/* Where that is allowed, and the cache has rounded too. */
INLINE int rounds(const attention_args *a) { return a->may_round && a->kv->type != KV_F32; }

/* Query r of a tile, scaled, into its row of each unit. */
static void round_query(const float *x, int head_dim, float scale, int r, uint8_t *tiles) {
    for (int first = 0; first < head_dim; first += 32) {
        float row[32] = {0};
        for (int i = first; i < head_dim && i < first + 32; i++) row[i - first] = x[i] * scale;
        const vi rounded = b_join(f_load(row), f_load(row + 16));
        memcpy(tiles + (size_t)first / 32 * TILE_BYTES + (size_t)r * 64, &rounded, sizeof rounded);
    }
}

/* Weights of a page's tokens, as the left side of a product. */
INLINE void round_weights(int rows, const float *weights, uint8_t *tile) {
    for (int r = 0; r < rows; r++) {
        const float *row = weights + r * SPAN_TOKENS;
        const vi rounded = b_join(f_load(row), f_load(row + 16));
        memcpy(tile + (size_t)r * 64, &rounded, sizeof rounded);
    }
}

INLINE void shrink_sums(int rows, const attention_state *s, int width) {
    for (int r = 0; r < rows; r++) {
        float *out = s->out + r * width;
        const vf shrink = f_set1(s->shrink[r]);
        for (int i = 0; i < width; i += 16) f_store(out + i, f_mul(f_load(out + i), shrink));
    }
}

/* n_tokens of the span, from its page `first` on. */
INLINE void attend_tiles(int rows, attention_state *s, int n_queries, const span_tiles *t, int first, int head_dim,
                         int n_tokens, const sight *see) {
    const int units = key_units(head_dim), width = wide_dim(head_dim);
    const int n_pages = (n_tokens + PAGE_TOKENS - 1) / PAGE_TOKENS;
    for (int page = 0; page < n_pages; page++)
        b_products(rows, s->query_tiles, key_tiles(t, head_dim, (first + page) * HALVES), (size_t)units * TILE_BYTES,
                   units, s->weights + page * PAGE_TOKENS, SPAN_TOKENS, 0);
    soften(s, n_queries, n_pages * PAGE_TOKENS, see);
    shrink_sums(rows, s, width);
    for (int page = 0; page < n_pages; page++)
        round_weights(rows, s->weights + page * PAGE_TOKENS, t->weights + (size_t)page * TILE_BYTES);
    for (int c = 0; c < value_chunks(head_dim); c += 2)
        b_products(rows, t->weights, value_tiles(t, c, first), (size_t)SPAN_PAGES * TILE_BYTES, n_pages,
                   s->out + 16 * c, (size_t)width, 1);
}

#define TILES_KERNEL(rows)                                                                            \
    static void attend_bf16_##rows(attention_state *s, int n_queries, const span_tiles *t, int first, \
                                   int head_dim, int n_tokens, const sight *see) {                    \
        attend_tiles(rows, s, n_queries, t, first, head_dim, n_tokens, see);                          \
    }
#ifdef HAS_TILES
TILES_KERNEL(16)
static tiles_kernel *choose_tiles_kernel(int n_queries) { (void)n_queries; return attend_bf16_16; }
#else
TILES_KERNEL(4) TILES_KERNEL(8) TILES_KERNEL(16)
static tiles_kernel *choose_tiles_kernel(int n_queries) {
    return n_queries <= 4 ? attend_bf16_4 : n_queries <= 8 ? attend_bf16_8 : attend_bf16_16;
}
#endif

#else /* a level that rounds nothing, and calls none of these */

INLINE int rounds(const attention_args *a) { (void)a; return 0; }
INLINE size_t span_tiles_bytes(int head_dim) { (void)head_dim; return 0; }
INLINE span_tiles place_span_tiles(void *memory, int head_dim) {
    const span_tiles none = {NULL, NULL, NULL};
    (void)memory, (void)head_dim;
    return none;
}
static void unpack_span(kv_type type, const kv_head *pages, int head_dim, int n_tokens, const span_tiles *t) {
    (void)type, (void)pages, (void)head_dim, (void)n_tokens, (void)t;
}
static void round_query(const float *x, int head_dim, float scale, int r, uint8_t *tiles) {
    (void)x, (void)head_dim, (void)scale, (void)r, (void)tiles;
}
static tiles_kernel *choose_tiles_kernel(int n_queries) { (void)n_queries; return NULL; }

#endif

#endif
