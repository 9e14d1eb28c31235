/* A span unpacked to tiles of bfloat16, for products with strips of queries and of weights.
 *
 *   keys    [half pages][units][16 rows][16 pairs]    row p: dimensions 2p, 2p + 1 of 16 tokens
 *   values  [vectors][pages][16 rows][16 pairs]       row p: tokens 2p, 2p + 1 of 16 dimensions
 *
 * A unit is 32 dimensions, a vector 16.
 */
#ifndef LLAMACY_BF16_SPAN_H
#define LLAMACY_BF16_SPAN_H

#include "attention/span.h"
#include "levels/tile.h"

/* A span unpacked, and the weights of one strip of queries: [pages][16 rows][32 tokens]. */
typedef struct {
    uint8_t *keys, *values, *weights;
    float *squares; /* [pages]: the sum of the squares of a page's values; finite if all of them
                       are, and not so large that bfloat16 would round them to infinity */
} bf16_span;

INLINE int key_units(int key_dim) { return wide_dim(key_dim) / 32; }

static size_t bf16_span_bytes(head_dims d) {
    const int tiles_a_page = HALVES * key_units(d.key) + value_vectors(d.value) + 1;
    return (size_t)(SPAN_PAGES * tiles_a_page) * TILE_BYTES + sizeof(float) * SPAN_PAGES;
}

INLINE bf16_span place_bf16_span(uint8_t *memory, head_dims d) {
    bf16_span t;
    t.keys = memory;
    t.values = t.keys + (size_t)(SPAN_PAGES * HALVES * key_units(d.key)) * TILE_BYTES;
    t.weights = t.values + (size_t)(SPAN_PAGES * value_vectors(d.value)) * TILE_BYTES;
    t.squares = (float *)(t.weights + (size_t)SPAN_PAGES * TILE_BYTES);
    return t;
}

INLINE uint8_t *key_tiles(const bf16_span *t, int key_dim, int half) {
    return t->keys + (size_t)(half * key_units(key_dim)) * TILE_BYTES;
}

INLINE uint8_t *value_tiles(const bf16_span *t, int vector, int page) {
    return t->values + (size_t)(vector * SPAN_PAGES + page) * TILE_BYTES;
}

INLINE void put_row(uint8_t *tiles, int p, vi pairs) { memcpy(tiles + (size_t)p * 64, &pairs, sizeof pairs); }

/* Query r of a strip, scaled, into its row of each unit. */
static void store_bf16_query(attention_state *s, int r, const float *q, int key_dim, float scale) {
    for (int first = 0; first < key_dim; first += 32) {
        float rest[32] = {0};
        const float *x = q + first;
        if (key_dim - first < 32) x = memcpy(rest, x, sizeof(float) * (size_t)(key_dim - first));
        const vf low = f_mul(f_load(x), f_set1(scale)), high = f_mul(f_load(x + 16), f_set1(scale));
        put_row(s->query_tiles + (size_t)first / 32 * TILE_BYTES, r, b_join(low, high));
    }
}

/* The part of a later page to prefetch next; each row of pairs that is made prefetches a share. */
typedef struct { const uint8_t *next; size_t share; } row_fetch;

INLINE void fetch_row(row_fetch *soon) {
    PREFETCH_L2(soon->next);
    soon->next += soon->share;
}

/* Dimension i of the 16 tokens of half a page. */
INLINE vf key_row(kv_type type, const kv_head *h, int key_dim, int half, int i) {
    const vf x = kv_load(type, h->keys, (size_t)half * (size_t)padded_dim(key_dim) + (size_t)i);
    if (type != KV_Q8_0) return x;
    return f_mul(x, f_load(h->key_scales + (half * kv_groups(key_dim) + i / KV_GROUP) * HALF_TOKENS));
}

/* 16 dimensions of a token. */
INLINE vf value_row(kv_type type, const kv_head *h, int value_dim, int vector, int token) {
    const vf x = kv_load(type, h->values, (size_t)token * (size_t)(padded_dim(value_dim) / 16) + (size_t)vector);
    if (type != KV_Q8_0) return x;
    return f_mul(x, f_set1(h->value_scales[token * kv_groups(value_dim) + 16 * vector / KV_GROUP]));
}

/* Dimensions i and i + 1; the last of an odd number, with 0. */
INLINE vi key_pairs(kv_type type, const kv_head *h, int key_dim, int half, int i, row_fetch *soon) {
    fetch_row(soon);
    return b_pairs(key_row(type, h, key_dim, half, i), key_row(type, h, key_dim, half, i + 1));
}
INLINE vi odd_key(kv_type type, const kv_head *h, int key_dim, int half) {
    return b_pairs(key_row(type, h, key_dim, half, key_dim - 1), f_zero());
}

/* Tokens t and t + 1; the last of an odd number, with 0; the first seen, after 0 for one that is hidden. */
INLINE vi value_pairs(kv_type type, const kv_head *h, int value_dim, int vector, int t, row_fetch *soon) {
    fetch_row(soon);
    return b_pairs(value_row(type, h, value_dim, vector, t), value_row(type, h, value_dim, vector, t + 1));
}
INLINE vi odd_value(kv_type type, const kv_head *h, int value_dim, int vector, int t) {
    return b_pairs(value_row(type, h, value_dim, vector, t), f_zero());
}
INLINE vi even_hidden(kv_type type, const kv_head *h, int value_dim, int vector, int t) {
    return b_pairs(f_zero(), value_row(type, h, value_dim, vector, t));
}

/* The rows of all units; those past the last dimension are 0. */
INLINE void unpack_keys(kv_type type, const kv_head *h, int key_dim, int half, uint8_t *tiles, row_fetch *soon) {
    const int n_pairs = key_dim / 2, n_rows = (key_dim + 1) / 2;
    for (int p = 0; p < n_pairs; p++) put_row(tiles, p, key_pairs(type, h, key_dim, half, 2 * p, soon));
    if (n_pairs < n_rows) put_row(tiles, n_pairs, odd_key(type, h, key_dim, half));
    memset(tiles + (size_t)n_rows * 64, 0, (size_t)(16 * key_units(key_dim) - n_rows) * 64);
}

/* The next span's line of the values that tokens t and t + 1 have in two vectors, of which
 * `vector` is one. */
INLINE void fetch_values(kv_type type, const kv_head *h, head_dims d, int vector, int t) {
    const size_t vectors = (size_t)padded_dim(d.value) / 16, token = (size_t)(t + vector % 2);
    const uint8_t *values = h->soon + kv_plane_bytes(type, d.key);
    PREFETCH_L2(values + (token * vectors + (size_t)(vector - vector % 2)) * 16 * kv_bytes(type));
}

/* Values of n <= 32 tokens of the span's page number `page`; the rows of other tokens are 0. A last
 * vector that only makes the number even is left as it is: its outputs are not read. */
INLINE void unpack_values(kv_type type, const kv_head *h, head_dims d, int n, const bf16_span *t, int page,
                          vector_range some) {
    const int n_pairs = n / 2, n_rows = (n + 1) / 2;
    vf squares[2] = {f_zero(), f_zero()};
    for (int p = 0; p < n_pairs; p++)
        for (int c = some.begin; c < some.end; c++) {
            const vf even = value_row(type, h, d.value, c, 2 * p), odd = value_row(type, h, d.value, c, 2 * p + 1);
            fetch_values(type, h, d, c, 2 * p);
            squares[0] = f_fma(even, even, squares[0]);
            squares[1] = f_fma(odd, odd, squares[1]);
            put_row(value_tiles(t, c, page), p, b_pairs(even, odd));
        }
    for (int c = some.begin; c < some.end; c++) {
        uint8_t *tile = value_tiles(t, c, page);
        if (n_pairs < n_rows) {
            const vf last = value_row(type, h, d.value, c, n - 1);
            squares[0] = f_fma(last, last, squares[0]);
            put_row(tile, n_pairs, b_pairs(last, f_zero()));
        }
        memset(tile + (size_t)n_rows * 64, 0, (size_t)(16 - n_rows) * 64);
    }
    t->squares[page] = f_sum(f_add(squares[0], squares[1]));
}

/* One vector of the values of n <= 16 tokens of half a page, from keys: row p of the tile and on. */
INLINE vf turn_half(kv_type type, const kv_head *h, head_dims d, int vector, int half, int n, uint8_t *tile) {
    const int n_dims = d.value - 16 * vector;
    vf rows[HALF_TOKENS], squares = f_zero();
    UNROLL for (int i = 0; i < 16; i++)
        rows[i] = i < n_dims ? key_row(type, h, d.key, half, 16 * vector + i) : f_zero();
    f_turn(rows);
    UNROLL for (int i = 0; i < HALF_TOKENS; i++) {
        if (i >= n) rows[i] = f_zero();
        squares = f_fma(rows[i], rows[i], squares);
    }
    UNROLL for (int i = 0; i < HALF_TOKENS; i += 2) put_row(tile, i / 2, b_pairs(rows[i], rows[i + 1]));
    return squares;
}

/* The same as unpack_values() of values that are a part of keys. */
INLINE void unpack_latent_values(kv_type type, const kv_head *h, head_dims d, int n, const bf16_span *t, int page,
                                 vector_range some) {
    const size_t half_bytes = HALF_TOKENS * (size_t)padded_dim(d.key) * kv_bytes(type);
    vf squares = f_zero();
    for (int c = some.begin; c < some.end; c++)
        for (int half = 0; half < HALVES; half++) {
            const uint8_t *soon = h->soon + half * half_bytes + (size_t)c * 16 * HALF_TOKENS * kv_bytes(type);
            uint8_t *tile = value_tiles(t, c, page) + half * (TILE_BYTES / HALVES);
            for (size_t i = 0; i < 16 * HALF_TOKENS * kv_bytes(type); i += 64) PREFETCH_L2(soon + i);
            squares = f_add(squares, turn_half(type, h, d, c, half, n - half * HALF_TOKENS, tile));
        }
    t->squares[page] = f_sum(squares);
}

INLINE void unpack_page_keys(kv_type type, const kv_head *h, head_dims d, const bf16_span *t, int page) {
    row_fetch soon = {h->soon, kv_plane_bytes(type, d.key) / (16 * (size_t)(HALVES * key_units(d.key)))};
    for (int half = 0; half < HALVES; half++)
        unpack_keys(type, h, d.key, half, key_tiles(t, d.key, page * HALVES + half), &soon);
}

INLINE void unpack_page_values(kv_type type, const kv_head *h, head_dims d, int n, const bf16_span *t, int page,
                               vector_range some) {
    if (d.is_latent) unpack_latent_values(type, h, d, n, t, page, some);
    else unpack_values(type, h, d, n, t, page, some);
}

INLINE void copy_tile(uint8_t *to, const uint8_t *from, row_fetch *soon) {
    for (int p = 0; p < 16; p++) {
        fetch_row(soon);
        put_row(to, p, i_load(from + 64 * p));
    }
}

/* Pages in bfloat16 are tiles already: copies follow one another, and are in the caches. */
INLINE void copy_page_keys(const kv_head *h, head_dims d, const bf16_span *t, int page) {
    row_fetch soon = {h->soon, 64};
    for (int i = 0; i < HALVES * key_units(d.key); i++)
        copy_tile(key_tiles(t, d.key, page * HALVES) + (size_t)i * TILE_BYTES, h->keys + (size_t)i * TILE_BYTES, &soon);
}

INLINE void copy_page_values(const kv_head *h, head_dims d, const bf16_span *t, int page, vector_range some) {
    const uint8_t *next = h->soon + kv_plane_bytes(KV_BF16, d.key);
    for (int c = some.begin; c < some.end; c++) {
        row_fetch soon = {next + (size_t)c * TILE_BYTES, 64};
        copy_tile(value_tiles(t, c, page), h->values + (size_t)c * TILE_BYTES, &soon);
    }
    t->squares[page] = 0; /* all are finite */
}

static void unpack_span_keys(const kv_span *span, bf16_span to, int n_tokens) {
    const head_dims d = span->d;
    for (int page = 0; page < count_pages(n_tokens); page++) {
        const kv_head h = span->pages[page]; /* a copy, which no store can alias: its fields stay in registers */
        if (span->type == KV_BF16) copy_page_keys(&h, d, &to, page);
        else if (span->type == KV_F16) unpack_page_keys(KV_F16, &h, d, &to, page);
        else unpack_page_keys(KV_Q8_0, &h, d, &to, page);
    }
}

static void unpack_span_values(const kv_span *span, bf16_span to, int n_tokens, vector_range some) {
    const head_dims d = span->d;
    for (int page = 0; page < count_pages(n_tokens); page++) {
        const int left = n_tokens - page * PAGE_TOKENS, n = left < PAGE_TOKENS ? left : PAGE_TOKENS;
        const kv_head h = span->pages[page];
        if (span->type == KV_BF16) copy_page_values(&h, d, &to, page, some);
        else if (span->type == KV_F16) unpack_page_values(KV_F16, &h, d, n, &to, page, some);
        else unpack_page_values(KV_Q8_0, &h, d, n, &to, page, some);
    }
}

#endif
