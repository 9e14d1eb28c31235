/* A strip of queries meets a span in bfloat16, on levels that have it.
 *
 * bf16 products process two or more times as many values per instruction as float32, but
 * cannot read the cache's float16 or int8: a span is unpacked first (bf16_span.h), once for
 * all strips of a band. Scores, maxima, sums and outputs stay float32; queries are rounded
 * once a band, and weights as they are made. A bfloat16 is within 2^-9 of the number that it stands
 * for, which is finer than the int8 that activations are rounded to before the next product.
 */
#ifndef LLAMACY_ATTEND_BF16_H
#define LLAMACY_ATTEND_BF16_H

#include "attention/attend_alone.h"
#include "attention/attend_pages.h"
#include "attention/bf16_span.h"
#include "attention/latent_values.h"
#include "attention/nonfinite_values.h"
#include "attention/softmax_bf16.h"

INLINE void shrink_sums(int rows, const attention_state *s, int width, vector_range some) {
    for (int r = 0; r < rows; r++) {
        float *out = s->out + r * width;
        const vf shrink = f_set1(s->shrink[r]);
        if (s->shrink[r] == 1) continue;
        for (int c = some.begin; c < some.end; c++) f_store(out + 16 * c, f_mul(f_load(out + 16 * c), shrink));
    }
}

/* n_pages of the span, from its page `first` on. */
INLINE void score_bf16_rows(int rows, attention_state *s, const bf16_span *t, int first, head_dims d, int n_pages) {
    const int units = key_units(d.key);
    for (int page = 0; page < n_pages; page++)
        b_products(rows, s->query_tiles, key_tiles(t, d.key, (first + page) * HALVES), (size_t)units * TILE_BYTES,
                   units, s->weights + page * PAGE_TOKENS, SPAN_TOKENS, 0);
}

INLINE void weigh_bf16_rows(int rows, attention_state *s, int n_queries, const bf16_span *t, int first, head_dims d,
                            int n_pages, const sight *see, vector_range some) {
    const int width = wide_dim(d.value);
    shrink_sums(rows, s, width, some);
    if (!values_are_finite(t, first, n_pages)) {
        weigh_apart(s, n_queries, t, t->weights, first, d, n_pages, see, some);
        return;
    }
    for (int c = some.begin; c < some.end; c += 2)
        b_products(rows, t->weights, value_tiles(t, c, first), (size_t)SPAN_PAGES * TILE_BYTES, n_pages,
                   s->out + 16 * c, (size_t)width, 1);
}

typedef struct {
    void (*score)(attention_state *s, const bf16_span *t, int first, head_dims d, int n_pages);
    void (*weigh)(attention_state *s, int n_queries, const bf16_span *t, int first, head_dims d, int n_pages,
                  const sight *see, vector_range some);
} bf16_kernels;

#define ATTEND_BF16(rows)                                                                                    \
    static void score_bf16_##rows(attention_state *s, const bf16_span *t, int first, head_dims d,            \
                                  int n_pages) {                                                             \
        score_bf16_rows(rows, s, t, first, d, n_pages);                                                      \
    }                                                                                                        \
    static void weigh_bf16_##rows(attention_state *s, int n_queries, const bf16_span *t, int first,          \
                                  head_dims d, int n_pages, const sight *see, vector_range some) {           \
        weigh_bf16_rows(rows, s, n_queries, t, first, d, n_pages, see, some);                                \
    }                                                                                                        \
    static const bf16_kernels BF16_KERNELS_##rows = {score_bf16_##rows, weigh_bf16_##rows};
ATTEND_BF16(4) ATTEND_BF16(8) ATTEND_BF16(16)
static const bf16_kernels *choose_bf16_kernels(int n_queries) {
    return n_queries <= 4 ? &BF16_KERNELS_4 : n_queries <= 8 ? &BF16_KERNELS_8 : &BF16_KERNELS_16;
}

/* Whether queries read pages as they are: a single one, or a strip of them if pages are in bfloat16. */
INLINE int reads_pages(const kv_span *span) {
    return span->type == KV_BF16 ? span->is_single : span->is_alone;
}

static void open_bf16_keys(const kv_span *span, int n_tokens) {
    if (!reads_pages(span)) unpack_span_keys(span, place_bf16_span(span->unpacked, span->d), n_tokens);
}

static void open_bf16_values(kv_span *span, int n_tokens, vector_range some) {
    if (!reads_pages(span))
        unpack_span_values(span, place_bf16_span(span->unpacked, span->d), n_tokens, own_vectors(some, span->d.value));
    else if (span->d.is_latent) turn_span(span, n_tokens, some);
}

static void score_bf16(const kv_span *span, int first, int n_tokens, attention_state *s, int n_queries) {
    const bf16_span unpacked = place_bf16_span(span->unpacked, span->d);
    if (reads_pages(span) && span->type == KV_BF16) {
        choose_page_kernels(n_queries)->score(s, span->pages + first, count_pages(n_tokens), span->d);
        return;
    }
    if (span->is_alone) {
        score_alone(span->type, s, span->pages + first, span->d, n_tokens);
        return;
    }
    choose_bf16_kernels(n_queries)->score(s, &unpacked, first, span->d, count_pages(n_tokens));
}

static void soften_bf16(const kv_span *span, int n_tokens, attention_state *s, int n_queries, const sight *see) {
    soften_rounded(s, n_queries, count_pages(n_tokens), see, place_bf16_span(span->unpacked, span->d).weights);
}

static void weigh_bf16(const kv_span *span, int first, int n_tokens, attention_state *s, int n_queries,
                       const sight *see, vector_range some) {
    const bf16_span unpacked = place_bf16_span(span->unpacked, span->d);
    if (reads_pages(span) && span->type == KV_BF16) {
        choose_page_kernels(n_queries)->weigh(s, span->pages + first, count_pages(n_tokens), unpacked.weights, span->d,
                                              some);
        return;
    }
    if (span->is_alone) {
        weigh_alone(span->type, s, span->pages + first, unpacked.weights, span->d, n_tokens, see->hidden[0],
                    own_vectors(some, span->d.value));
        return;
    }
    choose_bf16_kernels(n_queries)->weigh(s, n_queries, &unpacked, first, span->d, count_pages(n_tokens), see, some);
}

static const attention_path BF16_PATH = {bf16_span_bytes, store_bf16_query, open_bf16_keys, open_bf16_values,
                                         score_bf16, soften_bf16, weigh_bf16};

#endif
