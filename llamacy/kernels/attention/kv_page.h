/* The layout of keys and values in a page.
 *
 * One KV head of a page; keys have d dimensions and values v, rounded up to dp and vp, multiples
 * of 16:
 *
 *   F32, F16   keys   [2 halves of 16 tokens][dp][16 tokens]
 *              values [32 tokens][vp]
 *   BF16       keys   [2 halves][dw/2][16 tokens][2 dimensions]
 *              values [vw/16][16 pairs of tokens][16 dimensions][2 tokens]
 *   Q8_0       keys   [2 halves][dp][16 tokens] int8, then [2 halves][d/32][16] float32 scales
 *              values [32 tokens][vp] int8, then [32 tokens][v/32] float32 scales
 *
 * (d/32 and v/32 rounded up; dw and vw are d and v rounded up to multiples of 32.) BF16 is what
 * products in bfloat16 read (bf16_span.h), and so is never unpacked. Its values are finite, so that
 * tokens that a query does not see may meet it with a weight of 0: a token with a value that is not
 * has a key of NaN instead. Keys have their tokens side by side, so that the scores of 16
 * tokens are one vector and no sum over lanes is needed; values have their dimensions side by
 * side, for the same reason.
 */
#ifndef LLAMACY_KV_PAGE_H
#define LLAMACY_KV_PAGE_H

#include "interface.h"

enum { HALF_TOKENS = 16, HALVES = PAGE_TOKENS / HALF_TOKENS };
INLINE int count_pages(int n_tokens) { return (n_tokens + PAGE_TOKENS - 1) / PAGE_TOKENS; }

/* Dimensions of a KV head. */
typedef struct { int key, value, is_latent; } head_dims;

/* The parts of one head of a page; and the head of a later page, to be prefetched meanwhile. */
typedef struct {
    uint8_t *keys, *values;
    float *key_scales, *value_scales;
    const uint8_t *soon;
} kv_head;

INLINE head_dims dims_of(const kv_layout *kv) {
    return (head_dims){kv->head_dim, kv->value_dim, kv->is_latent};
}
INLINE size_t head_bytes(kv_type type, head_dims d) {
    return kv_plane_bytes(type, d.key) + (d.is_latent ? 0 : kv_plane_bytes(type, d.value));
}

/* One head of a page. Latent values have no place in it: latent_values.h finds them one. */
INLINE kv_head page_head(const kv_layout *kv, uint8_t *page, size_t offset, int head) {
    const size_t tokens = PAGE_TOKENS * kv_bytes(kv->type); /* bytes of a dimension of all */
    kv_head h;
    h.keys = page + offset + (size_t)head * kv->head_bytes;
    h.key_scales = (float *)(h.keys + tokens * (size_t)padded_dim(kv->head_dim));
    h.values = h.keys + kv_plane_bytes(kv->type, kv->head_dim);
    h.value_scales = (float *)(h.values + tokens * (size_t)padded_dim(kv->value_dim));
    h.soon = h.keys;
    return h;
}

/* Elements 16 i .. 16 i + 15. */
INLINE vf kv_load(kv_type type, const uint8_t *p, size_t i) {
    switch (type) {
    case KV_F32: return f_load((const float *)p + 16 * i);
    case KV_F16: return f_load_f16(p + 32 * i);
    default: return f_load_i8(p + 16 * i);
    }
}

#endif
