/* The layout of keys and values in a page.
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
#ifndef LLAMACY_KV_PAGE_H
#define LLAMACY_KV_PAGE_H

#include "interface.h"

enum { HALF_TOKENS = 16, HALVES = PAGE_TOKENS / HALF_TOKENS };

/* The parts of one head of a page; and a head that is wanted soon, to be fetched meanwhile. */
typedef struct { uint8_t *keys, *values; float *key_scales, *value_scales; const uint8_t *soon; } kv_head;

INLINE kv_head page_head(const kv_layout *kv, uint8_t *page, size_t offset, int head) {
    const size_t element = kv_bytes(kv->type), groups = kv->type == KV_Q8_0 ? (size_t)kv_groups(kv->head_dim) : 0;
    kv_head h;
    h.keys = page + offset + (size_t)head * kv->head_bytes;
    h.key_scales = (float *)(h.keys + element * PAGE_TOKENS * (size_t)padded_dim(kv->head_dim));
    h.values = (uint8_t *)(h.key_scales + groups * PAGE_TOKENS);
    h.value_scales = (float *)(h.values + element * PAGE_TOKENS * (size_t)padded_dim(kv->head_dim));
    h.soon = h.keys;
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

#endif
