/* A strip of queries: the rows of one run, times the heads that share a KV head. */
#ifndef LLAMACY_QUERY_STRIP_H
#define LLAMACY_QUERY_STRIP_H

#include "attention/span.h"
#include <float.h>
#include <math.h>

/* Query r is row r / group of the run, head first_head + r % group. */
typedef struct {
    const row_run *run;
    int first_head, group;
    attention_state state;
} query_strip;

/* The matrices of queries, (M, n_head * head_dim), and of outputs, (M, n_head * value_dim); or one of them. */
typedef struct { const float *q; float *y; size_t ldq, ldy; } query_rows;

INLINE int count_queries(const query_strip *strip) { return strip->run->n_rows * strip->group; }

/* Floats of the queries of a strip, of its outputs, and of its parts of sums. */
INLINE size_t query_floats(int key_dim) { return STRIP_ROWS * (size_t)wide_dim(key_dim); }
INLINE size_t output_floats(int value_dim) { return STRIP_ROWS * (size_t)wide_dim(value_dim); }
INLINE size_t strip_floats(head_dims d) {
    return query_floats(d.key) + output_floats(d.value) + 16 * STRIP_ROWS;
}

/* The first position that a row at `position` sees. */
INLINE int first_seen(const attention_args *a, int position) {
    const int back = a->is_causal ? a->window - 1 : a->window / 2;
    return a->window > 0 && position > back ? position - back : 0;
}

/* The position after the last one that it sees. */
INLINE int after_seen(const attention_args *a, const row_run *run, int position) {
    if (a->is_causal) return position + 1;
    const int after = position + a->window / 2 + 1;
    return a->window > 0 && after < run->n_tokens ? after : run->n_tokens;
}

/* The same of the last row of a run. */
INLINE int end_of(const attention_args *a, const row_run *run) {
    return after_seen(a, run, run->position + run->n_rows - 1);
}

/* The sums of query r begin with a sink. One that is +infinity or NaN makes all its outputs NaN. */
INLINE void begin_sink(attention_state *s, int r, float sink) {
    s->max[r] = fmaxf(sink, -FLT_MAX);
    s->sum[r] = sink < INFINITY ? 1 : NAN;
}

/* Put scaled queries into `memory`, if there are any, and outputs after them; nothing is attended to yet. */
static void begin_strip(const attention_args *a, const attention_path *path, const query_rows *rows,
                        query_strip *strip, float *weights, float *memory) {
    const head_dims d = dims_of(a->kv);
    const int group = strip->group;
    attention_state *s = &strip->state;
    s->softcap = a->softcap;
    s->weights = weights;
    s->q = memory;
    s->out = memory + query_floats(d.key);
    s->parts = s->out + output_floats(d.value);
    memset(memory, 0, sizeof(float) * strip_floats(d));
    /* not -infinity: a span of which a query sees nothing must leave the query's sums as they were */
    for (int r = 0; r < STRIP_ROWS; r++) s->max[r] = -FLT_MAX, s->sum[r] = 0, s->slope[r] = 0;
    for (int r = 0; r < count_queries(strip); r++) {
        const int head = strip->first_head + r % group;
        if (a->slopes) s->slope[r] = a->slopes[head];
        if (a->sinks) begin_sink(s, r, a->sinks[head]);
        if (!rows->q) continue;
        const float *row = rows->q + (size_t)(strip->run->row + r / group) * rows->ldq + (size_t)head * d.key;
        path->store_query(s, r, row, d.key, a->scale);
    }
}

/* A query's largest weight is about 1, unless all its scores are -infinity, or far too large (softmax_tiles.h):
 * its outputs are NaN then. */
#define LEAST_SUM 0x1p-60f

/* Write some of the outputs. */
static void finish_queries(const attention_args *a, const query_rows *rows, const query_strip *strip,
                           vector_range some) {
    const int dim = a->kv->value_dim, group = strip->group;
    const int end = 16 * some.end < dim ? 16 * some.end : dim;
    for (int r = 0; r < count_queries(strip); r++) {
        const int head = strip->first_head + r % group;
        float *row = rows->y + (size_t)(strip->run->row + r / group) * rows->ldy + (size_t)head * dim;
        const float *out = strip->state.out + (size_t)r * wide_dim(dim);
        const float sum = strip->state.sum[r] + f_sum(f_load(strip->state.parts + 16 * r));
        const float share = sum > LEAST_SUM ? 1 / sum : NAN;
        for (int i = 16 * some.begin; i < end; i++) row[i] = out[i] * share;
    }
}

/* The position of the first page that the window of a row at `position` reaches into. */
INLINE int first_page(const attention_args *a, int position) {
    return first_seen(a, position) / PAGE_TOKENS * PAGE_TOKENS;
}

/* Find the tokens that a strip's queries see, of the n from position `first` on. */
INLINE sight look(const attention_args *a, const query_strip *strip, int first, int n) {
    sight see;
    memset(&see, 0, sizeof see);
    for (int row = 0, r = 0; row < strip->run->n_rows; row++) {
        const int position = strip->run->position + row;
        const int visible = within(after_seen(a, strip->run, position) - first, 0, n);
        const int hidden = within(first_seen(a, position) - first, 0, n);
        for (int i = 0; i < strip->group; i++, r++)
            see.visible[r] = visible, see.hidden[r] = hidden, see.place[r] = position - first;
    }
    return see;
}

#endif
