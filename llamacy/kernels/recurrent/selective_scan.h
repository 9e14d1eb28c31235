/* The selective scan of Mamba (Gu & Dao 2023, arXiv:2312.00752), of a block of channels, which are
 * columns of S:
 *
 *   S = e^(a dt) S + b (dt x)^T        a like S, dt and x like a row of it
 *   y = S^T c + d x
 *
 * Every number of S has a decay of its own: its exponential is most of the work. So a block has one
 * vector, whose part of S stays in the L1 cache, and no two rows share a pass.
 */
#ifndef LLAMACY_SELECTIVE_SCAN_H
#define LLAMACY_SELECTIVE_SCAN_H

#include "recurrent/scan.h"

static int selective_blocks(int value_dim) { return scan_blocks(value_dim, 1); }

/* The rows of one text through one block. */
static void selective_rows(const selective_scan_args *a, int head, scan_block *s, const row_span *text) {
    const size_t first = (size_t)head * (size_t)a->value_dim, width = (size_t)scan_blocks(a->value_dim, 1) * 16;
    const float *rates = a->a + (size_t)head * (size_t)a->key_dim * width + s->first;
    vf x, dt, d;
    load_columns(1, s, a->d + first, &d);
    for (int t = 0; t < text->n_rows; t++) {
        const size_t at = (size_t)(text->row + t);
        const float *into = a->b + at * a->ldb, *out_of = a->c + at * a->ldc;
        load_columns(1, s, a->x + at * a->ldx + first, &x);
        load_columns(1, s, a->dt + at * a->ld_dt + first, &dt);
        const vf added = f_mul(dt, x);
        vf y = f_mul(d, x);
        for (int k = 0; k < a->key_dim; k++) {
            const vf decay = f_exp(f_mul(dt, f_load(rates + (size_t)k * width)));
            const vf old = f_load(s->from + (size_t)k * s->step);
            const vf new = f_fma(f_set1(into[k]), added, f_mul(decay, old));
            y = f_fma(f_set1(out_of[k]), new, y);
            f_store(s->to + (size_t)k * s->step, new);
        }
        s->from = s->to;
        store_columns(1, s, a->y + at * a->ldy + first, &y);
    }
}

/* Items are blocks of all heads, head by head. */
static void selective_scan(const selective_scan_args *a, const row_span *spans, int n_spans, int begin, int end,
                           void *scratch) {
    const int n_blocks = selective_blocks(a->value_dim);
    const size_t matrix = (size_t)a->key_dim * (size_t)a->value_dim;
    for (int item = begin; item < end; item++) {
        const int head = item / n_blocks, block = item % n_blocks;
        for (int i = 0; i < n_spans; i++) {
            const float *before = (const float *)(spans[i].before + a->offset) + (size_t)head * matrix;
            float *after = (float *)(spans[i].after + a->offset) + (size_t)head * matrix;
            scan_block s = open_block(1, before, after, a->key_dim, a->value_dim, block, scratch);
            selective_rows(a, head, &s, &spans[i]);
            close_block(&s, after, a->key_dim, a->value_dim);
        }
    }
}

#endif
