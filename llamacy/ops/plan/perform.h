/* What is done for items [begin, end) of a step; step.h says which fields it has, and
 * interface.h what each kernel does. */
#ifndef LLAMACY_PERFORM_H
#define LLAMACY_PERFORM_H

#include "plan/step.h"

static inline void norm_rows(const kernel_table *kernels, const step *s, int m, int begin, int end) {
    for (int i = 0; i < s->n_parts; i++)
        kernels->rms_norm(s->x + i * s->n, s->ldx, s->x2, s->scale, s->n, s->y + i * s->n, s->ldy, begin, end);
    if (s->prepared) kernels->prepare(s->y, s->ldy, s->n * s->n_parts, m, s->prepared, begin, end);
}

static inline void multiply_rows(const kernel_table *kernels, const step *s, const batch *b, int m, int begin,
                                 int end, void *scratch) {
    linear_args args = s->linear;
    args.m = m;
    if (!args.y) args.y = b->logits, args.ldy = (size_t)args.w.n;
    kernels->linear(&args, begin, end, scratch);
}

/* Runs begin to end: queries and keys are rotated, keys and values put into the pages. */
static inline void append_runs(const kernel_table *kernels, const step *s, const batch *b, int begin, int end) {
    const kv_layout *kv = s->attention.kv;
    for (int i = begin; i < end; i++) {
        const int row = b->runs[i].row, after = row + b->runs[i].n_rows, d = kv->head_dim;
        if (s->table) kernels->rope(s->y, s->ldy, kv->n_head, d, s->half, s->table, row, after);
        if (s->x_table)
            kernels->rope((float *)s->x, s->ldx, kv->n_head_kv, d, s->x_half, s->x_table, row, after);
    }
    kernels->append(kv, s->attention.offset, b->runs, s->x, s->ldx, s->x2, s->ldx2, begin, end);
}

static inline void take_wanted(const step *s, const batch *b, int begin, int end) {
    for (int i = begin; i < end; i++)
        memcpy(s->y + i * s->ldy, s->x + (size_t)b->wanted[i] * s->ldx, s->ldx * sizeof *s->y);
}

/* Rows begin to end of x go to y or the logits, rotated by the table, if any. */
static inline void copy_rows(const kernel_table *kernels, const step *s, const batch *b, int begin, int end) {
    float *y = s->y ? s->y : b->logits;
    const size_t ldy = s->y ? s->ldy : (size_t)s->n;
    for (int i = begin; i < end; i++) memcpy(y + i * ldy, s->x + i * s->ldx, (size_t)s->n * sizeof *y);
    if (s->table) kernels->rope(y, ldy, s->n / s->head_dim, s->head_dim, s->half, s->table, begin, end);
}

/* Chunks begin to end of the rows of x or the logits go to y or the logits, scaled or capped. */
static inline void scale_chunks(const kernel_table *kernels, const step *s, const batch *b, int begin, int end) {
    const float *x = s->x ? s->x : b->logits;
    float *y = s->y ? s->y : b->logits;
    const size_t ldx = s->x ? s->ldx : (size_t)s->n, ldy = s->y ? s->ldy : (size_t)s->n;
    const int n_chunks = row_chunks(b, s->n);
    for (int item = begin; item < end; item++) {
        const int row = item / n_chunks, first = item % n_chunks * b->row_chunk;
        const int n = s->n - first < b->row_chunk ? s->n - first : b->row_chunk;
        (s->kind == STEP_SCALE ? kernels->scale : kernels->softcap)(
            x + first, ldx, s->scale, n, y + first, ldy, row, row + 1);
    }
}

static inline void route_rows(const step *s, int begin, int end) {
    for (int i = begin; i < end; i++) route_row(s->routes, s->x + i * s->ldx, i);
}

static inline void perform(const kernel_table *kernels, const step *s, const batch *b, int begin, int end,
                           void *scratch) {
    const int m = count_rows(s, b);
    switch (s->kind) {
    case STEP_EMBEDDING:
        kernels->embedding(&s->linear.w, b->tokens, s->y, s->ldy, begin, end, scratch);
        break;
    case STEP_ROPE_TABLE:
        kernels->rope_table(s->x, s->n_dims, s->head_dim, s->half, s->scale, b->positions, s->y, begin, end);
        break;
    case STEP_RMS_NORM: norm_rows(kernels, s, m, begin, end); break;
    case STEP_PREPARE: kernels->prepare(s->x, s->ldx, s->n, m, s->prepared, begin, end); break;
    case STEP_LINEAR: multiply_rows(kernels, s, b, m, begin, end, scratch); break;
    case STEP_APPEND: append_runs(kernels, s, b, begin, end); break;
    case STEP_ATTENTION:
        kernels->attention(&s->attention, b->runs, b->n_runs, s->x, s->ldx, s->y, s->ldy, begin, end, scratch);
        break;
    case STEP_WANTED: take_wanted(s, b, begin, end); break;
    case STEP_COPY: copy_rows(kernels, s, b, begin, end); break;
    case STEP_SCALE:
    case STEP_SOFTCAP: scale_chunks(kernels, s, b, begin, end); break;
    case STEP_ADD: kernels->add(s->x, s->x2, s->y, s->ldy, s->n, begin, end); break;
    case STEP_SILU_MUL: kernels->silu_mul(s->x, s->x2, s->y, s->ldy, s->n, begin, end); break;
    case STEP_GELU_MUL: kernels->gelu_mul(s->x, s->x2, s->y, s->ldy, s->n, begin, end); break;
    case STEP_SIGMOID_GATE:
        kernels->sigmoid_gate(s->linear.x, s->linear.ldx, s->x2, (int)s->linear.w.k, s->x, s->ldx, s->n, s->y,
                              s->ldy, begin, end);
        break;
    case STEP_ROUTE: route_rows(s, begin, end); break;
    case STEP_GROUP: group_rows(s->routes, m); break;
    case STEP_GATHER:
        gather_slots(kernels, s->routes, s->x, s->ldx, s->is_by_row, s->n, s->y, s->ldy, s->prepared, begin, end);
        break;
    case STEP_EXPERTS:
        multiply_experts(kernels, s->routes, &s->linear, s->stride, s->stride2, begin, end, scratch);
        break;
    case STEP_MIX:
        kernels->mix(s->x, s->ldx, s->routes->slot, s->routes->weight, s->routes->n_used, s->n, s->y, s->ldy,
                     begin, end);
        break;
    }
}

#endif
