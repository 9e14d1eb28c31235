/* Put one token's key or value of one KV head into its slot of a page (kv_page.h). */
#ifndef LLAMACY_KV_STORE_H
#define LLAMACY_KV_STORE_H

#include "attention/kv_page.h"
#include <math.h>

/* Quantise n <= 32 floats to int8; return their scale. It is NaN if one of them is NaN or
 * infinite, since no int8 is. */
INLINE float quantize_group(const float *x, int n, int8_t *q) {
    float padded[KV_GROUP] = {0};
    memcpy(padded, x, sizeof(float) * (size_t)n);
    vf low = f_load(padded), high = f_load(padded + 16);
    if (f_sum(f_fma(low, f_zero(), f_mul(high, f_zero()))) != 0) {
        memset(q, 0, KV_GROUP);
        return NAN;
    }
    const float peak = f_hmax(f_max(f_abs(low), f_abs(high)));
    const vf inverse = f_set1(peak > 1e-30f ? 127 / peak : 0);
    f_store_i8(q, f_mul(low, inverse));
    f_store_i8(q + 16, f_mul(high, inverse));
    return peak / 127;
}

/* Round n <= 16 floats to float16; `out` takes 16. */
INLINE void round_f16(const float *x, int n, uint16_t *out) {
    float padded[16] = {0};
    memcpy(padded, x, sizeof(float) * (size_t)n);
    f_store_f16(out, f_load(padded));
}

#ifdef HAS_BF16
/* Round n <= 32 floats to bfloat16; `out` takes 32. */
INLINE void round_bf16(const float *x, int n, uint16_t *out) {
    float padded[32] = {0};
    memcpy(padded, x, sizeof(float) * (size_t)n);
    const vi rounded = b_join(f_load(padded), f_load(padded + 16));
    memcpy(out, &rounded, sizeof rounded);
}

/* Dimension i of a token's key, and of its value. Nothing beside them is written: threads may append
 * tokens of one page at once. */
INLINE uint16_t *bf16_key(const kv_head *h, int key_dim, int slot, int i) {
    const int half = slot / HALF_TOKENS, lane = slot % HALF_TOKENS;
    return (uint16_t *)h->keys + ((half * (wide_dim(key_dim) / 2) + i / 2) * HALF_TOKENS + lane) * 2 + i % 2;
}
INLINE uint16_t *bf16_value(const kv_head *h, int slot, int i) {
    return (uint16_t *)h->values + ((i / 16 * HALF_TOKENS + slot / 2) * 16 + i % 16) * 2 + slot % 2;
}

/* Two dimensions of a token at a time, which no other token's are between. */
INLINE void append_bf16_key(const kv_head *h, int dim, int slot, const float *k) {
    for (int first = 0; first < dim; first += 32) {
        uint16_t rounded[32];
        uint16_t *to = bf16_key(h, dim, slot, first);
        const int n = dim - first < 32 ? dim - first : 32;
        round_bf16(k + first, n, rounded);
        for (int i = 0; i < n; i += 2, to += 2 * HALF_TOKENS) memcpy(to, rounded + i, 2 * sizeof *to);
    }
}

/* A value with NaN or an infinity becomes 0, and its token's key, which is there already, NaN. */
INLINE void append_bf16_value(const kv_head *h, head_dims d, int slot, const float *v) {
    enum { INFINITE = 0x7f80, QUIET_NAN = 0x7fc0 };
    uint16_t rounded[32];
    int is_finite = 1;
    for (int first = 0; first < d.value; first += 32) {
        const int n = d.value - first < 32 ? d.value - first : 32;
        round_bf16(v + first, n, rounded);
        for (int i = 0; i < n; i += 16) {
            uint16_t *to = bf16_value(h, slot, first + i);
            for (int j = 0; j < 16 && i + j < n; j++) to[2 * j] = rounded[i + j];
        }
        for (int i = 0; i < n; i++) is_finite &= (rounded[i] & INFINITE) != INFINITE;
    }
    if (is_finite) return;
    for (int i = 0; i < d.value; i++) *bf16_value(h, slot, i) = 0;
    for (int i = 0; i < d.key; i++) *bf16_key(h, d.key, slot, i) = QUIET_NAN;
}
#endif

static void append_key(const kv_layout *kv, const kv_head *h, int slot, const float *k) {
#ifdef HAS_BF16
    if (kv->type == KV_BF16) {
        append_bf16_key(h, kv->head_dim, slot, k);
        return;
    }
#endif
    const int d = kv->head_dim, half = slot / HALF_TOKENS, lane = slot % HALF_TOKENS;
    const size_t first = (size_t)half * HALF_TOKENS * (size_t)padded_dim(d) + (size_t)lane;
    if (kv->type == KV_F32)
        for (int i = 0; i < d; i++) ((float *)h->keys)[first + (size_t)i * HALF_TOKENS] = k[i];
    else if (kv->type == KV_F16)
        for (int i = 0; i < d; i += 16) {
            uint16_t rounded[16];
            const int n = d - i < 16 ? d - i : 16;
            round_f16(k + i, n, rounded);
            for (int j = 0; j < n; j++) ((uint16_t *)h->keys)[first + (size_t)(i + j) * HALF_TOKENS] = rounded[j];
        }
    else
        for (int g = 0; g < kv_groups(d); g++) {
            int8_t q[KV_GROUP];
            const int from = g * KV_GROUP, n = d - from < KV_GROUP ? d - from : KV_GROUP;
            h->key_scales[(half * kv_groups(d) + g) * HALF_TOKENS + lane] = quantize_group(k + from, n, q);
            for (int j = 0; j < n; j++) h->keys[first + (size_t)(from + j) * HALF_TOKENS] = (uint8_t)q[j];
        }
}

static void append_value(const kv_layout *kv, const kv_head *h, int slot, const float *v) {
#ifdef HAS_BF16
    if (kv->type == KV_BF16) {
        append_bf16_value(h, dims_of(kv), slot, v);
        return;
    }
#endif
    const int d = kv->value_dim;
    const size_t first = (size_t)slot * (size_t)padded_dim(d);
    if (kv->type == KV_F32)
        memcpy((float *)h->values + first, v, sizeof(float) * (size_t)d);
    else if (kv->type == KV_F16)
        for (int i = 0; i < d; i += 16)
            round_f16(v + i, d - i < 16 ? d - i : 16, (uint16_t *)h->values + first + i);
    else
        for (int g = 0; g < kv_groups(d); g++) {
            int8_t q[KV_GROUP];
            const int from = g * KV_GROUP, left = d - from;
            h->value_scales[slot * kv_groups(d) + g] = quantize_group(v + from, left < KV_GROUP ? left : KV_GROUP, q);
            memcpy(h->values + first + from, q,
                   (size_t)(padded_dim(d) - from < KV_GROUP ? padded_dim(d) - from : KV_GROUP));
        }
}

#endif
