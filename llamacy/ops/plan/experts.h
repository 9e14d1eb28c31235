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
 *
 * A row chooses by its scores, or by keys: the gates made of them, with a bias that only
 * chooses. Keys may also choose groups of experts first, which alone are chosen from.
 */
#ifndef LLAMACY_EXPERTS_H
#define LLAMACY_EXPERTS_H

#include "interface.h"
#include <math.h>
#include <string.h>

/* Prepared rows of a group begin at a multiple of this number of rows: at every level the
 * prepared form of fewer rows fits into that of GROUP_ROWS. */
enum { GROUP_ROWS = 32 };

/* How scores become gates; GATING_CHOSEN leaves scores, and has the softmax over the chosen;
 * GATING_SPARSE has one over the close scores for each chosen one. */
typedef enum { GATING_SOFTMAX, GATING_SIGMOID, GATING_CHOSEN, GATING_SPARSE } gating_kind;

static const float LEAST_SUM = 1e-20f; /* added to the sum of gates, which may be 0 */

typedef struct {
    int32_t expert;
    int32_t first, n_rows; /* slots */
    int32_t prepared;      /* rows of all groups before, each in whole GROUP_ROWS */
} expert_group;

typedef struct {
    int n_expert, n_used;
    int is_normalized;    /* whether the weights of a row's experts have the sum 1 */
    gating_kind gating;
    float scale;          /* multiplies the weights */
    float most_far;       /* of a sparse mixer: the largest difference of close scores, as a part of one */
    int n_parts, n_parts_used; /* groups of as many experts each, and those to choose from */
    int n_best;           /* of a part's keys, which are summed: 1 or 2 */
    float *keys;          /* (M, n_expert + n_parts): chosen by, and sums of parts; or NULL */
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

/* Whether a part is among the n_parts_used with the highest sums. */
static inline int is_used_part(const routing *r, const float *sums, int part) {
    int n_before = 0;
    for (int i = 0; i < r->n_parts; i++)
        n_before += comes_before(sums[i], sums[part]) || (i < part && !comes_before(sums[part], sums[i]));
    return n_before < r->n_parts_used;
}

/* chosen [n_used]: the highest of keys [n_expert], highest first, in the parts with the
 * highest sums [n_parts]. */
static inline void choose_experts(const routing *r, const float *keys, const float *sums, int32_t *chosen) {
    const int size = r->n_expert / r->n_parts;
    int n_seen = 0;
    for (int e = 0; e < r->n_expert; e++) {
        if (r->n_parts > 1 && e % size == 0 && !is_used_part(r, sums, e / size)) {
            e += size - 1;
            continue;
        }
        int at = n_seen < r->n_used ? n_seen : r->n_used;
        n_seen++;
        if (at == r->n_used && !comes_before(keys[e], keys[chosen[--at]])) continue;
        for (; at > 0 && comes_before(keys[e], keys[chosen[at - 1]]); at--) chosen[at] = chosen[at - 1];
        chosen[at] = e;
    }
}

/* The sum of the n_best of a part's keys [n], 1 or 2, or its one. */
static inline float sum_of_best(const float *keys, int n, int n_best) {
    int best = 0, second = -1;
    for (int e = 1; e < n; e++)
        if (comes_before(keys[e], keys[best]))
            second = best, best = e;
        else if (second < 0 || comes_before(keys[e], keys[second]))
            second = e;
    return second < 0 || n_best == 1 ? keys[best] : keys[best] + keys[second];
}

/* weight [n] = the softmax of scores [n]. */
static inline void softmax_of(const float *scores, int n, float *weight) {
    float most = scores[0], sum = 0;
    for (int i = 1; i < n; i++)
        if (scores[i] > most || scores[i] != scores[i]) most = scores[i];
    for (int i = 0; i < n; i++) sum += weight[i] = expf(scores[i] - most);
    for (int i = 0; i < n; i++) weight[i] /= sum;
}

/* gates [n_expert] of a row's scores. */
static inline void make_gates(const routing *r, const float *scores, float *gates) {
    if (r->gating == GATING_SOFTMAX)
        softmax_of(scores, r->n_expert, gates);
    else
        for (int e = 0; e < r->n_expert; e++)
            gates[e] = r->gating == GATING_SIGMOID ? 1 / (1 + expf(-scores[e])) : scores[e];
}

/* Sets a row's experts, and their weights: their gates, which the bias only helps to choose. */
static inline void route_by_gates(const routing *r, const float *scores, const float *bias, float *keys,
                                  int32_t *chosen, float *weight) {
    const int size = r->n_expert / r->n_parts;
    float *sums = keys + r->n_expert, sum = 0;
    make_gates(r, scores, keys);
    if (bias)
        for (int e = 0; e < r->n_expert; e++) keys[e] += bias[e];
    for (int part = 0; part < r->n_parts; part++) sums[part] = sum_of_best(keys + part * size, size, r->n_best);
    choose_experts(r, keys, sums, chosen);
    if (bias) make_gates(r, scores, keys);
    for (int i = 0; i < r->n_used; i++) weight[i] = keys[chosen[i]];
    if (r->gating == GATING_CHOSEN) softmax_of(weight, r->n_used, weight);
    if (!r->is_normalized) return;
    for (int i = 0; i < r->n_used; i++) sum += weight[i];
    for (int i = 0; i < r->n_used; i++) weight[i] /= sum + LEAST_SUM;
}

/* weight [n_used]: each chosen expert's share of the softmax over the scores that are close to its
 * own, of the experts that are not chosen before it. */
static inline void weigh_sparsely(const routing *r, const float *scores, const int32_t *chosen, float *weight) {
    for (int i = 0; i < r->n_used; i++) {
        const float best = scores[chosen[i]];
        float sum = 0;
        for (int e = 0; e < r->n_expert; e++) {
            int is_left = 1;
            for (int before = 0; before < i; before++) is_left &= chosen[before] != e;
            const float size = fabsf(scores[e]) > best ? fabsf(scores[e]) : best;
            if (is_left && !((best - scores[e]) / size > r->most_far)) sum += expf(scores[e] - best);
        }
        weight[i] = 1 / sum;
    }
}

/* Sets a row's experts, and their shares of the softmax over all scores or over the chosen. */
static inline void route_by_scores(const routing *r, const float *scores, int32_t *chosen, float *weight) {
    float sum = 0;
    choose_experts(r, scores, NULL, chosen);
    if (r->gating == GATING_SPARSE) {
        weigh_sparsely(r, scores, chosen, weight);
        return;
    }
    const float most = scores[chosen[0]];
    for (int i = 0; i < r->n_used; i++) weight[i] = expf(scores[chosen[i]] - most);
    if (r->is_normalized || r->gating == GATING_CHOSEN)
        for (int i = 0; i < r->n_used; i++) sum += weight[i];
    else
        for (int e = 0; e < r->n_expert; e++) sum += expf(scores[e] - most);
    for (int i = 0; i < r->n_used; i++) weight[i] /= sum;
}

/* Sets a row's experts and their weights. */
static inline void route_row(const routing *r, const float *scores, const float *bias, int row) {
    int32_t *chosen = r->expert + (size_t)row * (size_t)r->n_used;
    float *weight = r->weight + (size_t)row * (size_t)r->n_used;
    if (r->keys)
        route_by_gates(r, scores, bias, r->keys + (size_t)row * (size_t)(r->n_expert + r->n_parts), chosen, weight);
    else
        route_by_scores(r, scores, chosen, weight);
    for (int i = 0; i < r->n_used; i++) weight[i] *= r->scale;
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
                                int is_by_row, int k, float *y, size_t ldy, int n_digits, void *prepared, int begin,
                                int end) {
    for (int slot = begin; slot < end; slot++) {
        const expert_group *g = &r->groups[r->group[slot]];
        const float *from = x + (size_t)(is_by_row ? r->row[slot] : slot) * ldx;
        const int at = slot - g->first;
        if (y) memcpy(y + (size_t)slot * ldy, from, sizeof *y * (size_t)k);
        /* rows 0 floats apart: whichever the kernel reads is this one */
        if (prepared)
            kernels->prepare(from, 0, k, g->n_rows, n_digits, prepared_group(kernels, g, k, prepared), at, at + 1);
    }
}

/* Items are panels of the first group's matrix, then of the second's ...: all threads share
 * all experts. `a` has the matrices, scales and biases of expert 0; those of the next one
 * are `stride` and `stride2` bytes, one number, and one row, further. */
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
        if (a->scale) args.scale += g->expert;
        if (a->scale2) args.scale2 += g->expert;
        if (a->bias) args.bias += (size_t)g->expert * (size_t)a->w.n;
        if (a->bias2) args.bias2 += (size_t)g->expert * (size_t)a->w.n;
        if (a->x) args.x += (size_t)g->first * a->ldx;
        if (a->prepared) args.prepared = prepared_group(kernels, g, (int)a->w.k, (void *)a->prepared);
        kernels->linear(&args, begin - first, next - first, scratch);
    }
}

#endif
