/* A step of a forward pass: one operation on buffers, whose work is a list of items.
 *
 * Steps are made once, by steps.pyx, from the list that step.py describes. A pass has a
 * batch of its own. perform.h says what a step does, team.h how threads share its items.
 *
 * In the shapes below M counts the rows of the batch, or the wanted ones, and S the slots
 * of a mixture of experts (experts.h).
 */
#ifndef LLAMACY_STEP_H
#define LLAMACY_STEP_H

#include "plan/experts.h"
#include "interface.h"
#include "packing/mapped_rows.h"
#include "plan/team.h"

/* Rows of float32, `ld` floats apart. Without data they are the logits of the batch. */
typedef struct {
    float *data;
    size_t ld;
} float_rows;

typedef enum {
    STEP_EMBEDDING,
    STEP_ROPE_TABLE,
    STEP_POSITION_EMBEDDING,
    STEP_TYPE_EMBEDDING,
    STEP_NORM,
    STEP_PREPARE,
    STEP_LINEAR,
    STEP_APPEND,
    STEP_SCORES,
    STEP_ATTENTION,
    STEP_WANTED,
    STEP_MEAN,
    STEP_COPY,
    STEP_UNARY,
    STEP_BINARY,
    STEP_SIGMOID_GATE,
    STEP_HEAD_GATE,
    STEP_ROUTE,
    STEP_GROUP,
    STEP_GATHER,
    STEP_EXPERTS,
    STEP_MIX,
    STEP_SQUARES,
    STEP_JOIN,
    STEP_HEAD_LINEAR,
    STEP_CAUSAL_CONV,
    STEP_DELTA_RULE,
    STEP_SSM_SCAN,
    STEP_SELECTIVE_SCAN
} step_kind;

typedef struct {
    packed_matrix weight; /* (n_vocab, k), (n_ctx, k) of positions, (n_types, k) of types; of a mapped one a row */
    mapped_rows mapped;   /* the rows in their file; without data: weight has them all */
    float_rows y;         /* (M, k) */
} embedding_step;

typedef struct {
    const float *angles;  /* [n_dims / 2]: radians a position; NULL for those of the batch */
    const float *long_angles; /* those of rows of long texts; NULL where there are no others */
    int n_dims, head_dim; /* rotated dimensions, of those of a head */
    int half;             /* distance of the dimensions of a pair; 0: adjacent ones */
    float magnitude;      /* factor of rotated dimensions */
    float growth;         /* of the magnitude: 1 + growth * ln(1 + position / n_ctx_orig), rounded down */
    int n_ctx_orig;
    float *table;         /* (M, 2 * head_dim) */
} rope_table_step;

typedef struct {
    norm_kernel f;
    float_rows x, y;     /* (M, n_parts * n): each part of a row is normed by itself */
    const float *weight; /* [n] for all parts, or [n_parts * n]; NULL: no weights */
    const float *bias;   /* as long as weight, or NULL */
    int n, n_parts;
    int weight_step;     /* from the weights of a part to those of the next: 0 or n */
    float eps;
} norm_step;

typedef struct {
    float_rows x;      /* (M, n * n_parts) */
    int n, n_parts;
    int n_digits;
    uint8_t *prepared; /* of each part, part_bytes apart */
    size_t part_bytes;
} prepare_step;

/* Rotates queries and keys in place, and appends keys and values to the pages. */
typedef struct {
    kv_layout kv;
    size_t offset;        /* bytes of the layer within a page */
    float_rows q;         /* (M, n_head * head_dim); none if nothing attends */
    float_rows k;         /* (M, n_head_kv * head_dim) */
    float_rows v;         /* (M, n_head_kv * value_dim); none if they are latent */
    const float *q_table; /* (M, 2 * head_dim): rotations of q, or NULL */
    const float *k_table; /* (M, 2 * head_dim): rotations of k, or NULL */
    int q_half, k_half;   /* as in rope_table_step */
} append_step;

/* Where scores are a step of their own, they are made there if threads share the work on a run. */
typedef struct {
    kv_layout kv;
    attention_args args; /* its own layout is set when the step is performed */
    float_rows q;        /* (M, n_head * head_dim) */
    float_rows y;        /* (M, n_head * value_dim); none of the scores */
    int has_scores;
} attention_step;

typedef struct {
    float_rows x; /* (n_rows, n) */
    float_rows y; /* (n_wanted, n) */
    int n;
} wanted_step;

/* Means of all rows of a wanted row's text, up to it; the text begins in the batch. */
typedef struct {
    float_rows x; /* (n_rows, n) */
    float_rows y; /* (n_wanted, n) */
    int n;
} mean_step;

typedef struct {
    float_rows x;       /* (M, part_step * n_parts), from the first column that is wanted */
    float_rows y;       /* (M, n * n_parts) */
    int n, n_parts;
    int part_step;      /* from a part of x to the next */
    const float *table; /* (M, 2 * head_dim): rotations of y, or NULL */
    int head_dim, half; /* as in rope_table_step */
} copy_step;

/* y = f(x), number by number; y may be x. */
typedef struct {
    unary_kernel f;
    float_rows x, y;       /* (M, n), or (S, n) with routes */
    int n;
    float constants[4];    /* of f */
    const routing *routes; /* rows are the slots of a mixture; NULL: those of the batch */
} unary_step;

/* z = f(x, y), number by number; z may be x or y. */
typedef struct {
    binary_kernel f;
    float_rows x, y, z;    /* (M, n), or (S, n) with routes; of a vector y, ld is 0 */
    int n;
    const routing *routes; /* rows are the slots of a mixture; NULL: those of the batch */
} binary_step;

typedef struct {
    float_rows x;        /* (M, k) */
    const float *weight; /* [k] */
    int k, n;
    float_rows y, z;     /* (M, n) */
} sigmoid_gate_step;

typedef struct {
    unary_kernel f;      /* y = a constant times x */
    float_rows x, y;     /* (M, n_head * n) */
    float_rows gate;     /* (M, n_head) */
    int n_head, n;
} head_gate_step;

typedef struct {
    routing *routes;
    float_rows scores; /* (M, n_expert) */
    const float *bias; /* [n_expert]: helps to choose; or NULL */
} route_step;

typedef struct {
    routing *routes;
    int is_by_row;  /* x has a row for each of the batch, not for each slot */
    float_rows x;   /* (M, n) or (S, n) */
    int n;
    float_rows y;   /* (S, n), or none */
    int n_digits;
    void *prepared; /* the slots as experts read them, or NULL */
} gather_step;

typedef struct {
    routing *routes;
    linear_args args;       /* matrices and biases of expert 0; x (S, k), y (S, n) */
    size_t stride, stride2; /* bytes from one expert's matrix to the next */
} experts_step;

typedef struct {
    routing *routes;
    float_rows x; /* (S, n) */
    float_rows y; /* (M, n) */
    int n;
} mix_step;

/* Puts each part of y after that of x. */
typedef struct {
    float_rows x, y, z; /* (M, n_parts * n_x), (M, n_parts * n_y), and as wide as both */
    int n_parts, n_x, n_y;
} join_step;

/* Multiplies each head by a matrix of its own. */
typedef struct {
    linear_args args; /* the first head's; x (M, n_head * k), y (M, n_head * n) */
    size_t stride;    /* bytes from one head's matrix to the next */
    size_t prepared;  /* bytes from one head's prepared rows to the next */
    int n_head;
} head_linear_step;

/* Adds the squares of numbers, column by column, to those of passes before. */
typedef struct {
    routing *routes; /* NULL: rows are those of the batch, and there is one expert */
    int is_by_row;   /* x has a row for each of the batch, not for each slot */
    float_rows x;    /* (M, n) or (S, n) */
    int n;
    double *sums;    /* (n_expert, n) */
    int64_t *counts; /* [n_expert]: rows that were added */
} squares_step;

typedef struct {
    conv_args args;
    float_rows x, y; /* (M, n_channels) */
} conv_step;

typedef struct {
    delta_rule_args args;
    int n_items; /* blocks of all heads */
} delta_rule_step;

typedef struct {
    ssm_scan_args args;
    int n_items; /* blocks of all heads */
} ssm_scan_step;

typedef struct {
    selective_scan_args args;
    int n_items; /* blocks of all heads */
} selective_scan_step;

typedef struct {
    step_kind kind;
    int waits;     /* until all items of the steps before are done */
    int of_wanted; /* works on the wanted rows, not on all of the batch */
    prepare_step result; /* rows that it wrote, as linear layers read them too; or prepared is NULL */
    union {
        embedding_step embedding;
        rope_table_step rope_table;
        norm_step norm;
        prepare_step prepare;
        linear_args linear; /* x (M, k), y (M, n); without y, the logits of the batch */
        append_step append;
        attention_step attention; /* or scores */
        wanted_step wanted;
        mean_step mean;
        copy_step copy;
        unary_step unary;
        binary_step binary;
        sigmoid_gate_step sigmoid_gate;
        head_gate_step head_gate;
        route_step route;
        routing *group;
        gather_step gather;
        experts_step experts;
        mix_step mix;
        squares_step squares;
        join_step join;
        head_linear_step head_linear;
        conv_step conv;
        delta_rule_step delta_rule;
        ssm_scan_step ssm_scan;
        selective_scan_step selective_scan;
    };
} step;

/* The rows of one forward pass, or the wanted ones as rows of a batch of their own. */
typedef struct batch {
    int n_rows, n_wanted, n_runs, n_spans;
    const int32_t *tokens, *positions; /* [n_rows] */
    const int32_t *types;              /* [n_rows], for steps that look them up; or NULL */
    const uint8_t *is_long;            /* [n_rows]: of a long text; NULL if none is */
    const float *angles;               /* (n_rows, n_dims / 2), for tables without angles; or NULL */
    const int32_t *wanted;             /* [n_wanted]: rows */
    row_run *runs;                     /* [n_runs] */
    row_span *spans;                   /* [n_spans] */
    float *logits;                     /* (n_wanted, n_vocab) */
    float *scores;                     /* of all runs, if there are few; or NULL */
    int n_threads;                     /* that share the work; fewer may come */
    int row_chunk, span_tokens;        /* sizes of the level: see kernel_table */
    int many_rows, many_panels;
    int64_t fetched_bytes;
    const struct batch *of_wanted;     /* the wanted rows alone; NULL where no step attends with them */
} batch;

/* Chunks that n numbers of a row are cut into for a unary step: a row of logits is work for all threads. */
static inline int row_chunks(const batch *b, int n) { return (n + b->row_chunk - 1) / b->row_chunk; }

/* Bytes of weights that a thread takes at a time: some microseconds of reading. */
enum { CHUNK_BYTES = 64 << 10 };

enum { SQUARES_COLUMNS = 64 }; /* of one item */

static inline int64_t count_panels(const packed_matrix *w) { return (w->n + PANEL_ROWS - 1) / PANEL_ROWS; }

static inline int count_rows(const step *s, const batch *b) { return s->of_wanted ? b->n_wanted : b->n_rows; }

/* The rows whose positions and texts a step needs. */
static inline const batch *rows_of_step(const step *s, const batch *b) {
    return s->of_wanted ? b->of_wanted : b;
}

/* The batch's rows, or a mixture's slots of them. */
static inline int64_t rows_or_slots(int64_t m, const routing *routes) { return routes ? m * routes->n_used : m; }

/* Spans of all KV heads of all runs. */
static inline int64_t count_spans(const attention_step *s, const batch *b) {
    int64_t n = 0;
    for (int i = 0; i < b->n_runs; i++)
        n += after_spans(&b->runs[i], b->span_tokens) - first_span(&b->runs[i], s->args.window, b->span_tokens);
    return n * s->kv.n_head_kv;
}

/* Whether threads share the work on a run: if there are fewer than threads, of more than a span each. */
static inline int shares_runs(const attention_step *s, const batch *b) {
    const int n = b->n_runs * s->kv.n_head_kv;
    return s->has_scores && b->scores && n < b->n_threads && count_spans(s, b) > n;
}

static inline int64_t attention_items(const attention_step *s, const batch *b) {
    return (int64_t)b->n_runs * s->kv.n_head_kv * (shares_runs(s, b) ? value_blocks(&s->kv) : 1);
}

/* Length of a step's work list. */
static inline int64_t count_items(const step *s, const batch *b) {
    const int64_t m = count_rows(s, b);
    switch (s->kind) {
    case STEP_LINEAR: return m ? count_panels(&s->linear.w) : 0;
    case STEP_APPEND: return b->n_runs;
    case STEP_SCORES:
        b = rows_of_step(s, b);
        return shares_runs(&s->attention, b) ? count_spans(&s->attention, b) : 0;
    case STEP_ATTENTION: return attention_items(&s->attention, rows_of_step(s, b));
    case STEP_UNARY: return rows_or_slots(m, s->unary.routes) * row_chunks(b, s->unary.n);
    case STEP_BINARY: return rows_or_slots(m, s->binary.routes);
    case STEP_GROUP: return m ? 1 : 0;
    case STEP_GATHER: return m * s->gather.routes->n_used;
    case STEP_EXPERTS: return most_groups(s->experts.routes, (int)m) * count_panels(&s->experts.args.w);
    case STEP_HEAD_LINEAR: return m ? s->head_linear.n_head * count_panels(&s->head_linear.args.w) : 0;
    case STEP_DELTA_RULE: return s->delta_rule.n_items;
    case STEP_SSM_SCAN: return s->ssm_scan.n_items;
    case STEP_SELECTIVE_SCAN: return s->selective_scan.n_items;
    case STEP_SQUARES: return m ? (s->squares.n + SQUARES_COLUMNS - 1) / SQUARES_COLUMNS : 0;
    case STEP_CAUSAL_CONV: return (s->conv.args.n_channels + CONV_CHANNELS - 1) / CONV_CHANNELS;
    default: return m;
    }
}

/* Items that go together: panels by fours, since many rows share the work on a block of them. */
static inline int64_t grain_items(const step *s) {
    return s->kind == STEP_LINEAR || s->kind == STEP_EXPERTS || s->kind == STEP_HEAD_LINEAR ? 4 : 1;
}

/* Panels that a thread takes at a time: about CHUNK_BYTES of them, in whole grains. */
static inline int64_t chunk_panels(const linear_args *a, int64_t grain) {
    const size_t bytes = a->w.panel + (a->w2.data ? a->w2.panel : 0);
    const int64_t n = (int64_t)(CHUNK_BYTES / bytes) / grain * grain;
    return n < grain ? grain : n;
}

/* Whether threads take as many panels as the level multiplies together. */
static inline int takes_many_panels(const step *s, const batch *b) {
    return s->kind == STEP_LINEAR && b->many_panels && count_rows(s, b) >= b->many_rows;
}

/* As many, or fewer so that all threads take as often: each taking reads all activations again. */
static inline int64_t shared_panels(const step *s, const batch *b, int64_t n_items, int64_t grain, int n_threads) {
    const int64_t most = s->linear.w2.data ? b->many_panels / 2 : b->many_panels;
    const int64_t takes = (n_items + most * n_threads - 1) / (most * n_threads) * n_threads;
    return (n_items + takes * grain - 1) / (takes * grain) * grain;
}

/* Items a thread takes at a time, in whole grains: few enough that all threads finish together.
 * Blocks of a run's outputs go together, as they need the same exponentials. Attention takes more,
 * since runs that go together share the pages that they read. */
static inline int64_t chunk_items(const step *s, const batch *b, int64_t n_items, int n_threads) {
    if (s->kind == STEP_ATTENTION && shares_runs(&s->attention, rows_of_step(s, b)))
        return (n_items + n_threads - 1) / n_threads;
    if (takes_many_panels(s, b)) return shared_panels(s, b, n_items, grain_items(s), n_threads);
    const int64_t grain = grain_items(s), n = n_items / (n_threads * 8) / grain * grain;
    const int64_t most = s->kind == STEP_EXPERTS     ? chunk_panels(&s->experts.args, grain)
                         : s->kind == STEP_ATTENTION ? 16
                                                     : 8 * grain;
    return n < grain ? grain : n > most ? most : n;
}

/* The first weights that a thread will read from the first of n_steps steps on. */
static inline stretch first_weights(const step *s, int n_steps, const batch *b, team_member who) {
    stretch weights = {NULL, NULL};
    for (; n_steps > 0 && s->kind != STEP_LINEAR; n_steps--) s++;
    if (n_steps <= 0) return weights;
    const work_items share = share_of(count_items(s, b), grain_items(s), who);
    const int64_t bytes = (share.end - share.begin) * (int64_t)s->linear.w.panel;
    weights.next = s->linear.w.data + share.begin * (int64_t)s->linear.w.panel;
    weights.end = weights.next + (bytes < b->fetched_bytes ? bytes : b->fetched_bytes);
    return weights;
}

#endif
