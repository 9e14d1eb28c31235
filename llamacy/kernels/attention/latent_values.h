/* Values that are the first dimensions of keys: a page has them as keys alone.
 *
 * Keys have their tokens side by side, and kernels read values with their dimensions side by
 * side. So the keys of a span are copied, turned, into scratch, in the type and layout in which
 * a page has values (kv_page.h): kernels that read them compute with the very numbers of the
 * keys, and do not know.
 */
#ifndef LLAMACY_LATENT_VALUES_H
#define LLAMACY_LATENT_VALUES_H

#include "attention/span.h"

static size_t latent_bytes(int value_dim) { return SPAN_PAGES * kv_plane_bytes(KV_F32, value_dim); }

/* n elements of a half of a page, from [n][16 tokens] to [16 tokens][`step` dimensions]. */
#define TURN(element)                                                                              \
    static void turn_##element(const element *keys, int n, element *values, size_t step) {         \
        for (int first = 0; first < n; first += 16)                                                \
            for (int t = 0; t < HALF_TOKENS; t++)                                                  \
                for (int i = first; i < n && i < first + 16; i++)                                  \
                    values[(size_t)t * step + (size_t)i] = keys[(size_t)i * HALF_TOKENS + (size_t)t]; \
    }
TURN(float)
TURN(uint16_t)
TURN(uint8_t)

/* The values of a page, and their scales, at `to`; dimensions past value_dim are 0. */
static void turn_page(const kv_layout *kv, kv_head *h, uint8_t *to) {
    const int n = kv->value_dim;
    const size_t width = (size_t)padded_dim(n), bytes = kv_bytes(kv->type), key_rows = (size_t)padded_dim(kv->head_dim);
    h->values = to;
    h->value_scales = (float *)(to + PAGE_TOKENS * bytes * width);
    if ((size_t)n < width) memset(to, 0, PAGE_TOKENS * bytes * width);
    for (int half = 0; half < HALVES; half++) {
        const uint8_t *keys = h->keys + (size_t)half * HALF_TOKENS * key_rows * bytes;
        uint8_t *values = to + (size_t)half * HALF_TOKENS * width * bytes;
        switch (kv->type) {
        case KV_F32: turn_float((const float *)keys, n, (float *)values, width); break;
        case KV_F16: turn_uint16_t((const uint16_t *)keys, n, (uint16_t *)values, width); break;
        default: turn_uint8_t(keys, n, values, width);
        }
        if (kv->type != KV_Q8_0) continue;
        const int groups = kv_groups(n);
        turn_float(h->key_scales + half * kv_groups(kv->head_dim) * HALF_TOKENS, groups,
                   h->value_scales + half * HALF_TOKENS * groups, (size_t)groups);
    }
}

/* The values of the first n_tokens of a span, at `memory`, latent_bytes(). */
static void turn_span(const kv_layout *kv, kv_span *span, int n_tokens, uint8_t *memory) {
    for (int page = 0; page * PAGE_TOKENS < n_tokens; page++)
        turn_page(kv, &span->pages[page], memory + (size_t)page * kv_plane_bytes(kv->type, kv->value_dim));
}

#endif
