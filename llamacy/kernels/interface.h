/* What every level gives to the layers above: one table of functions.
 *
 * A kernel computes the items [begin, end) of a work list and never starts a
 * thread, allocates, or keeps anything between calls; `scratch` is the calling
 * thread's own, SCRATCH bytes, 64-byte aligned. M counts rows (tokens), N outputs,
 * K the reduced dimension. Rows of float32 matrices are `ld` floats apart.
 */
#ifndef LLAMACY_INTERFACE_H
#define LLAMACY_INTERFACE_H

#include "packing/packed.h"

/* Rows are quantised in tiles of up to this many, so that one weight vector meets
 * a whole tile at constant offsets. */
enum { TILE_ROWS = 16 };

/* 32 activations in int8: x[i] ~ scale * q[i]. `minus` are the sums of q, of all of it and
 * of its two halves, negative: a dot product begins with the weights' zero point times
 * that. `sum` is scale * the sum of q, which minima of the weights multiply. A tile of R
 * rows is [K/32][R] of these. */
typedef struct {
    int8_t q[UNIT_COLS];
    int32_t minus[3];
    float scale, sum;
} quant_unit;

typedef enum { KV_F32, KV_F16, KV_Q8_0, KV_COUNT } kv_type;

/* Tokens of one KV page; a page holds all layers, [layer][head][keys | values]. */
enum { PAGE_TOKENS = 32 };

typedef struct {
    kv_type type;
    int n_head, n_head_kv, head_dim;
    size_t head_bytes;  /* keys and values of one head in one page */
    size_t layer_bytes; /* n_head_kv * head_bytes */
} kv_layout;

static inline int padded_dim(int head_dim) { return (head_dim + 15) / 16 * 16; }
/* Q8_0 keys and values have a scale for each KV_GROUP dimensions of a token. */
enum { KV_GROUP = 32 };
static inline int kv_groups(int head_dim) { return (head_dim + KV_GROUP - 1) / KV_GROUP; }
/* Bytes of one key or value element. */
static inline size_t kv_bytes(kv_type type) { return type == KV_F32 ? 4 : type == KV_F16 ? 2 : 1; }

/* Keys and values of one head in one page, a multiple of 64; kv_page.h has the layout. */
static inline size_t kv_head_bytes(kv_type type, int head_dim) {
    size_t elements = kv_bytes(type) * (size_t)padded_dim(head_dim);
    size_t scales = type == KV_Q8_0 ? sizeof(float) * (size_t)kv_groups(head_dim) : 0;
    return 2 * PAGE_TOKENS * (elements + scales);
}

/* The layout of a layer's keys and values in a page. */
static inline kv_layout kv_layout_of(kv_type type, int n_head, int n_head_kv, int head_dim, int value_dim) {
    (void)value_dim; /* keys and values are of one size */
    const size_t head_bytes = kv_head_bytes(type, head_dim);
    const kv_layout kv = {type, n_head, n_head_kv, head_dim, head_bytes, (size_t)n_head_kv * head_bytes};
    return kv;
}

/* Consecutive rows of one sequence. */
typedef struct {
    int32_t row, n_rows;  /* in the batch */
    int32_t position;     /* of the first of them */
    uint8_t *const *pages; /* of the sequence, for positions 0, PAGE_TOKENS, ... */
} row_run;

typedef enum {
    EPILOGUE_STORE, EPILOGUE_ADD,
    EPILOGUE_SWIGLU, EPILOGUE_GEGLU, EPILOGUE_CLAMPED_SWIGLU
} epilogue;

/* Whether the product of a second matrix is multiplied with that of the first. */
static inline int is_gated(epilogue form) { return form >= EPILOGUE_SWIGLU; }

/* y = x @ w.T + bias, or y += that, or y = silu(x @ w.T + bias) * (x @ w2.T + bias2), or that
 * with gelu for silu, or the clamped form of vector_math.h. Items are panels of w. */
typedef struct {
    packed_matrix w, w2;
    const float *bias, *bias2; /* or NULL */
    const float *x;            /* (M, ldx): what float weights read */
    const void *prepared;      /* the same, as prepare() left it: what quantised weights read */
    float *y;                  /* (M, ldy) */
    size_t ldx, ldy;
    int m;
    epilogue form;
} linear_args;

/* How attention is computed, of one layer. */
typedef struct {
    const kv_layout *kv;
    size_t offset; /* bytes of the layer within a page */
    float scale;   /* of q . k */
    float softcap; /* scores s become softcap * tanh(s / softcap); 0: they stay */
    int window;    /* a row sees itself and the window - 1 positions before it; 0: all */
    const float *sinks; /* of each head: a score without a value, in the softmax; or NULL */
    int may_round; /* queries, keys, values and weights to bfloat16, if that is faster */
} attention_args;

/* A kind of product: the type of what it multiplies, and a function that does `n` rounds
 * of it on registers and returns how many multiplications and additions those were. */
typedef struct {
    const char *operand; /* "f32", "int8" or "bf16"; NULL after the last */
    double (*work)(int64_t n);
} peak_product;

/* y = f(x) on rows of n floats, y may be x; and z = f(x, y), z may be either. Items are rows. */
typedef void (*unary_kernel)(const float *x, size_t ldx, float constant, int n, float *y, size_t ldy, int begin,
                             int end);
typedef void (*binary_kernel)(const float *x, const float *y, float *z, size_t ld, int n, int begin, int end);

/* An elementwise operation, by its name in the vocabulary; tables of them end with a name of NULL. */
typedef struct { const char *name; unary_kernel f; } unary_op;
typedef struct { const char *name; binary_kernel f; } binary_op;

typedef struct {
    const char *level;
    const peak_product *peaks; /* all kinds that its kernels are made of */
    size_t (*scratch_bytes)(int head_dim); /* that a thread must hand to these kernels */

    void (*enter_thread)(void); /* around a run of kernels, on each thread */
    void (*leave_thread)(void);

    /* y[m] = row tokens[m] of w. Items are rows. */
    void (*embedding)(const packed_matrix *w, const int32_t *tokens, float *y, size_t ldy,
                      int begin, int end, void *scratch);
    /* cos and sin of each row's angles, doubled and signed for rope() with the same `half`:
     * table[m] is 2 * head_dim floats. Items are rows. */
    void (*rope_table)(const float *angles, int n_dims, int head_dim, int half, float magnitude,
                       const int32_t *positions, float *table, int begin, int end);
    /* y = x / sqrt(mean(x^2) + eps) * w. Items are rows. */
    void (*rms_norm)(const float *x, size_t ldx, const float *w, float eps, int k, float *y,
                     size_t ldy, int begin, int end);
    /* Rows of x in the form linear() wants for m rows. Items are rows. */
    void (*prepare)(const float *x, size_t ldx, int k, int m, void *prepared, int begin, int end);
    size_t (*prepared_bytes)(int k, int m);
    /* Whether linear() may read the prepared form of its activations with w. */
    int (*reads_prepared)(const packed_matrix *w);
    void (*linear)(const linear_args *args, int begin, int end, void *scratch);
    /* Whether linear() cuts all rows into blocks that it unpacks weights for, once each; else
     * it unpacks them anew for every few rows. */
    int (*has_many_rows)(const linear_args *args);
    /* Rotate heads of x in place: each dimension of the first `half` with the one `half`
     * further, or, if half is 0, adjacent ones with each other. Items are rows. */
    void (*rope)(float *x, size_t ldx, int n_head, int head_dim, int half, const float *table,
                 int begin, int end);
    /* Put rows of k and v into their sequence's pages, `offset` bytes in. Items are runs. */
    void (*append)(const kv_layout *kv, size_t offset, const row_run *runs, const float *k,
                   size_t ldk, const float *v, size_t ldv, int begin, int end);
    /* Attention of each row to the positions up to its own that it sees. Items are kv heads
     * times runs, head by head; a run has at most max(1, TILE_ROWS / group) rows. */
    void (*attention)(const attention_args *args, const row_run *runs, int n_runs, const float *q,
                      size_t ldq, float *y, size_t ldy, int begin, int end, void *scratch);
    /* All elementwise operations; rows.pxi has the tables. */
    const unary_op *unary;
    const binary_op *binary;
    /* z = y * sigmoid(x . w), with x and w of k floats, y and z of n. Items are rows. */
    void (*sigmoid_gate)(const float *x, size_t ldx, const float *w, int k, const float *y, size_t ldy,
                         int n, float *z, size_t ldz, int begin, int end);
    /* y[m] = sum over i of weights[m][i] * row slots[m][i] of x; slots and weights have
     * n_used of each row. Items are rows. */
    void (*mix)(const float *x, size_t ldx, const int32_t *slots, const float *weights, int n_used,
                int n, float *y, size_t ldy, int begin, int end);
} kernel_table;

#endif
