/* Values of a span in bfloat16 that may be NaN or infinite: a weight of 0 makes NaN of them. */
#ifndef LLAMACY_NONFINITE_VALUES_H
#define LLAMACY_NONFINITE_VALUES_H

#include "attention/bf16_span.h"

/* Whether a weight of 0 makes 0 of every value in n_pages from page `first` on. */
INLINE int values_are_finite(const bf16_span *t, int first, int n_pages) {
    float squares = 0;
    for (int page = 0; page < n_pages; page++) squares += t->squares[first + page];
    return squares < INFINITY;
}

/* Two vectors of values, from c on, with 0 for the tokens that a query does not see. */
static void copy_seen(uint16_t to[2][SPAN_PAGES][TILE_BYTES / 2], const bf16_span *t, int c, int first, int n_pages,
                      int hidden, int visible) {
    for (int v = 0; v < 2; v++) {
        memcpy(to[v], value_tiles(t, c + v, first), (size_t)n_pages * TILE_BYTES);
        for (int token = 0; token < n_pages * PAGE_TOKENS; token++) {
            if (hidden <= token && token < visible) continue;
            uint16_t *pair = to[v][token / PAGE_TOKENS] + token % PAGE_TOKENS / 2 * 32 + token % 2;
            for (int i = 0; i < 16; i++) pair[2 * i] = 0;
        }
    }
}

/* Values that may be NaN or infinite: each query meets those that it sees, and no others, since
 * 0 times such a value is NaN. The sums of products with finite values are as of all queries at once. */
static void weigh_apart(attention_state *s, int n_queries, const bf16_span *t, const uint8_t *weights, int first,
                        head_dims d, int n_pages, const sight *see, vector_range some) {
    const int width = wide_dim(d.value);
    uint16_t seen[2][SPAN_PAGES][TILE_BYTES / 2];
    float sums[STRIP_ROWS][32];
    for (int r = 0; r < n_queries; r++)
        for (int c = some.begin; c < some.end; c += 2) {
            float *out = s->out + r * width + 16 * c;
            memset(sums, 0, sizeof sums);
            memcpy(sums[r], out, sizeof sums[r]);
            copy_seen(seen, t, c, first, n_pages, see ? see->hidden[r] : 0,
                      see ? see->visible[r] : n_pages * PAGE_TOKENS);
            b_products(STRIP_ROWS, weights, (const uint8_t *)seen, sizeof seen[0], n_pages, sums[0], 32, 1);
            memcpy(out, sums[r], sizeof sums[r]);
        }
}

#endif
