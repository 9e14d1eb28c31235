/* The work of threads on items [begin, end) of a step; step.h has its fields, and interface.h
 * says what each kernel computes. */
#ifndef LLAMACY_PERFORM_H
#define LLAMACY_PERFORM_H

#include <math.h>

#include "plan/step.h"

/* The rows themselves, or those of the logits, n floats each. */
static inline float_rows rows_or_logits(float_rows rows, const batch *b, int n) {
    const float_rows logits = {b->logits, (size_t)n};
    return rows.data ? rows : logits;
}

/* Row by row: parts of many rows would be read from places far apart. */
static inline void norm_rows(const norm_step *s, int begin, int end) {
    for (int row = begin; row < end; row++)
        for (int i = 0; i < s->n_parts; i++) {
            const float *weight = s->weight ? s->weight + i * s->weight_step : NULL;
            const float *bias = s->bias ? s->bias + i * s->weight_step : NULL;
            s->f(s->x.data + i * s->n, s->x.ld, weight, bias, s->eps, s->n, s->y.data + i * s->n, s->y.ld, row,
                 row + 1);
        }
}

static inline void multiply_rows(const kernel_table *kernels, const linear_args *a, const batch *b, int m, int begin,
                                 int end, void *scratch) {
    linear_args args = *a;
    args.m = m;
    if (!args.y) args.y = b->logits, args.ldy = (size_t)args.w.n;
    kernels->linear(&args, begin, end, scratch);
}

/* Rotates the queries and keys of runs begin to end, and puts keys and values into the pages. */
static inline void append_runs(const kernel_table *kernels, const append_step *s, const batch *b, int begin,
                               int end) {
    const kv_layout *kv = &s->kv;
    for (int i = begin; i < end; i++) {
        const int row = b->runs[i].row, after = row + b->runs[i].n_rows, d = kv->head_dim;
        if (s->q_table) kernels->rope(s->q.data, s->q.ld, kv->n_head, d, s->q_half, s->q_table, row, after);
        if (s->k_table) kernels->rope(s->k.data, s->k.ld, kv->n_head_kv, d, s->k_half, s->k_table, row, after);
    }
    kernels->append(kv, s->offset, b->runs, s->k.data, s->k.ld, s->v.data, s->v.ld, begin, end);
}

static inline void make_scores(const kernel_table *kernels, const attention_step *s, const batch *b, int begin,
                               int end, void *scratch) {
    attention_args args = s->args;
    args.kv = &s->kv;
    kernels->score(&args, b->runs, b->n_runs, s->q.data, s->q.ld, b->scores, begin, end, scratch);
}

static inline void attend(const kernel_table *kernels, const attention_step *s, const batch *b, int begin, int end,
                          void *scratch) {
    attention_args args = s->args;
    args.kv = &s->kv;
    if (shares_runs(s, b))
        kernels->weigh(&args, b->runs, b->n_runs, b->scores, s->y.data, s->y.ld, begin, end, scratch);
    else
        kernels->attention(&args, b->runs, b->n_runs, s->q.data, s->q.ld, s->y.data, s->y.ld, begin, end, scratch);
}

static inline void take_wanted(const wanted_step *s, const batch *b, int begin, int end) {
    for (int i = begin; i < end; i++)
        memcpy(s->y.data + i * s->y.ld, s->x.data + (size_t)b->wanted[i] * s->x.ld, (size_t)s->n * sizeof(float));
}

/* Sums are float64, so that a long text's are as exact as a short one's. */
static inline void average_rows(const mean_step *s, const batch *b, int begin, int end) {
    enum { COLUMNS = 64 };
    for (int i = begin; i < end; i++) {
        const int last = b->wanted[i], first = last - b->positions[last];
        for (int column = 0; column < s->n; column += COLUMNS) {
            const int n = s->n - column < COLUMNS ? s->n - column : COLUMNS;
            double sums[COLUMNS] = {0};
            for (int row = first; row <= last; row++) {
                const float *x = s->x.data + (size_t)row * s->x.ld + column;
                for (int j = 0; j < n; j++) sums[j] += (double)x[j];
            }
            float *y = s->y.data + (size_t)i * s->y.ld + column;
            for (int j = 0; j < n; j++) y[j] = (float)(sums[j] / (last - first + 1));
        }
    }
}

/* Copies parts of rows begin to end of x to y or the logits, and rotates them if there is a table. */
static inline void copy_rows(const kernel_table *kernels, const copy_step *s, const batch *b, int begin, int end) {
    const float_rows y = rows_or_logits(s->y, b, s->n);
    for (int i = begin; i < end; i++) {
        const float *x = s->x.data + i * s->x.ld;
        float *out = y.data + i * y.ld;
        for (int part = 0; part < s->n_parts; part++, x += s->part_step, out += s->n)
            memcpy(out, x, (size_t)s->n * sizeof *out);
    }
    if (s->table) kernels->rope(y.data, y.ld, s->n / s->head_dim, s->head_dim, s->half, s->table, begin, end);
}

static inline void join_rows(const join_step *s, int begin, int end) {
    for (int i = begin; i < end; i++) {
        const float *x = s->x.data + i * s->x.ld, *y = s->y.data + i * s->y.ld;
        float *z = s->z.data + i * s->z.ld;
        for (int part = 0; part < s->n_parts; part++, x += s->n_x, y += s->n_y) {
            memcpy(z, x, (size_t)s->n_x * sizeof *z);
            z += s->n_x;
            memcpy(z, y, (size_t)s->n_y * sizeof *z);
            z += s->n_y;
        }
    }
}

static inline void prepare_rows(const kernel_table *kernels, const prepare_step *s, int m, int begin, int end) {
    for (int part = 0; part < s->n_parts; part++)
        kernels->prepare(s->x.data + part * s->n, s->x.ld, s->n, m, s->n_digits,
                         s->prepared + (size_t)part * s->part_bytes, begin, end);
}

/* Items are panels of the first head's matrix, then of the second's ...: all threads share all heads. */
static inline void multiply_heads(const kernel_table *kernels, const head_linear_step *s, int m, int begin, int end,
                                  void *scratch) {
    const int n_panels = (int)count_panels(&s->args.w);
    for (int next; begin < end; begin = next) {
        const int head = begin / n_panels, first = head * n_panels;
        linear_args args = s->args;
        next = first + n_panels < end ? first + n_panels : end;
        args.m = m;
        args.w.data += (size_t)head * s->stride;
        args.y += (size_t)head * (size_t)args.w.n;
        args.x += (size_t)head * (size_t)args.w.k;
        if (args.prepared) args.prepared = (const uint8_t *)args.prepared + (size_t)head * s->prepared;
        kernels->linear(&args, begin - first, next - first, scratch);
    }
}

/* Items are chunks of rows. */
static inline void map_chunks(const unary_step *s, const batch *b, int begin, int end) {
    const float_rows x = rows_or_logits(s->x, b, s->n), y = rows_or_logits(s->y, b, s->n);
    const int n_chunks = row_chunks(b, s->n);
    for (int item = begin; item < end; item++) {
        const int row = item / n_chunks, first = item % n_chunks * b->row_chunk;
        const int n = s->n - first < b->row_chunk ? s->n - first : b->row_chunk;
        s->f(x.data + first, x.ld, s->constants, n, y.data + first, y.ld, row, row + 1);
    }
}

static inline void combine_rows(const binary_step *s, int begin, int end) {
    s->f(s->x.data, s->x.ld, s->y.data, s->y.ld, s->n, s->z.data, s->z.ld, begin, end);
}

static inline void gate_rows(const kernel_table *kernels, const sigmoid_gate_step *s, int begin, int end) {
    kernels->sigmoid_gate(s->x.data, s->x.ld, s->weight, s->k, s->y.data, s->y.ld, s->n, s->z.data, s->z.ld, begin,
                          end);
}

static inline void gate_heads(const head_gate_step *s, int begin, int end) {
    for (int i = begin; i < end; i++)
        for (int head = 0; head < s->n_head; head++) {
            const size_t first = (size_t)head * (size_t)s->n;
            s->f(s->x.data + first, s->x.ld, s->gate.data + (size_t)i * s->gate.ld + head, s->n, s->y.data + first,
                 s->y.ld, i, i + 1);
        }
}

static inline void route_rows(const route_step *s, int begin, int end) {
    for (int i = begin; i < end; i++) route_row(s->routes, s->scores.data + i * s->scores.ld, s->bias, i);
}

static inline void mix_rows(const kernel_table *kernels, const mix_step *s, int begin, int end) {
    const routing *r = s->routes;
    kernels->mix(s->x.data, s->x.ld, r->slot, r->weight, r->n_used, s->n, s->y.data, s->y.ld, begin, end);
}

static inline void gather_rows(const kernel_table *kernels, const gather_step *s, int begin, int end) {
    gather_slots(kernels, s->routes, s->x.data, s->x.ld, s->is_by_row, s->n, s->y.data, s->y.ld, s->n_digits, s->prepared,
                 begin, end);
}

static inline void embed_rows(const kernel_table *kernels, const embedding_step *s, const int32_t *rows, int begin,
                              int end, void *scratch) {
    if (!s->mapped.data) {
        kernels->embedding(&s->weight, rows, s->y.data, s->y.ld, begin, end, scratch);
        return;
    }
    packed_matrix row = s->weight;
    const int32_t first = 0;
    row.data = scratch;
    for (int i = begin; i < end; i++) {
        s->mapped.pack(&s->mapped, rows[i], scratch);
        kernels->embedding(&row, &first, s->y.data + i * s->y.ld, s->y.ld, 0, 1, NULL);
    }
}

/* Return the factor of rotated dimensions at a position. */
static inline float magnitude_at(const rope_table_step *s, int32_t position) {
    if (s->growth == 0) return s->magnitude;
    return s->magnitude * (1 + s->growth * logf(1 + (float)(position / s->n_ctx_orig)));
}

/* Return the radians per position of a row's pairs. */
static inline const float *angles_of(const rope_table_step *s, const batch *b, int row) {
    if (!s->angles) return b->angles + (size_t)row * (size_t)(s->n_dims / 2);
    return s->long_angles && b->is_long && b->is_long[row] ? s->long_angles : s->angles;
}

static inline void tabulate_rows(const kernel_table *kernels, const rope_table_step *s, const batch *b, int begin,
                                 int end) {
    for (int row = begin, after; row < end; row = after) {
        const float *angles = angles_of(s, b, row);
        const float magnitude = magnitude_at(s, b->positions[row]);
        after = row + 1;
        while (after < end && angles_of(s, b, after) == angles && magnitude_at(s, b->positions[after]) == magnitude)
            after++;
        kernels->rope_table(angles, s->n_dims, s->head_dim, s->half, magnitude, b->positions, s->table, row, after);
    }
}

/* Adds the squares of columns [first, end) of n_rows rows, rows[i] or the i-th. */
static inline void add_squares(const squares_step *s, int first, int end, const int32_t *rows, int first_row,
                               int n_rows, int expert) {
    double *sums = s->sums + (size_t)expert * (size_t)s->n;
    for (int i = first_row; i < first_row + n_rows; i++) {
        const float *x = s->x.data + (size_t)(rows ? rows[i] : i) * s->x.ld;
        for (int j = first; j < end; j++) sums[j] += (double)x[j] * x[j];
    }
    if (first == 0) s->counts[expert] += n_rows;
}

/* Items are columns, SQUARES_COLUMNS together: the order of sums does not depend on threads. */
static inline void square_columns(const squares_step *s, int m, int begin, int end) {
    const int first = begin * SQUARES_COLUMNS, last = end * SQUARES_COLUMNS;
    const int after = last < s->n ? last : s->n;
    const routing *r = s->routes;
    if (!r) {
        add_squares(s, first, after, NULL, 0, m, 0);
        return;
    }
    for (int i = 0; i < r->n_groups; i++) {
        const expert_group *g = &r->groups[i];
        add_squares(s, first, after, s->is_by_row ? r->row : NULL, g->first, g->n_rows, g->expert);
    }
}

static inline void perform(const kernel_table *kernels, const step *s, const batch *b, int begin, int end,
                           void *scratch) {
    const int m = count_rows(s, b);
    switch (s->kind) {
    case STEP_EMBEDDING: embed_rows(kernels, &s->embedding, b->tokens, begin, end, scratch); break;
    case STEP_POSITION_EMBEDDING: embed_rows(kernels, &s->embedding, b->positions, begin, end, scratch); break;
    case STEP_TYPE_EMBEDDING: embed_rows(kernels, &s->embedding, b->types, begin, end, scratch); break;
    case STEP_ROPE_TABLE: tabulate_rows(kernels, &s->rope_table, rows_of_step(s, b), begin, end); break;
    case STEP_NORM: norm_rows(&s->norm, begin, end); break;
    case STEP_PREPARE: prepare_rows(kernels, &s->prepare, m, begin, end); break;
    case STEP_LINEAR: multiply_rows(kernels, &s->linear, b, m, begin, end, scratch); break;
    case STEP_APPEND: append_runs(kernels, &s->append, b, begin, end); break;
    case STEP_SCORES: make_scores(kernels, &s->attention, rows_of_step(s, b), begin, end, scratch); break;
    case STEP_ATTENTION: attend(kernels, &s->attention, rows_of_step(s, b), begin, end, scratch); break;
    case STEP_WANTED: take_wanted(&s->wanted, b, begin, end); break;
    case STEP_MEAN: average_rows(&s->mean, b, begin, end); break;
    case STEP_COPY: copy_rows(kernels, &s->copy, b, begin, end); break;
    case STEP_UNARY: map_chunks(&s->unary, b, begin, end); break;
    case STEP_BINARY: combine_rows(&s->binary, begin, end); break;
    case STEP_SIGMOID_GATE: gate_rows(kernels, &s->sigmoid_gate, begin, end); break;
    case STEP_HEAD_GATE: gate_heads(&s->head_gate, begin, end); break;
    case STEP_ROUTE: route_rows(&s->route, begin, end); break;
    case STEP_GROUP: group_rows(s->group, m); break;
    case STEP_GATHER: gather_rows(kernels, &s->gather, begin, end); break;
    case STEP_EXPERTS:
        multiply_experts(kernels, s->experts.routes, &s->experts.args, s->experts.stride, s->experts.stride2, begin,
                         end, scratch);
        break;
    case STEP_MIX: mix_rows(kernels, &s->mix, begin, end); break;
    case STEP_SQUARES: square_columns(&s->squares, m, begin, end); break;
    case STEP_JOIN: join_rows(&s->join, begin, end); break;
    case STEP_HEAD_LINEAR: multiply_heads(kernels, &s->head_linear, m, begin, end, scratch); break;
    case STEP_CAUSAL_CONV:
        kernels->causal_conv(&s->conv.args, b->spans, b->n_spans, s->conv.x.data, s->conv.x.ld, s->conv.y.data,
                             s->conv.y.ld, begin, end);
        break;
    case STEP_DELTA_RULE:
        kernels->delta_rule(&s->delta_rule.args, b->spans, b->n_spans, begin, end, scratch);
        break;
    case STEP_SSM_SCAN: kernels->ssm_scan(&s->ssm_scan.args, b->spans, b->n_spans, begin, end, scratch); break;
    case STEP_SELECTIVE_SCAN:
        kernels->selective_scan(&s->selective_scan.args, b->spans, b->n_spans, begin, end, scratch);
        break;
    }
    if (s->result.prepared) prepare_rows(kernels, &s->result, m, begin, end);
}

#endif
