/* Values that are the first dimensions of keys: a page has them as keys alone.
 *
 * Keys have their tokens side by side, and kernels read values with their dimensions side by
 * side. So the keys of a span are copied, turned, into scratch, in the type and layout in which
 * a page has values (kv_page.h): kernels that read them compute with the very numbers of the
 * keys, and do not know. bf16_span.h makes tiles of values out of keys without that copy.
 */
#ifndef LLAMACY_LATENT_VALUES_H
#define LLAMACY_LATENT_VALUES_H

#include "attention/span.h"

static size_t latent_bytes(int value_dim) { return SPAN_PAGES * kv_plane_bytes(KV_F32, value_dim); }

/* Elements 16 i .. 16 i + 15, which kv_load() has loaded from a cache of that type. */
INLINE void kv_store(kv_type type, uint8_t *p, size_t i, vf x) {
    switch (type) {
    case KV_F32: f_store((float *)p + 16 * i, x); break;
    case KV_F16: f_store_f16(p + 32 * i, x); break;
    default: f_store_i8((int8_t *)p + 16 * i, x);
    }
}

/* One vector of the values of half a page, from [dimensions][16 tokens] to [16 tokens][vectors][16]. */
INLINE void turn_vector(kv_type type, const uint8_t *keys, int n_dims, int vector, uint8_t *values, size_t vectors) {
    vf rows[16];
    UNROLL for (int i = 0; i < 16; i++)
        rows[i] = i < n_dims - 16 * vector ? kv_load(type, keys, (size_t)(16 * vector + i)) : f_zero();
    f_turn(rows);
    UNROLL for (int t = 0; t < HALF_TOKENS; t++) kv_store(type, values, (size_t)t * vectors + (size_t)vector, rows[t]);
}

/* Scales of n groups of half a page, from [n][16 tokens] to [16 tokens][n]. */
static void turn_scales(const float *keys, int n, float *values) {
    for (int t = 0; t < HALF_TOKENS; t++)
        for (int g = 0; g < n; g++) values[t * n + g] = keys[g * HALF_TOKENS + t];
}

/* Some values of a page, and their scales, at `to`; dimensions past the last are 0. */
INLINE void turn_page(kv_type type, head_dims d, kv_head *h, uint8_t *to, vector_range some) {
    const size_t width = (size_t)padded_dim(d.value), bytes = kv_bytes(type), key_rows = (size_t)padded_dim(d.key);
    h->values = to;
    h->value_scales = (float *)(to + PAGE_TOKENS * bytes * width);
    for (size_t half = 0; half < HALVES; half++) {
        for (int c = some.begin; c < some.end; c++)
            turn_vector(type, h->keys + half * HALF_TOKENS * key_rows * bytes, d.value, c,
                        to + half * HALF_TOKENS * width * bytes, width / 16);
        if (type != KV_Q8_0) continue;
        const size_t groups = (size_t)kv_groups(d.value);
        turn_scales(h->key_scales + half * (size_t)kv_groups(d.key) * HALF_TOKENS, (int)groups,
                    h->value_scales + half * HALF_TOKENS * groups);
    }
}

/* Some values of the first n_tokens of a span, in its memory for them. */
static void turn_span(kv_span *span, int n_tokens, vector_range some) {
    const vector_range own = own_vectors(some, span->d.value);
    for (int page = 0; page < count_pages(n_tokens); page++) {
        kv_head *h = &span->pages[page];
        uint8_t *to = span->turned + (size_t)page * kv_plane_bytes(span->type, span->d.value);
        switch (span->type) {
        case KV_F32: turn_page(KV_F32, span->d, h, to, own); break;
        case KV_F16: turn_page(KV_F16, span->d, h, to, own); break;
        default: turn_page(KV_Q8_0, span->d, h, to, own);
        }
    }
}

#endif
