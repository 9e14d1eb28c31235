/* A span: the few pages of one KV head that a strip of queries meets at a time, what the
 * queries see of it, and what they keep from span to span. */
#ifndef LLAMACY_SPAN_H
#define LLAMACY_SPAN_H

#include "attention/kv_page.h"

enum { SPAN_TOKENS = SPAN_PAGES * PAGE_TOKENS, STRIP_SCORES = STRIP_ROWS * SPAN_TOKENS };

typedef struct {
    kv_type type;
    head_dims d;
    int n_pages;
    kv_head pages[SPAN_PAGES];
    uint8_t *turned;   /* scratch for latent values, latent_bytes() */
    uint8_t *unpacked; /* scratch of the path's span_bytes() */
    int is_alone;      /* a single query meets it */
    int is_single;     /* a single strip does */
} kv_span;

/* Vectors of 16 dimensions of values: begin .. end - 1, both even. */
typedef struct { int begin, end; } vector_range;

/* Vectors of all dimensions: an even number, since products take two. */
INLINE int value_vectors(int value_dim) { return wide_dim(value_dim) / 16; }
INLINE vector_range all_vectors(head_dims d) { return (vector_range){0, value_vectors(d.value)}; }
/* Without a last vector that only makes the number even. */
INLINE vector_range own_vectors(vector_range some, int value_dim) {
    const int vectors = padded_dim(value_dim) / 16;
    return (vector_range){some.begin, some.end < vectors ? some.end : vectors};
}

/* Queries, outputs and weights of a strip, in scratch. */
typedef struct {
    union {
        float *q;             /* [key dims][STRIP_ROWS]: scaled, side by side for broadcasts */
        uint8_t *query_tiles; /* the same in bfloat16: [key dims / 32][STRIP_ROWS][32] */
    };
    float *out;     /* [STRIP_ROWS][wide value dims] */
    float *weights; /* [STRIP_ROWS][SPAN_TOKENS]: scores, then their exponentials */
    float max[STRIP_ROWS], sum[STRIP_ROWS], shrink[STRIP_ROWS];
    float *parts; /* [STRIP_ROWS][16]: more of the sums, lane by lane; 0 on paths that add lanes up at once */
    float slope[STRIP_ROWS]; /* of each query's head; 0: scores do not fall with the distance */
    float softcap;           /* 0: none */
} attention_state;

/* The tokens of a span that each query of a strip sees: hidden[r] .. visible[r] - 1. Its own would
 * be place[r], which may be before the span or after it. */
typedef struct { int hidden[STRIP_ROWS], visible[STRIP_ROWS], place[STRIP_ROWS]; } sight;

/* The number of low .. high that is nearest to t. */
INLINE int within(int t, int low, int high) { return t < low ? low : t < high ? t : high; }

/* A way to compute attention. All levels have one in float32, some another in bfloat16. */
typedef struct {
    /* Scratch for a span unpacked. */
    size_t (*span_bytes)(head_dims d);
    /* Put query r, times the scale, into the state. */
    void (*store_query)(attention_state *s, int r, const float *q, int key_dim, float scale);
    /* Unpack the keys of n_tokens, or some of their values, before the first strip meets them. */
    void (*open_keys)(const kv_span *span, int n_tokens);
    void (*open_values)(kv_span *span, int n_tokens, vector_range some);
    /* Weights become the scores of queries 0 .. n_queries - 1 with n_tokens, from page `first` of
     * the span on. */
    void (*score)(const kv_span *span, int first, int n_tokens, attention_state *s, int n_queries);
    /* Turn the scores of n_tokens into weights, below running maxima. */
    void (*soften)(const kv_span *span, int n_tokens, attention_state *s, int n_queries, const sight *see);
    /* Some outputs shrink, and grow by the values, times the weights. */
    void (*weigh)(const kv_span *span, int first, int n_tokens, attention_state *s, int n_queries,
                  const sight *see, vector_range some);
} attention_path;

#endif
