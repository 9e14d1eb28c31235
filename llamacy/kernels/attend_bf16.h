/* A tile of queries meets one span of keys and values in bfloat16, on levels that have it.
 *
 * Products take two to many times as many numbers at once as in float32, but neither float16
 * nor int8, which caches hold. So a span is unpacked first, for all tiles of a band:
 *
 *   keys    [half pages][units][16 rows][16 pairs]   row p: dimensions 2p, 2p + 1 of 16 tokens
 *   values  [chunks][pages][16 rows][16 pairs]       row p: tokens 2p, 2p + 1 of 16 dimensions
 *
 * A unit is 32 dimensions, a chunk 16. Scores, their maxima, sums and outputs stay float32;
 * queries are rounded once a band, and weights once a span. A bfloat16 is within 2^-9 of what
 * it stands for, which is finer than the int8 that activations are rounded to before the
 * next product.
 */
#ifndef LLAMACY_ATTEND_BF16_H
#define LLAMACY_ATTEND_BF16_H

#include "attend_span.h"

/* A span unpacked, and the weights of one tile of queries. */
typedef struct { uint8_t *keys, *values, *weights; } span_tiles;

typedef void tiles_kernel(attention_state *s, int n_queries, const span_tiles *t, int first, int head_dim,
                          int n_tokens, const sight *see);

#ifdef HAS_BF16

/* Where that is allowed, and the cache has rounded too. */
INLINE int rounds(const attention_args *a) { return a->may_round && a->kv->type != KV_F32; }

INLINE int key_units(int head_dim) { return wide_dim(head_dim) / 32; }
INLINE int value_chunks(int head_dim) { return wide_dim(head_dim) / 16; } /* even: products take two */

INLINE size_t span_tiles_bytes(int head_dim) {
    const int tiles_a_page = HALVES * key_units(head_dim) + value_chunks(head_dim) + 1;
    return (size_t)(SPAN_PAGES * tiles_a_page) * TILE_BYTES;
}

INLINE span_tiles place_span_tiles(void *memory, int head_dim) {
    span_tiles t;
    t.keys = (uint8_t *)memory;
    t.values = t.keys + (size_t)(SPAN_PAGES * HALVES * key_units(head_dim)) * TILE_BYTES;
    t.weights = t.values + (size_t)(SPAN_PAGES * value_chunks(head_dim)) * TILE_BYTES;
    return t;
}

INLINE uint8_t *key_tiles(const span_tiles *t, int head_dim, int half) {
    return t->keys + (size_t)(half * key_units(head_dim)) * TILE_BYTES;
}

INLINE uint8_t *value_tiles(const span_tiles *t, int chunk, int page) {
    return t->values + (size_t)(chunk * SPAN_PAGES + page) * TILE_BYTES;
}

/* Where the next rows of what is wanted soon are; each row that is unpacked fetches some. */
typedef struct { const uint8_t *next; size_t share; } row_fetch;

INLINE void fetch_row(row_fetch *soon) {
    PREFETCH_L2(soon->next);
    soon->next += soon->share;
}

INLINE void put_pairs(uint8_t *row, vf x, vf y, row_fetch *soon) {
    const vi pairs = b_pairs(x, y);
    memcpy(row, &pairs, sizeof pairs);
    fetch_row(soon);
}

/* Dimension i of the 16 tokens of half a page. */
INLINE vf key_row(kv_type type, const kv_head *h, int head_dim, int half, int i) {
    const vf x = kv_load(type, h->keys, (size_t)(half * padded_dim(head_dim) + i));
    if (type != KV_Q8_0) return x;
    return f_mul(x, f_load(h->key_scales + (half * kv_groups(head_dim) + i / KV_GROUP) * HALF_TOKENS));
}

/* 16 dimensions of a token. */
INLINE vf value_row(kv_type type, const kv_head *h, int head_dim, int chunk, int token) {
    const vf x = kv_load(type, h->values, (size_t)(token * (padded_dim(head_dim) / 16) + chunk));
    if (type != KV_Q8_0) return x;
    return f_mul(x, f_set1(h->value_scales[token * kv_groups(head_dim) + 16 * chunk / KV_GROUP]));
}

/* The rows of all units, one after another; those past the last dimension are 0. */
INLINE void unpack_keys(kv_type type, const kv_head *h, int head_dim, int half, uint8_t *tiles, row_fetch *soon) {
    const int n_pairs = head_dim / 2, n_rows = (head_dim + 1) / 2;
    for (int p = 0; p < n_pairs; p++)
        put_pairs(tiles + (size_t)p * 64, key_row(type, h, head_dim, half, 2 * p),
                  key_row(type, h, head_dim, half, 2 * p + 1), soon);
    if (n_pairs < n_rows)
        put_pairs(tiles + (size_t)n_pairs * 64, key_row(type, h, head_dim, half, head_dim - 1), f_zero(), soon);
    memset(tiles + (size_t)n_rows * 64, 0, (size_t)(16 * key_units(head_dim) - n_rows) * 64);
}

/* n <= 32 tokens of the span's page number `page`; the rows of other tokens are 0. A last
 * chunk that is there for evenness is left as it is: nobody reads what becomes of it. */
INLINE void unpack_values(kv_type type, const kv_head *h, int head_dim, int n, const span_tiles *t, int page,
                          row_fetch *soon) {
    const int n_pairs = n / 2, n_rows = (n + 1) / 2, chunks = padded_dim(head_dim) / 16;
    for (int p = 0; p < n_pairs; p++)
        for (int c = 0; c < chunks; c++)
            put_pairs(value_tiles(t, c, page) + (size_t)p * 64, value_row(type, h, head_dim, c, 2 * p),
                      value_row(type, h, head_dim, c, 2 * p + 1), soon);
    for (int c = 0; c < chunks; c++) {
        uint8_t *tile = value_tiles(t, c, page);
        if (n_pairs < n_rows)
            put_pairs(tile + (size_t)n_pairs * 64, value_row(type, h, head_dim, c, n - 1), f_zero(), soon);
        memset(tile + (size_t)n_rows * 64, 0, (size_t)(16 - n_rows) * 64);
    }
}

INLINE void unpack_page(kv_type type, const kv_head *h, int head_dim, int n, const span_tiles *t, int page) {
    const size_t n_rows = 16 * (size_t)(HALVES * key_units(head_dim) + value_chunks(head_dim));
    row_fetch soon = {h->soon, kv_head_bytes(type, head_dim) / n_rows};
    for (int half = 0; half < HALVES; half++)
        unpack_keys(type, h, head_dim, half, key_tiles(t, head_dim, page * HALVES + half), &soon);
    unpack_values(type, h, head_dim, n, t, page, &soon);
}

static void unpack_span(kv_type type, const kv_head *pages, int head_dim, int n_tokens, const span_tiles *t) {
    for (int page = 0; page * PAGE_TOKENS < n_tokens; page++) {
        const int left = n_tokens - page * PAGE_TOKENS, n = left < PAGE_TOKENS ? left : PAGE_TOKENS;
        if (type == KV_F16) unpack_page(KV_F16, &pages[page], head_dim, n, t, page);
        else unpack_page(KV_Q8_0, &pages[page], head_dim, n, t, page);
    }
}

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
