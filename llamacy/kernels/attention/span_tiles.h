/* A span of keys and values in bfloat16, unpacked for products on tiles.
 *
 *   keys    [half pages][units][16 rows][16 pairs]   row p: dimensions 2p, 2p + 1 of 16 tokens
 *   values  [chunks][pages][16 rows][16 pairs]       row p: tokens 2p, 2p + 1 of 16 dimensions
 *
 * A unit is 32 dimensions, a chunk 16.
 */
#ifndef LLAMACY_SPAN_TILES_H
#define LLAMACY_SPAN_TILES_H

#include "attention/attend_span.h"

/* A span unpacked, and the weights of one tile of queries. */
typedef struct { uint8_t *keys, *values, *weights; } span_tiles;

#ifdef HAS_BF16

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

/* Where the next part of what is wanted soon is; each row of pairs that is made fetches some. */
typedef struct { const uint8_t *next; size_t share; } row_fetch;

INLINE void fetch_row(row_fetch *soon) {
    PREFETCH_L2(soon->next);
    soon->next += soon->share;
}

/* Dimension i of the 16 tokens of half a page. */
INLINE vf key_row(kv_type type, const kv_head *h, int head_dim, int half, int i) {
    const vf x = kv_load(type, h->keys, (size_t)half * (size_t)padded_dim(head_dim) + (size_t)i);
    if (type != KV_Q8_0) return x;
    return f_mul(x, f_load(h->key_scales + (half * kv_groups(head_dim) + i / KV_GROUP) * HALF_TOKENS));
}

/* 16 dimensions of a token. */
INLINE vf value_row(kv_type type, const kv_head *h, int head_dim, int chunk, int token) {
    const vf x = kv_load(type, h->values, (size_t)token * (size_t)(padded_dim(head_dim) / 16) + (size_t)chunk);
    if (type != KV_Q8_0) return x;
    return f_mul(x, f_set1(h->value_scales[token * kv_groups(head_dim) + 16 * chunk / KV_GROUP]));
}

/* Dimensions i and i + 1; with 0 where there is no second one. */
INLINE vi key_pairs(kv_type type, const kv_head *h, int head_dim, int half, int i, row_fetch *soon) {
    fetch_row(soon);
    return b_pairs(key_row(type, h, head_dim, half, i), key_row(type, h, head_dim, half, i + 1));
}
INLINE vi odd_key(kv_type type, const kv_head *h, int head_dim, int half) {
    return b_pairs(key_row(type, h, head_dim, half, head_dim - 1), f_zero());
}

/* Tokens t and t + 1, and the last of an odd number. */
INLINE vi value_pairs(kv_type type, const kv_head *h, int head_dim, int chunk, int t, row_fetch *soon) {
    fetch_row(soon);
    return b_pairs(value_row(type, h, head_dim, chunk, t), value_row(type, h, head_dim, chunk, t + 1));
}
INLINE vi odd_value(kv_type type, const kv_head *h, int head_dim, int chunk, int t) {
    return b_pairs(value_row(type, h, head_dim, chunk, t), f_zero());
}

INLINE void put_row(uint8_t *tiles, int p, vi pairs) { memcpy(tiles + (size_t)p * 64, &pairs, sizeof pairs); }

/* The rows of all units, one after another; those past the last dimension are 0. */
INLINE void unpack_keys(kv_type type, const kv_head *h, int head_dim, int half, uint8_t *tiles, row_fetch *soon) {
    const int n_pairs = head_dim / 2, n_rows = (head_dim + 1) / 2;
    for (int p = 0; p < n_pairs; p++) put_row(tiles, p, key_pairs(type, h, head_dim, half, 2 * p, soon));
    if (n_pairs < n_rows) put_row(tiles, n_pairs, odd_key(type, h, head_dim, half));
    memset(tiles + (size_t)n_rows * 64, 0, (size_t)(16 * key_units(head_dim) - n_rows) * 64);
}

/* n <= 32 tokens of the span's page number `page`; the rows of other tokens are 0. A last
 * chunk that is there for evenness is left as it is: nobody reads what becomes of it. */
INLINE void unpack_values(kv_type type, const kv_head *h, int head_dim, int n, const span_tiles *t, int page,
                          row_fetch *soon) {
    const int n_pairs = n / 2, n_rows = (n + 1) / 2, chunks = padded_dim(head_dim) / 16;
    for (int p = 0; p < n_pairs; p++)
        for (int c = 0; c < chunks; c++)
            put_row(value_tiles(t, c, page), p, value_pairs(type, h, head_dim, c, 2 * p, soon));
    for (int c = 0; c < chunks; c++) {
        uint8_t *tile = value_tiles(t, c, page);
        if (n_pairs < n_rows) put_row(tile, n_pairs, odd_value(type, h, head_dim, c, n - 1));
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
        /* copies, which cannot be what is stored to: their fields stay in registers */
        const kv_head h = pages[page];
        const span_tiles to = *t;
        if (type == KV_F16) unpack_page(KV_F16, &h, head_dim, n, &to, page);
        else unpack_page(KV_Q8_0, &h, head_dim, n, &to, page);
    }
}

#endif

#endif
