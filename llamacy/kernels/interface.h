/* The interface of every level to the layers above: one table of functions.
 *
 * A kernel computes the items [begin, end) of a work list. It never starts a thread,
 * allocates, or keeps anything between calls; `scratch` is the calling thread's own,
 * scratch_bytes() bytes, 64-byte aligned. M counts rows (tokens), N outputs, K the reduced
 * dimension. A float32 matrix (M, n) has its rows `ld` floats apart. Pointers to const are
 * inputs; the comment after the others says out, or in/out.
 */
#ifndef LLAMACY_INTERFACE_H
#define LLAMACY_INTERFACE_H

#include "packing/packed.h"

/* Rows of activations, or queries, that are multiplied together: a strip has up to this many,
 * so that one vector of weights, or one key, is read once for all of them. */
enum { STRIP_ROWS = 16 };

/* 32 activations in int8: x[i] ~ scale * q[i]. A strip of R rows is [K/32][R] of these. */
typedef struct {
    int8_t q[UNIT_COLS];
    int32_t minus[3]; /* negated sums of q, of all of it and of its two halves: a dot product
                         starts with the weights' zero point times that */
    float scale;
    float sum;        /* scale * the sum of q, which minima of the weights multiply */
} quant_unit;

/* --- keys and values ----------------------------------------------------------------- */

/* KV_BF16 is of levels with bfloat16, for attention that may round; its pages must be 0 at first. */
typedef enum { KV_F32, KV_F16, KV_BF16, KV_Q8_0, KV_COUNT } kv_type;

/* Tokens of one KV page; a page holds all layers, [layer][head][keys | values]. */
enum { PAGE_TOKENS = 32 };

/* Keys and values of one layer. */
typedef struct {
    kv_type type;
    int n_head;         /* of queries, a multiple of n_head_kv */
    int n_head_kv;
    int head_dim;       /* dimensions of a head's queries and keys */
    int value_dim;      /* dimensions of a head's values and outputs */
    int is_latent;      /* values are the first value_dim dimensions of keys, and not stored */
    size_t head_bytes;  /* keys and values of one KV head in one page */
    size_t layer_bytes; /* keys and values of all KV heads in one page */
} kv_layout;

/* Dimensions in whole vectors of 16. */
static inline int padded_dim(int dim) { return (dim + 15) / 16 * 16; }
/* Dimensions in whole units of 32, as outputs have them, and bfloat16 keys and values. */
static inline int wide_dim(int dim) { return (dim + 31) / 32 * 32; }
/* Q8_0 keys and values have a scale for each KV_GROUP dimensions of a token. */
enum { KV_GROUP = 32 };
static inline int kv_groups(int dim) { return (dim + KV_GROUP - 1) / KV_GROUP; }
/* Bytes of one element of a key or value. */
static inline size_t kv_bytes(kv_type type) { return type == KV_F32 ? 4 : type == KV_Q8_0 ? 1 : 2; }

/* Bytes of the keys, or of the values, of one KV head in one page, with their scales: a
 * multiple of 64. kv_page.h has the layout. */
static inline size_t kv_plane_bytes(kv_type type, int dim) {
    const size_t elements = kv_bytes(type) * (size_t)(type == KV_BF16 ? wide_dim(dim) : padded_dim(dim));
    const size_t scales = type == KV_Q8_0 ? sizeof(float) * (size_t)kv_groups(dim) : 0;
    return PAGE_TOKENS * (elements + scales);
}

/* The layout of a layer's keys and values in a page. */
static inline kv_layout kv_layout_of(kv_type type, int n_head, int n_head_kv, int head_dim, int value_dim,
                                     int is_latent) {
    kv_layout kv;
    kv.type = type;
    kv.n_head = n_head;
    kv.n_head_kv = n_head_kv;
    kv.head_dim = head_dim;
    kv.value_dim = value_dim;
    kv.is_latent = is_latent;
    kv.head_bytes = kv_plane_bytes(type, head_dim) + (is_latent ? 0 : kv_plane_bytes(type, value_dim));
    kv.layer_bytes = (size_t)n_head_kv * kv.head_bytes;
    return kv;
}

/* Consecutive rows of one sequence. */
typedef struct {
    int32_t row, n_rows;   /* in the batch */
    int32_t position;      /* of the first of them */
    int32_t n_tokens;      /* positions that the sequence has after all rows of the batch */
    uint8_t *const *pages; /* of the sequence: page i has positions PAGE_TOKENS * i and on */
} row_run;

/* Spans of tokens of which a run sees any, from first_span() to before after_spans(): those of
 * tokens span_tokens * i and on, as in kernel_table. */
static inline int first_span(const row_run *run, int window, int span_tokens) {
    return window > 0 && run->position >= window ? (run->position + 1 - window) / span_tokens : 0;
}
static inline int after_spans(const row_run *run, int span_tokens) {
    return (run->position + run->n_rows - 1) / span_tokens + 1;
}

/* Strips of the query heads that share a KV head, for one run. */
static inline int count_strips(const kv_layout *kv) {
    return (kv->n_head / kv->n_head_kv + STRIP_ROWS - 1) / STRIP_ROWS;
}

/* Dimensions of values that are one item, where threads share the work on a run. */
enum { VALUE_BLOCK = 32 };
static inline int value_blocks(const kv_layout *kv) { return (kv->value_dim + VALUE_BLOCK - 1) / VALUE_BLOCK; }

/* --- states of a fixed size ----------------------------------------------------------- */

/* Consecutive rows of one sequence, from one place where its states are left to the next. Spans
 * of one sequence follow each other, and the states after one are those before the next: an item
 * of a kernel that reads and writes states goes through all spans, for its channels or heads. */
typedef struct {
    int32_t row, n_rows;   /* in the batch */
    int32_t position;      /* of the first of them */
    const uint8_t *before; /* the text's states before these rows */
    uint8_t *after;        /* out, its states after them; the same memory, or other */
} row_span;

/* Channels that are one item of a convolution: enough of a row for prefetchers to follow. */
enum { CONV_CHANNELS = 512 };

/* A depthwise convolution, causal unless rows see inputs after them. */
typedef struct {
    const float *weight; /* (n_columns + 1, n_channels): those of the last input come last */
    const float *bias;   /* (n_channels,) or NULL */
    int n_channels;
    int n_columns;       /* inputs that are kept: (n_columns, n_channels), the oldest first */
    int n_after;         /* inputs after a row that it sees, in texts that are whole: none is kept */
    size_t offset;       /* bytes of them within a text's states */
    int then_silu;       /* results go through SiLU */
} conv_args;

/* A scan of matrices S (key_dim, value_dim), one for each head, by the gated delta rule. */
typedef struct {
    int n_head;
    int n_key_head;        /* heads of q and k; each of those of v has one of them */
    int repeats_key_heads; /* head h has key head h % n_key_head; else each is that of neighbours */
    int key_dim, value_dim;
    size_t offset;         /* bytes of the matrices within a text's states */
    const float *q, *k;    /* (M, n_key_head * key_dim) */
    const float *v;        /* (M, n_head * value_dim) */
    const float *decay;    /* (M, n_head), or (M, n_head * key_dim): logarithms */
    const float *beta;     /* (M, n_head) */
    float *y;              /* out, (M, n_head * value_dim) */
    int decays_rows;       /* each row of S has a decay of its own */
    size_t ldq, ldk, ldv, ld_decay, ld_beta, ldy;
} delta_rule_args;

/* A scan of such matrices as in Mamba-2. */
typedef struct {
    int n_head;
    int n_group;           /* neighbouring heads share b and c */
    int key_dim, value_dim;
    size_t offset;         /* bytes of the matrices within a text's states */
    const float *x;        /* (M, n_head * value_dim) */
    const float *dt;       /* (M, n_head): steps */
    const float *a, *d;    /* (n_head,) */
    const float *b, *c;    /* (M, n_group * key_dim) */
    float *y;              /* out, (M, n_head * value_dim) */
    size_t ldx, ld_dt, ldb, ldc, ldy;
} ssm_scan_args;

/* A scan as in Mamba, where each number of a matrix has a decay of its own. */
typedef struct {
    int n_head;
    int key_dim, value_dim;
    size_t offset;         /* bytes of the matrices within a text's states */
    const float *x, *dt;   /* (M, n_head * value_dim); dt: steps */
    const float *a;        /* (n_head, key_dim, value_dim up to whole vectors) */
    const float *d;        /* (n_head * value_dim,) */
    const float *b, *c;    /* (M, key_dim) */
    float *y;              /* out, (M, n_head * value_dim) */
    size_t ldx, ld_dt, ldb, ldc, ldy;
} selective_scan_args;

/* --- arguments of the larger kernels ------------------------------------------------- */

typedef enum {
    /* Where there is a scale, it multiplies x @ w.T. */
    EPILOGUE_STORE,         /* y = x @ w.T + bias */
    EPILOGUE_ADD,           /* y += x @ w.T + bias */
    EPILOGUE_SWIGLU,        /* y = silu(x @ w.T + bias) * (x @ w2.T + bias2) */
    EPILOGUE_GEGLU,         /* y = gelu(x @ w.T + bias) * (x @ w2.T + bias2) */
    EPILOGUE_CLAMPED_SWIGLU /* the same two products in the clamped form of vector_math.h */
} epilogue;

/* Whether the product of a second matrix is multiplied by that of the first. */
static inline int is_gated(epilogue form) { return form >= EPILOGUE_SWIGLU; }

typedef struct {
    packed_matrix w;      /* (N, K) */
    packed_matrix w2;     /* (N, K), of gated forms */
    const float *scale;   /* (1,) or NULL */
    const float *scale2;  /* (1,) or NULL */
    const float *bias;    /* (N,) or NULL */
    const float *bias2;   /* (N,) or NULL */
    const float *x;       /* (M, K), rows ldx apart: for float weights */
    const void *prepared; /* the same as prepare() left it: for quantised weights */
    float *y;             /* out, (M, N), rows ldy apart; in/out with EPILOGUE_ADD */
    size_t ldx, ldy;
    size_t ahead;         /* bytes that weights of few rows are prefetched ahead; 0: as the level does */
    int m;
    epilogue form;
} linear_args;

/* Attention of one layer. */
typedef struct {
    const kv_layout *kv;
    size_t offset;      /* bytes of the layer within a page */
    float scale;        /* of q . k */
    float softcap;      /* scores s become softcap * tanh(s / softcap); 0: they stay */
    int is_causal;      /* a row sees nothing after it; else all positions of its sequence */
    int window;         /* a row sees itself and the window - 1 positions before it, or else
                           window / 2 before and after it; 0: all */
    const float *sinks; /* (n_head,): a score without a value, in the softmax; or NULL */
    const float *slopes; /* (n_head,): scores fall by them a position of distance; or NULL */
    int may_round;      /* queries, keys, values and weights to bfloat16, if that is faster */
} attention_args;

/* A kind of product: the type of its operands, and a function that does `n` rounds of it on
 * registers and returns how many multiplications and additions those were. */
typedef struct {
    const char *operand; /* "f32", "int8" or "bf16"; NULL after the last */
    double (*work)(int64_t n);
} peak_product;

/* --- the table ----------------------------------------------------------------------- */

/* y = f(x), element by element; y may be x. Items are rows. */
typedef void (*unary_kernel)(const float *x, size_t ldx, /* (M, n) */
                             const float *constants,     /* of f, if it has any */
                             int n,
                             float *y, size_t ldy,       /* out, (M, n) */
                             int begin, int end);
/* y = the norm of x, times w, plus bias. Items are rows. */
typedef void (*norm_kernel)(const float *x, size_t ldx, /* (M, k) */
                            const float *w,             /* (k,), or NULL: 1 */
                            const float *bias,          /* (k,), or NULL: 0 */
                            float eps, int k,
                            float *y, size_t ldy,       /* out, (M, k) */
                            int begin, int end);
/* z = f(x, y), element by element; z may be x or y. Items are rows. */
typedef void (*binary_kernel)(const float *x, size_t ldx, /* (M, n) */
                              const float *y, size_t ldy, /* (M, n); with ldy 0, [n] for all rows */
                              int n,
                              float *z, size_t ldz,       /* out, (M, n) */
                              int begin, int end);

/* An elementwise operation, by its name in the vocabulary; tables of them end with a name of NULL. */
typedef struct { const char *name; unary_kernel f; } unary_op;
typedef struct { const char *name; binary_kernel f; } binary_op;

typedef struct {
    const char *level;
    const peak_product *peaks; /* all kinds that its kernels are made of */
    int row_chunk;             /* floats of a row that are one item of a unary operation */
    int64_t fetched_bytes;     /* of its next weights, that a waiting thread prefetches */
    int span_tokens;           /* tokens whose scores become weights together */
    int many_rows;             /* rows from which on a thread takes many_panels at a time, */
    int many_panels;           /* ... of both matrices together; 0: no more than of products of few rows */
    int has_bf16;              /* whether pages of keys and values may be KV_BF16 */
    /* Scratch that a thread must hand to these kernels; head_dim: the largest size of keys or
     * values in any layer, of attention or of a scan, latent_dim: that of values which are a part
     * of keys, or 0. */
    size_t (*scratch_bytes)(int head_dim, int latent_dim);

    /* Around a run of kernels, on each thread. */
    void (*enter_thread)(void);
    void (*leave_thread)(void);

    /* y[m] = row tokens[m] of w. Items are rows. */
    void (*embedding)(const packed_matrix *w, /* (n_vocab, K) */
                      const int32_t *tokens,  /* (M,) */
                      float *y, size_t ldy,   /* out, (M, K) */
                      int begin, int end, void *scratch);
    /* cos and sin of angle = position * angles[i], doubled and signed for rope() with the same
     * `half`. Items are rows. */
    void (*rope_table)(const float *angles,      /* (n_dims / 2,): a turn a position */
                       int n_dims, int head_dim, int half, float magnitude,
                       const int32_t *positions, /* (M,) */
                       float *table,             /* out, (M, 2, head_dim) */
                       int begin, int end);
    norm_kernel rms_norm;   /* x / sqrt(mean(x^2) + eps) */
    norm_kernel layer_norm; /* (x - mean(x)) / sqrt(var(x) + eps) */
    /* Rows of x in the form that linear() wants for m rows, with as many digits as digits_read()
     * says of its weights. Items are rows. */
    void (*prepare)(const float *x, size_t ldx, int k, int m, /* (m, k) */
                    int n_digits,                             /* 0 to 2, plus 4: in fixed point */
                    void *prepared,                           /* out, prepared_bytes(k, m) */
                    int begin, int end);
    size_t (*prepared_bytes)(int k, int m);
    /* Digits that linear() reads of the prepared form of its activations with w; 0: it reads floats;
     * 4: numbers in fixed point, which are more precise than bfloat16. */
    int (*digits_read)(const packed_matrix *w);
    /* y = x @ w.T + bias, or another `epilogue` of it. Items are panels of w. */
    void (*linear)(const linear_args *args, int begin, int end, void *scratch);
    /* Whether linear() unpacks weights once for many rows; else anew for each strip of them. */
    int (*has_many_rows)(const linear_args *args);
    /* Rotate each head of x by the table: each dimension of the first `half` with the one
     * `half` further, or, if half is 0, adjacent ones with each other. Items are rows. */
    void (*rope)(float *x, size_t ldx,               /* in/out, (M, n_head * head_dim) */
                 int n_head, int head_dim, int half,
                 const float *table,                 /* (M, 2, head_dim) */
                 int begin, int end);
    /* Put rows of k and v into their sequences' pages, `offset` bytes in. Items are runs. */
    void (*append)(const kv_layout *kv, size_t offset,
                   const row_run *runs,        /* (n_runs,); out: their pages */
                   const float *k, size_t ldk, /* (M, n_head_kv * head_dim) */
                   const float *v, size_t ldv, /* (M, n_head_kv * value_dim); unused if latent */
                   int begin, int end);
    /* y = softmax(scale * q @ k.T) @ v of each row over the positions that it sees. Items are KV
     * heads times runs, head by head; a run has at most max(1, STRIP_ROWS / group) rows, group
     * being n_head / n_head_kv. */
    void (*attention)(const attention_args *args,
                      const row_run *runs, int n_runs, /* (n_runs,) */
                      const float *q, size_t ldq,      /* (M, n_head * head_dim) */
                      float *y, size_t ldy,            /* out, (M, n_head * value_dim) */
                      int begin, int end, void *scratch);
    /* The same in two steps, bit for bit, for runs that are fewer than threads. First come the
     * scores; items are spans of each KV head of each run. */
    void (*score)(const attention_args *args,
                  const row_run *runs, int n_runs, /* (n_runs,) */
                  const float *q, size_t ldq,      /* (M, n_head * head_dim) */
                  float *scores,                   /* out, (items, count_strips(), STRIP_ROWS, span_tokens) */
                  int begin, int end, void *scratch);
    /* Then y; items are blocks of VALUE_BLOCK dimensions of each KV head of each run. */
    void (*weigh)(const attention_args *args,
                  const row_run *runs, int n_runs, /* (n_runs,) */
                  const float *scores,             /* (spans, count_strips(), STRIP_ROWS, span_tokens) */
                  float *y, size_t ldy,            /* out, (M, n_head * value_dim) */
                  int begin, int end, void *scratch);
    /* y[t] = bias + the sum over j <= n_columns of weight[j] * x[t + n_after - n_columns + j], or
     * silu() of that, x going on from the inputs that each span's states keep; with 0 around a text
     * if n_after is not 0. Items are chunks of CONV_CHANNELS channels. */
    void (*causal_conv)(const conv_args *args,
                        const row_span *spans, int n_spans, /* (n_spans,); out: their states */
                        const float *x, size_t ldx,         /* (M, n_channels) */
                        float *y, size_t ldy,               /* out, (M, n_channels) */
                        int begin, int end);
    /* y of all rows, whose matrices go on from those that each span's states keep: delta_rule.h,
     * ssm_scan.h and selective_scan.h have the equations. Items are blocks of the matrices, head by
     * head. */
    void (*delta_rule)(const delta_rule_args *args,
                       const row_span *spans, int n_spans, /* (n_spans,); out: their states */
                       int begin, int end, void *scratch);
    void (*ssm_scan)(const ssm_scan_args *args,
                     const row_span *spans, int n_spans, /* (n_spans,); out: their states */
                     int begin, int end, void *scratch);
    void (*selective_scan)(const selective_scan_args *args,
                           const row_span *spans, int n_spans, /* (n_spans,); out: their states */
                           int begin, int end, void *scratch);
    /* How many blocks a matrix has. */
    int (*delta_blocks)(int value_dim);
    int (*ssm_blocks)(int value_dim);
    int (*selective_blocks)(int value_dim);
    /* All elementwise operations; rows.pxi has the tables. */
    const unary_op *unary;
    const binary_op *binary;
    /* z = sigmoid(x . w) * y. Items are rows. */
    void (*sigmoid_gate)(const float *x, size_t ldx, /* (M, k) */
                         const float *w, int k,      /* (k,) */
                         const float *y, size_t ldy, /* (M, n) */
                         int n,
                         float *z, size_t ldz,       /* out, (M, n) */
                         int begin, int end);
    /* y[m] = sum over i of weights[m][i] * x[slots[m][i]]. Items are rows. */
    void (*mix)(const float *x, size_t ldx, /* (n_slots, n) */
                const int32_t *slots,       /* (M, n_used) */
                const float *weights,       /* (M, n_used) */
                int n_used, int n,
                float *y, size_t ldy,       /* out, (M, n) */
                int begin, int end);
} kernel_table;

#endif
