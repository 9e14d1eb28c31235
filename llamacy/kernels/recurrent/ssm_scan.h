/* The scan of Mamba-2 (Dao & Gu 2024, arXiv:2405.21060), of one head and a block of columns:
 *
 *   S = e^(dt a) S + b (dt x)^T
 *   y = S^T c + d x
 *
 * The S of a row needs nothing but the S before it. So two rows share one pass over S, and numbers
 * are those of two passes.
 */
#ifndef LLAMACY_SSM_SCAN_H
#define LLAMACY_SSM_SCAN_H

#include "recurrent/scan.h"

enum { SCAN_PAIR = 2, SSM_VECTORS = NARROW_SCAN };

/* `rows` rows of the text, from the batch's row `at` on, through one block; e^(dt a) of them. */
INLINE void ssm_pass(int vectors, int rows, const ssm_scan_args *a, int head, scan_block *b, size_t at,
                     const float *decays) {
    const size_t group = (size_t)(head / (a->n_head / a->n_group)) * (size_t)a->key_dim;
    const float *into[SCAN_PAIR], *out_of[SCAN_PAIR];
    vf x[SCAN_PAIR][SSM_VECTORS], y[SCAN_PAIR][SSM_VECTORS], decay[SCAN_PAIR];
    UNROLL for (int r = 0; r < rows; r++) {
        into[r] = a->b + (at + r) * a->ldb + group, out_of[r] = a->c + (at + r) * a->ldc + group;
        decay[r] = f_set1(decays[r]);
        load_columns(vectors, b, a->x + (at + r) * a->ldx + (size_t)head * a->value_dim, x[r]);
        const vf d = f_set1(a->d[head]), dt = f_set1(a->dt[(at + r) * a->ld_dt + head]);
        UNROLL for (int c = 0; c < vectors; c++) y[r][c] = f_mul(d, x[r][c]), x[r][c] = f_mul(dt, x[r][c]);
    }
    for (int i = 0; i < a->key_dim; i++) {
        const float *row = b->from + (size_t)i * b->step;
        float *out = b->to + (size_t)i * b->step;
        UNROLL for (int c = 0; c < vectors; c++) {
            vf s = f_load(row + 16 * c);
            UNROLL for (int r = 0; r < rows; r++) {
                s = f_fma(f_set1(into[r][i]), x[r][c], f_mul(decay[r], s));
                y[r][c] = f_fma(f_set1(out_of[r][i]), s, y[r][c]);
            }
            f_store(out + 16 * c, s);
        }
    }
    b->from = b->to;
    UNROLL for (int r = 0; r < rows; r++)
        store_columns(vectors, b, a->y + (at + r) * a->ldy + (size_t)head * a->value_dim, y[r]);
}

/* The rows of one text through one block. */
INLINE void ssm_rows(int vectors, const ssm_scan_args *a, int head, scan_block *b, const row_span *text) {
    float decays[STRIP_ROWS], steps[STRIP_ROWS];
    for (int t = 0; t < text->n_rows;) {
        const size_t at = (size_t)(text->row + t);
        const int i = t % STRIP_ROWS, rest = text->n_rows - t;
        if (i == 0) {
            const int n = rest < STRIP_ROWS ? rest : STRIP_ROWS;
            for (int r = 0; r < n; r++) steps[r] = a->dt[(at + r) * a->ld_dt + head] * a->a[head];
            exp_some(steps, 1, n, decays);
        }
        const int rows = rest < SCAN_PAIR ? 1 : SCAN_PAIR;
        if (rows == SCAN_PAIR) ssm_pass(vectors, SCAN_PAIR, a, head, b, at, decays + i);
        else ssm_pass(vectors, 1, a, head, b, at, decays + i);
        t += rows;
    }
}

typedef void ssm_kernel(const ssm_scan_args *a, int head, scan_block *b, const row_span *text);

#define SSM(vectors)                                                                                  \
    static void ssm_##vectors(const ssm_scan_args *a, int head, scan_block *b, const row_span *text) { \
        ssm_rows(vectors, a, head, b, text);                                                          \
    }
SSM(1)
#if ROWS_MAX >= 16
SSM(4)
static ssm_kernel *const SSM_KERNELS[SSM_VECTORS + 1] = {[1] = ssm_1, [4] = ssm_4};
#else
static ssm_kernel *const SSM_KERNELS[SSM_VECTORS + 1] = {[1] = ssm_1};
#endif

static int ssm_blocks(int value_dim) { return scan_blocks(value_dim, SSM_VECTORS); }

/* Items are blocks of all heads, head by head. */
static void ssm_scan(const ssm_scan_args *a, const row_span *spans, int n_spans, int begin, int end, void *scratch) {
    const int vectors = scan_vectors(a->value_dim, SSM_VECTORS), n_blocks = ssm_blocks(a->value_dim);
    const size_t matrix = (size_t)a->key_dim * (size_t)a->value_dim;
    for (int item = begin; item < end; item++) {
        const size_t head = (size_t)(item / n_blocks);
        for (int i = 0; i < n_spans; i++) {
            const float *before = (const float *)(spans[i].before + a->offset) + head * matrix;
            float *after = (float *)(spans[i].after + a->offset) + head * matrix;
            scan_block b = open_block(vectors, before, after, a->key_dim, a->value_dim, item % n_blocks, scratch);
            SSM_KERNELS[vectors](a, (int)head, &b, &spans[i]);
            close_block(&b, after, a->key_dim, a->value_dim);
        }
    }
}

#endif
