/* A step of a forward pass: one operation on buffers, whose work is a list of items.
 *
 * Steps are made once, by steps.pyx, whose methods say which fields each kind has. What is
 * new in each pass is its batch. perform.h has what is done, team.h how threads share it.
 */
#ifndef LLAMACY_STEP_H
#define LLAMACY_STEP_H

#include "plan/experts.h"
#include "interface.h"
#include "plan/team.h"

typedef enum {
    STEP_EMBEDDING,
    STEP_ROPE_TABLE,
    STEP_RMS_NORM,
    STEP_PREPARE,
    STEP_LINEAR,
    STEP_APPEND,
    STEP_ATTENTION,
    STEP_WANTED,
    STEP_COPY,
    STEP_SCALE,
    STEP_SOFTCAP,
    STEP_ADD,
    STEP_SILU_MUL,
    STEP_GELU_MUL,
    STEP_SIGMOID_GATE,
    STEP_ROUTE,
    STEP_GROUP,
    STEP_GATHER,
    STEP_EXPERTS,
    STEP_MIX
} step_kind;

typedef struct {
    step_kind kind;
    int waits;     /* for all items of the steps before to be done */
    int of_wanted; /* works on the wanted rows, not on all of the batch */

    const float *x, *x2; /* inputs and the output, rows ldx, ldx2 and ldy floats apart */
    float *y;
    size_t ldx, ldx2, ldy;
    int n;           /* floats of a row, or of each of its n_parts */
    int n_parts;
    float scale;     /* or epsilon, magnitude, cap */
    void *prepared;  /* activations as linear steps want them */

    int n_dims, head_dim; /* rotated dimensions, of those of a head */
    const float *table;   /* of rotations, of y and of x; or NULL */
    const float *x_table;
    int half, x_half;     /* distance in rotated pairs of y and of x, 0: adjacent */

    linear_args linear;
    attention_args attention; /* also says which pages keys and values go to */

    routing *routes; /* of rows to experts */
    int is_by_row;   /* x has a row for each of the batch, not for each slot */
    size_t stride;   /* bytes from one expert's matrix to the next */
    size_t stride2;
} step;

/* What is new in each forward pass. */
typedef struct {
    int n_rows, n_wanted, n_runs;
    const int32_t *tokens, *positions; /* [n_rows] */
    const int32_t *wanted;             /* [n_wanted]: rows */
    row_run *runs;                     /* [n_runs] */
    float *logits;                     /* (n_wanted, n_vocab) */
    int row_chunk;                     /* sizes of the level: see kernel_table */
    int64_t fetched_bytes;
} batch;

/* Chunks that n floats of a row are cut into: a row of logits is work for all threads. */
static inline int row_chunks(const batch *b, int n) { return (n + b->row_chunk - 1) / b->row_chunk; }

static inline int count_rows(const step *s, const batch *b) { return s->of_wanted ? b->n_wanted : b->n_rows; }

/* Length of a step's work list. */
static inline int64_t count_items(const step *s, const batch *b) {
    const int64_t rows = count_rows(s, b), n_panels = (s->linear.w.n + PANEL_ROWS - 1) / PANEL_ROWS;
    switch (s->kind) {
    case STEP_LINEAR: return rows ? n_panels : 0;
    case STEP_APPEND: return b->n_runs;
    case STEP_ATTENTION: return (int64_t)b->n_runs * s->attention.kv->n_head_kv;
    case STEP_SCALE:
    case STEP_SOFTCAP: return rows * row_chunks(b, s->n);
    case STEP_GROUP: return rows ? 1 : 0;
    case STEP_GATHER: return rows * s->routes->n_used;
    case STEP_EXPERTS: return most_groups(s->routes, (int)rows) * n_panels;
    default: return rows;
    }
}

/* Items that go together: panels by fours, since many rows share what is done for a block. */
static inline int64_t grain_items(const step *s) {
    return s->kind == STEP_LINEAR || s->kind == STEP_EXPERTS ? 4 : 1;
}

/* Items a thread takes at a time, whole grains: few enough that all finish together. */
static inline int64_t chunk_items(const step *s, int64_t n_items, int n_threads) {
    const int64_t grain = grain_items(s), most = 8 * grain, n = n_items / (n_threads * 8) / grain * grain;
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
