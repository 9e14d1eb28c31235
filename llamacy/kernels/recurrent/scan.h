/* A scan: for each head a recurrent layer keeps a matrix S (key_dim, value_dim) of a text, which
 * every row of the text decays and adds to.
 *
 * Columns of S never meet. So a block of them is an item of work: it comes into the caches once,
 * and all rows of a pass go through it there.
 *
 *          value_dim
 *        +------+------+--
 *        | block|      |       one row of the text:  S = decay S + x y^T,  z = S^T w
 *  key_  | L1,  |      |
 *  dim   | L2   |      |       sums over key_dim: in this order, each lane by itself
 *        +------+------+--
 *
 * The result of a row depends on the rows of its text before it, and neither on other texts nor
 * on where passes begin: not by a bit.
 */
#ifndef LLAMACY_SCAN_H
#define LLAMACY_SCAN_H

#include "interface.h"
#include "rows/vector_math.h"

/* Vectors of a block, side by side in memory: as many as a level has registers for, beside their
 * sums. A matrix that they do not divide has narrower blocks, of NARROW_SCAN vectors or of one.
 * Chosen on two cores of a Zen 4 EPYC, with matrices of 128 x 128, in the caches and out of them. */
#if ROWS_MAX >= 16
enum { WIDEST_SCAN = 8, NARROW_SCAN = 4 };
#elif ROWS_MAX >= 4
enum { WIDEST_SCAN = 2, NARROW_SCAN = 1 };
#else
enum { WIDEST_SCAN = 1, NARROW_SCAN = 1 };
#endif

/* Vectors of a matrix's blocks, `most` or fewer. */
static int scan_vectors(int value_dim, int most) {
    if (value_dim % (16 * most) == 0) return most;
    return most > NARROW_SCAN && value_dim % (16 * NARROW_SCAN) == 0 ? NARROW_SCAN : 1;
}

/* Blocks of a matrix. The last of a row that is no whole vectors is computed on a copy. */
static int scan_blocks(int value_dim, int most) {
    const int columns = 16 * scan_vectors(value_dim, most);
    return (value_dim + columns - 1) / columns;
}

/* A block of a matrix, (key_dim, 16 * vectors), rows `step` floats apart. */
typedef struct {
    const float *from; /* before the next row of the text ... */
    float *to;         /* ... and out, after it; may be the same memory */
    size_t step;
    int first;         /* column of the matrix */
    int n_columns;     /* of the matrix; those of a copy beyond them are 0 */
    int is_copy;
} scan_block;

/* Block number i, `vectors` wide, of a matrix that is somewhere before and after the rows to
 * come; a copy has room in `spare`, (key_dim, 16). */
static scan_block open_block(int vectors, const float *before, float *after, int key_dim, int value_dim, int i,
                             float *spare) {
    const int columns = 16 * vectors, first = i * columns, rest = value_dim - first;
    if (rest >= columns) return (scan_block){before + first, after + first, (size_t)value_dim, first, columns, 0};
    for (int k = 0; k < key_dim; k++)
        for (int c = 0; c < 16; c++) spare[k * 16 + c] = c < rest ? before[(size_t)k * value_dim + first + c] : 0.0f;
    return (scan_block){spare, spare, 16, first, rest, 1};
}

static void close_block(const scan_block *b, float *after, int key_dim, int value_dim) {
    if (!b->is_copy) return;
    for (int k = 0; k < key_dim; k++)
        memcpy(after + (size_t)k * value_dim + b->first, b->to + k * 16, sizeof(float) * (size_t)b->n_columns);
}

/* The block's columns of a head's row at p; 0 beyond them, in a copy, which has one vector. */
INLINE void load_columns(int vectors, const scan_block *b, const float *p, vf *to) {
    if (vectors == 1 && b->is_copy) {
        float padded[16] = {0};
        memcpy(padded, p + b->first, sizeof(float) * (size_t)b->n_columns);
        to[0] = f_load(padded);
    } else {
        UNROLL for (int c = 0; c < vectors; c++) to[c] = f_load(p + b->first + 16 * c);
    }
}

INLINE void store_columns(int vectors, const scan_block *b, float *p, const vf *from) {
    if (vectors == 1 && b->is_copy) {
        float padded[16];
        f_store(padded, from[0]);
        memcpy(p + b->first, padded, sizeof(float) * (size_t)b->n_columns);
    } else {
        UNROLL for (int c = 0; c < vectors; c++) f_store(p + b->first + 16 * c, from[c]);
    }
}

/* y[i] = e^x[i * step] of n numbers, 1 to 16; all 16 may be written. */
INLINE void exp_some(const float *x, size_t step, int n, float *y) {
    float some[16] = {0};
    for (int i = 0; i < n; i++) some[i] = x[(size_t)i * step];
    f_store(y, f_exp(f_load(some)));
}

/* Bytes of scratch that a scan of matrices with that many rows takes. */
static size_t scan_scratch_bytes(int key_dim) { return sizeof(float) * (16 + 6) * (size_t)padded_dim(key_dim); }

#endif
