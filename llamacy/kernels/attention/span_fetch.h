/* The next span, prefetched while strips meet this one: a line of each of its pages in turn.
 *
 * CPUs with matrix registers read several streams faster than one, and their own prefetchers stop at
 * the end of 4 KiB. A strip's products and exponentials take less time than its keys and values take
 * from memory, so that memory must never wait: each step of either prefetches its share.
 */
#ifndef LLAMACY_SPAN_FETCH_H
#define LLAMACY_SPAN_FETCH_H

#include "attention/span.h"

typedef struct {
    const uint8_t *next[SPAN_PAGES]; /* of each page */
    int n_lines;                     /* of each page, that are left */
    int share;                       /* of them, that a step takes */
} span_fetch;

/* `bytes` of each of the pages to come, from byte `from` on, in n_steps. */
INLINE span_fetch begin_fetch(const kv_span *span, size_t from, size_t bytes, int n_steps) {
    span_fetch f = {.n_lines = (int)(bytes / 64)};
    f.share = (f.n_lines + n_steps - 1) / n_steps;
    for (int page = 0; page < SPAN_PAGES; page++)
        f.next[page] = span->pages[page < span->n_pages ? page : 0].soon + from;
    return f;
}

/* Nothing. */
INLINE span_fetch no_fetch(void) { return (span_fetch){.n_lines = 0}; }

INLINE void fetch_steps(span_fetch *f, int n_steps) {
    for (int i = f->share * n_steps; i > 0 && f->n_lines > 0; i--, f->n_lines--)
        UNROLL for (int page = 0; page < SPAN_PAGES; page++) {
            PREFETCH_L2(f->next[page]);
            f->next[page] += 64;
        }
}

#endif
