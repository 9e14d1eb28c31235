/* The gated delta rule (Yang et al. 2024, arXiv:2412.06464), of one head and a block of columns:
 *
 *   S = e^decay S                   decay: of the head, or of each row of S (arXiv:2510.26692)
 *   d = beta (v - S^T k)            what S does not say yet
 *   S = S + k d^T
 *   y = S^T q
 *
 * Both products are known before d is: with S' for S before all this, S^T k = e^decay S'^T k, and
 * y = e^decay S'^T q + (k . q) d. So one pass over S does for a row what its predecessor left to
 * do, the decay and k d^T, and then both products: four operations a number, a load and a store.
 * Chunks of 64 rows (the WY form) take four as well, and their sums would turn on where a chunk
 * begins.
 */
#ifndef LLAMACY_DELTA_RULE_H
#define LLAMACY_DELTA_RULE_H

#include "recurrent/scan.h"

/* A row of the text, as passes over S need it. */
typedef struct {
    const float *k, *q;                 /* [key_dim] */
    const float *decayed_k, *decayed_q; /* [key_dim]: times e^decay, if that is of each row of S */
    const float *row_decays;            /* [key_dim]: e^decay of each row of S, or NULL */
    float decay;                        /* e^decay of the head, or 1 */
    vf d[WIDEST_SCAN];
} delta_row;

/* S = e^decay S + k d^T of the row `last`, then found = S^T k and seen = S^T q of the row `next`. */
INLINE void pass_over(int vectors, int by_row, int adds, int reads, scan_block *b, int key_dim,
                      const delta_row *last, const delta_row *next, vf *found, vf *seen) {
    vf d[WIDEST_SCAN], k_sums[WIDEST_SCAN], q_sums[WIDEST_SCAN], decay = f_zero();
    if (adds && !by_row) decay = f_set1(last->decay);
    UNROLL for (int c = 0; c < vectors; c++) {
        if (adds) d[c] = last->d[c];
        k_sums[c] = q_sums[c] = f_zero();
    }
    for (int i = 0; i < key_dim; i++) {
        const float *row = b->from + (size_t)i * b->step;
        float *out = b->to + (size_t)i * b->step;
        if (adds && by_row) decay = f_set1(last->row_decays[i]);
        UNROLL for (int c = 0; c < vectors; c++) {
            vf s = f_load(row + 16 * c);
            if (adds) {
                s = f_fma(f_set1(last->k[i]), d[c], f_mul(decay, s));
                f_store(out + 16 * c, s);
            }
            if (reads) {
                k_sums[c] = f_fma(f_set1(next->decayed_k[i]), s, k_sums[c]);
                q_sums[c] = f_fma(f_set1(next->decayed_q[i]), s, q_sums[c]);
            }
        }
    }
    if (adds) b->from = b->to;
    if (reads) UNROLL for (int c = 0; c < vectors; c++) found[c] = k_sums[c], seen[c] = q_sums[c];
}

/* The batch's row `at`, but for its d; `spare` has room for three rows of keys, in whole vectors. */
INLINE delta_row delta_row_at(int by_row, const delta_rule_args *a, int head, size_t at, float decay, float *spare) {
    const int n = a->key_dim, width = padded_dim(n);
    const int key_head = a->repeats_key_heads ? head % a->n_key_head : head / (a->n_head / a->n_key_head);
    delta_row row;
    row.k = row.decayed_k = a->k + at * a->ldk + (size_t)key_head * n;
    row.q = row.decayed_q = a->q + at * a->ldq + (size_t)key_head * n;
    row.row_decays = NULL;
    row.decay = by_row ? 1.0f : decay;
    if (!by_row) return row;
    const float *decays = a->decay + at * a->ld_decay + (size_t)head * n;
    for (int i = 0; i < n; i += 16) exp_some(decays + i, 1, n - i < 16 ? n - i : 16, spare + i);
    for (int i = 0; i < n; i++) {
        spare[width + i] = spare[i] * row.k[i];
        spare[2 * width + i] = spare[i] * row.q[i];
    }
    row.row_decays = spare, row.decayed_k = spare + width, row.decayed_q = spare + 2 * width;
    return row;
}

/* k . q */
INLINE float delta_dot(const float *k, const float *q, int n) {
    vf products = f_zero();
    int i = 0;
    for (; i + 16 <= n; i += 16) products = f_fma(f_load(k + i), f_load(q + i), products);
    float sum = f_sum(products);
    for (; i < n; i++) sum += k[i] * q[i];
    return sum;
}

/* The rows of one text through one block. */
INLINE void delta_rows(int vectors, int by_row, const delta_rule_args *a, int head, scan_block *b,
                       const row_span *text, float *spare) {
    const int n = a->key_dim;
    float *spares[2] = {spare, spare + 3 * padded_dim(n)}, decays[STRIP_ROWS];
    vf found[WIDEST_SCAN], seen[WIDEST_SCAN], v[WIDEST_SCAN], y[WIDEST_SCAN];
    delta_row last = {0}, row;
    for (int t = 0; t < text->n_rows; t++) {
        const size_t at = (size_t)(text->row + t);
        const int rest = text->n_rows - t;
        if (!by_row && t % STRIP_ROWS == 0)
            exp_some(a->decay + at * a->ld_decay + head, a->ld_decay, rest < STRIP_ROWS ? rest : STRIP_ROWS, decays);
        row = delta_row_at(by_row, a, head, at, decays[t % STRIP_ROWS], spares[t % 2]);
        if (t == 0) pass_over(vectors, by_row, 0, 1, b, n, &last, &row, found, seen);
        else pass_over(vectors, by_row, 1, 1, b, n, &last, &row, found, seen);
        const vf decay = f_set1(row.decay), beta = f_set1(a->beta[at * a->ld_beta + head]);
        const vf both = f_set1(delta_dot(row.k, row.q, n));
        load_columns(vectors, b, a->v + at * a->ldv + (size_t)head * a->value_dim, v);
        UNROLL for (int c = 0; c < vectors; c++) {
            row.d[c] = f_mul(beta, f_fnma(decay, found[c], v[c]));
            y[c] = f_fma(both, row.d[c], f_mul(decay, seen[c]));
        }
        store_columns(vectors, b, a->y + at * a->ldy + (size_t)head * a->value_dim, y);
        last = row;
    }
    pass_over(vectors, by_row, 1, 0, b, n, &last, &last, found, seen);
}

typedef void delta_kernel(const delta_rule_args *a, int head, scan_block *b, const row_span *text, float *spare);

#define DELTA(vectors)                                                                            \
    static void delta_##vectors(const delta_rule_args *a, int head, scan_block *b,                \
                                const row_span *text, float *spare) {                              \
        if (a->decays_rows) delta_rows(vectors, 1, a, head, b, text, spare);                      \
        else delta_rows(vectors, 0, a, head, b, text, spare);                                     \
    }
DELTA(1)
#if ROWS_MAX >= 16
DELTA(4) DELTA(8)
static delta_kernel *const DELTA_KERNELS[WIDEST_SCAN + 1] = {[1] = delta_1, [4] = delta_4, [8] = delta_8};
#elif ROWS_MAX >= 4
DELTA(2)
static delta_kernel *const DELTA_KERNELS[WIDEST_SCAN + 1] = {[1] = delta_1, [2] = delta_2};
#else
static delta_kernel *const DELTA_KERNELS[WIDEST_SCAN + 1] = {[1] = delta_1};
#endif

static int delta_blocks(int value_dim) { return scan_blocks(value_dim, WIDEST_SCAN); }

/* Items are blocks of all heads, head by head. */
static void delta_rule(const delta_rule_args *a, const row_span *spans, int n_spans, int begin, int end,
                       void *scratch) {
    const int vectors = scan_vectors(a->value_dim, WIDEST_SCAN), n_blocks = delta_blocks(a->value_dim);
    const size_t matrix = (size_t)a->key_dim * (size_t)a->value_dim;
    float *spare = (float *)scratch + 16 * a->key_dim;
    for (int item = begin; item < end; item++) {
        const size_t head = (size_t)(item / n_blocks);
        for (int i = 0; i < n_spans; i++) {
            const float *before = (const float *)(spans[i].before + a->offset) + head * matrix;
            float *after = (float *)(spans[i].after + a->offset) + head * matrix;
            scan_block b = open_block(vectors, before, after, a->key_dim, a->value_dim, item % n_blocks, scratch);
            DELTA_KERNELS[vectors](a, (int)head, &b, &spans[i], spare);
            close_block(&b, after, a->key_dim, a->value_dim);
        }
    }
}

#endif
