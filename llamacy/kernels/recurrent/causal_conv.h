/* A depthwise convolution, over rows that go on from the inputs that states keep.
 *
 *            channels                 a chunk of channels is an item: all rows of its texts
 *          +---------+-----
 *   kept   |  chunk  |                a row is the sum of n_columns + 1 inputs, the oldest first,
 *          +---------+-----           each times weights of its own; rows beside each other share
 *   rows   |         |                the weights, and most of their inputs, while they are near
 *          |         |
 *
 * Results do not turn on where a text is cut: sums are in this order for any number of rows. A text
 * of which rows see inputs after them is whole, and 0 is around it: its states are not read.
 */
#ifndef LLAMACY_CAUSAL_CONV_H
#define LLAMACY_CAUSAL_CONV_H

#include "interface.h"
#include "rows/vector_math.h"

/* Rows of one pass over the weights. Chosen on a core of a Zen 4 EPYC with 6,144 channels: 8 rows
 * take longer, whose lines fall on one set of the L1 cache. */
#if ROWS_MAX >= 4
enum { CONV_ROWS = 4 };
#else
enum { CONV_ROWS = 1 };
#endif

/* Channels `first` to `first + n` of one text's rows. */
typedef struct {
    const conv_args *args;
    const row_span *text;
    int first, n;
    const float *x; /* the batch */
    size_t ldx;
    float *y;
    size_t ldy;
} conv_chunk;

/* The chunk's channels of the text's row `row`; one below 0 is among those that its states keep. */
INLINE const float *conv_input(const conv_chunk *c, int row) {
    if (row >= 0) return c->x + (size_t)(c->text->row + row) * c->ldx + c->first;
    const float *kept = (const float *)(c->text->before + c->args->offset);
    return kept + (size_t)(c->args->n_columns + row) * (size_t)c->args->n_channels + c->first;
}

/* The first row that a row sees, which may be before the text. */
INLINE int conv_first(const conv_args *a, int row) { return row + a->n_after - a->n_columns; }

/* Whether the inputs that several rows from `row` on see are all among the text's rows. */
INLINE int conv_is_inside(const conv_chunk *c, int row) {
    return conv_first(c->args, row) >= 0 && row + CONV_ROWS + c->args->n_after <= c->text->n_rows;
}

/* Whether an input of a sum is there: all are but those around a text that is whole. */
INLINE int conv_is_there(const conv_chunk *c, int row) {
    return !c->args->n_after || (row >= 0 && row < c->text->n_rows);
}

/* `rows` rows of the text, from `row` on; if there are several, they are inside. */
INLINE void conv_rows(int rows, const conv_chunk *c, int row) {
    const conv_args *a = c->args;
    const int before = conv_first(a, row);
    const float *weight = a->weight + c->first, *bias = a->bias ? a->bias + c->first : NULL;
    const size_t n_channels = (size_t)a->n_channels;
    const float *inputs = rows > 1 ? conv_input(c, before) : NULL;
    float *out = c->y + (size_t)(c->text->row + row) * c->ldy + c->first;
    for (int i = 0; i + 16 <= c->n; i += 16) {
        vf sums[CONV_ROWS];
        UNROLL for (int r = 0; r < rows; r++) sums[r] = bias ? f_load(bias + i) : f_zero();
        for (int j = 0; j <= a->n_columns; j++) {
            if (rows == 1 && !conv_is_there(c, before + j)) continue;
            const vf w = f_load(weight + (size_t)j * n_channels + i);
            const float *x = rows > 1 ? inputs + (size_t)j * c->ldx : conv_input(c, before + j);
            UNROLL for (int r = 0; r < rows; r++) sums[r] = f_fma(w, f_load(x + (size_t)r * c->ldx + i), sums[r]);
        }
        UNROLL for (int r = 0; r < rows; r++)
            f_store(out + (size_t)r * c->ldy + i, a->then_silu ? f_silu(sums[r]) : sums[r]);
    }
}

/* The channels of a row that fill no vector. */
INLINE void conv_rest(const conv_chunk *c, int row) {
    const conv_args *a = c->args;
    const int whole = c->n / 16 * 16, before = conv_first(a, row);
    float sums[16] = {0};
    for (int i = whole; i < c->n; i++) {
        float total = a->bias ? a->bias[c->first + i] : 0.0f;
        for (int j = 0; j <= a->n_columns; j++)
            if (conv_is_there(c, before + j))
                total += a->weight[(size_t)j * (size_t)a->n_channels + (size_t)(c->first + i)] *
                         conv_input(c, before + j)[i];
        sums[i - whole] = total;
    }
    if (a->then_silu) f_store(sums, f_silu(f_load(sums)));
    memcpy(c->y + (size_t)(c->text->row + row) * c->ldy + c->first + whole, sums,
           sizeof(float) * (size_t)(c->n - whole));
}

/* Leave the text's last inputs; where memory is the same, those kept move up. */
INLINE void keep_columns(const conv_chunk *c) {
    const conv_args *a = c->args;
    float *kept = (float *)(c->text->after + a->offset) + c->first;
    for (int column = 0; column < a->n_columns; column++)
        memmove(kept + (size_t)column * (size_t)a->n_channels,
                conv_input(c, c->text->n_rows - a->n_columns + column), sizeof(float) * (size_t)c->n);
}

/* Items are chunks of channels. */
static void causal_conv(const conv_args *a, const row_span *spans, int n_spans, const float *x, size_t ldx, float *y,
                        size_t ldy, int begin, int end) {
    for (int item = begin; item < end; item++) {
        const int first = item * CONV_CHANNELS, rest = a->n_channels - first;
        for (int i = 0; i < n_spans; i++) {
            const conv_chunk c = {a, &spans[i], first, rest < CONV_CHANNELS ? rest : CONV_CHANNELS, x, ldx, y, ldy};
            for (int row = 0, rows; row < spans[i].n_rows; row += rows) {
                rows = conv_is_inside(&c, row) ? CONV_ROWS : 1;
                if (rows == 1) conv_rows(1, &c, row);
                else conv_rows(CONV_ROWS, &c, row);
            }
            if (c.n % 16)
                for (int row = 0; row < spans[i].n_rows; row++) conv_rest(&c, row);
            if (!a->n_after) keep_columns(&c);
        }
    }
}

#endif
