/* How the rows of a batch go through their experts.
 *
 * Each row chooses n_used of n_expert experts (route_row). The rows that chose the same
 * expert become a group (group_rows), and have consecutive slots: S = M * n_used in all.
 *
 *   group  0         1     2              a group is what one expert's matrices
 *   slot   0  1  2 | 3 | 4  5             are multiplied with, m rows at once
 *   row    0  2  5 | 1 | 0  1
 *
 * So each matrix is read once a pass, however many rows chose it, and the others are not
 * read at all. A slot's result depends on its row and its expert alone, and a row adds up
 * its slots in the order in which it chose their experts.
 */
#ifndef LLAMACY_EXPERTS_H
#define LLAMACY_EXPERTS_H

#include "interface.h"
#include <math.h>
#include <string.h>

/* Prepared rows of a group begin at a multiple of this number of rows: at every level the
 * prepared form of fewer rows fits into that of GROUP_ROWS. */
enum { GROUP_ROWS = 32 };

typedef struct {
    int32_t expert;
    int32_t first, n_rows; /* slots */
    int32_t prepared;      /* rows of all groups before, each in whole GROUP_ROWS */
} expert_group;

typedef struct {
    int n_expert, n_used;
    int is_normalized;    /* whether the weights of a row's experts have the sum 1 */
    int32_t n_groups;
    int32_t *expert;      /* (M, n_used): of each row, the highest score first */
    float *weight;        /* (M, n_used): of each expert in its row's result */
    int32_t *slot;        /* (M, n_used): of each row and expert */
    int32_t *row;         /* [S]: of each slot */
    int32_t *group;       /* [S]: of each slot */
    int32_t *count;       /* [n_expert]: rows of each expert, later the number of its group */
    expert_group *groups; /* [n_groups], by expert */
} routing;

/* Whether score a comes before score b. NaN comes last; equal scores stay in order. */
static inline int comes_before(float a, float b) { return a > b || (a == a && b != b); }

/* chosen [n_used]: the highest of scores [n_expert], highest first. */
static inline void choose_experts(const routing *r, const float *scores, int32_t *chosen) {
    for (int e = 0; e < r->n_expert; e++) {
        int at = e < r->n_used ? e : r->n_used;
        if (at == r->n_used && !comes_before(scores[e], scores[chosen[--at]])) continue;
        for (; at > 0 && comes_before(scores[e], scores[chosen[at - 1]]); at--) chosen[at] = chosen[at - 1];
        chosen[at] = e;
    }
}

/* Sets a row's experts, and their shares of the softmax over all scores or over the chosen, times
 * their scales [n_expert] if there are any. */
static inline void route_row(const routing *r, const float *scores, const float *scale, int row) {
    int32_t *chosen = r->expert + (size_t)row * (size_t)r->n_used;
    float *weight = r->weight + (size_t)row * (size_t)r->n_used, sum = 0;
    choose_experts(r, scores, chosen);
    const float most = scores[chosen[0]];
    for (int i = 0; i < r->n_used; i++) weight[i] = expf(scores[chosen[i]] - most);
    if (r->is_normalized)
        for (int i = 0; i < r->n_used; i++) sum += weight[i];
    else
        for (int e = 0; e < r->n_expert; e++) sum += expf(scores[e] - most);
    for (int i = 0; i < r->n_used; i++) weight[i] /= sum;
    if (scale)
        for (int i = 0; i < r->n_used; i++) weight[i] *= scale[chosen[i]];
}

static inline void group_rows(routing *r, int n_rows) {
    const int n = n_rows * r->n_used;
    int32_t first = 0, prepared = 0;
    r->n_groups = 0;
    memset(r->count, 0, sizeof *r->count * (size_t)r->n_expert);
    for (int i = 0; i < n; i++) r->count[r->expert[i]]++;
    for (int e = 0; e < r->n_expert; e++) {
        const int32_t count = r->count[e];
        if (!count) continue;
        const expert_group group = {e, first, 0, prepared};
        r->count[e] = r->n_groups;
        r->groups[r->n_groups++] = group;
        first += count;
        prepared += (count + GROUP_ROWS - 1) / GROUP_ROWS * GROUP_ROWS;
    }
    for (int i = 0; i < n; i++) {
        const int32_t g = r->count[r->expert[i]], slot = r->groups[g].first + r->groups[g].n_rows++;
        r->slot[i] = slot;
        r->row[slot] = i / r->n_used;
        r->group[slot] = g;
    }
}

/* The most groups that n_rows rows can make. */
static inline int most_groups(const routing *r, int n_rows) {
    const int n_slots = n_rows * r->n_used;
    return n_slots < r->n_expert ? n_slots : r->n_expert;
}

/* The prepared form of a group's rows of k floats, in that of all groups. */
static inline uint8_t *prepared_group(const kernel_table *kernels, const expert_group *g, int k, void *prepared) {
    return (uint8_t *)prepared + kernels->prepared_bytes(k, GROUP_ROWS) / GROUP_ROWS * (size_t)g->prepared;
}

/* Slots begin to end of y (S, k), or prepared, or both, become rows of x: each slot's row of
 * x (M, k), or, unless is_by_row, the slot's own of x (S, k). */
static inline void gather_slots(const kernel_table *kernels, const routing *r, const float *x, size_t ldx,
                                int is_by_row, int k, float *y, size_t ldy, void *prepared, int begin, int end) {
    for (int slot = begin; slot < end; slot++) {
        const expert_group *g = &r->groups[r->group[slot]];
        const float *from = x + (size_t)(is_by_row ? r->row[slot] : slot) * ldx;
        const int at = slot - g->first;
        if (y) memcpy(y + (size_t)slot * ldy, from, sizeof *y * (size_t)k);
        /* rows 0 floats apart: whichever the kernel reads is this one */
        if (prepared)
            kernels->prepare(from, 0, k, g->n_rows, prepared_group(kernels, g, k, prepared), at, at + 1);
    }
}

/* Items are panels of the first group's matrix, then of the second's ...: all threads share
 * all experts. `a` has the matrices and biases of expert 0; those of the next one are
 * `stride` and `stride2` bytes, and one row, further. */
static inline void multiply_experts(const kernel_table *kernels, const routing *r, const linear_args *a,
                                    size_t stride, size_t stride2, int begin, int end, void *scratch) {
    const int n_panels = (int)((a->w.n + PANEL_ROWS - 1) / PANEL_ROWS);
    for (int next; begin < end; begin = next) {
        const int number = begin / n_panels, first = number * n_panels;
        next = first + n_panels < end ? first + n_panels : end;
        if (number >= r->n_groups) return;
        const expert_group *g = &r->groups[number];
        linear_args args = *a;
        args.m = g->n_rows;
        args.w.data += (size_t)g->expert * stride;
        args.y += (size_t)g->first * a->ldy;
        if (a->w2.data) args.w2.data += (size_t)g->expert * stride2;
        if (a->bias) args.bias += (size_t)g->expert * (size_t)a->w.n;
        if (a->bias2) args.bias2 += (size_t)g->expert * (size_t)a->w.n;
        if (a->x) args.x += (size_t)g->first * a->ldx;
        if (a->prepared) args.prepared = prepared_group(kernels, g, (int)a->w.k, (void *)a->prepared);
        kernels->linear(&args, begin - first, next - first, scratch);
    }
}

#endif
