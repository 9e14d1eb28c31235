/* Attention of bands of queries over the pages of one KV head, flash-style.
 *
 *   y[r] = sum over t of softmax over t of (scale * q[r] . k[t]) * v[t]
 *
 * over the tokens that r sees: those up to its own, or of these the last ones, a window. The
 * scores may be capped softly before (Bello et al. 2016, arXiv:1611.09940). A head may have a
 * sink: one more score in each softmax, whose value is 0 (Xiao et al. 2023, arXiv:2309.17453).
 *
 * (Dao et al. 2022, arXiv:2205.14135; Milakov & Gimelshein 2018, arXiv:1805.02867.)
 * A tile is the queries of all heads that share the KV head, for one or more consecutive
 * tokens, so that each key and value is read once for all of them. A band is tiles that
 * follow one another in one sequence. Keys and values go by a span of a few pages at a time,
 * which all tiles of the band meet; each query keeps a running maximum and sum.
 */
#ifndef LLAMACY_ATTENTION_H
#define LLAMACY_ATTENTION_H

#include "attention/query_tile.h"

/* As many as make it cheap to unpack a span, few enough that all stay in the L2 cache. */
enum { BAND_TILES = 8 };

typedef struct {
    int head, n_tiles;
    query_tile tiles[BAND_TILES]; /* their positions ascend */
} query_band;

/* Weights of a tile, queries and outputs of all, and a span unpacked. */
static size_t attention_scratch_bytes(int head_dim) {
    const size_t floats = TILE_ROWS * SPAN_TOKENS + BAND_TILES * 2 * tile_floats(head_dim);
    return sizeof(float) * floats + span_tiles_bytes(head_dim);
}

/* Whether a run may follow those of a band of that KV head. */
INLINE int continues(const query_band *band, int head, const row_run *run) {
    if (!band->n_tiles) return 1;
    const row_run *last = band->tiles[band->n_tiles - 1].run;
    return band->head == head && last->pages == run->pages && last->position <= run->position &&
           band->n_tiles < BAND_TILES;
}

/* The pages of n tokens from position `first` on, and what is wanted of those a span later. */
INLINE void find_pages(const attention_args *a, const query_band *band, int first, int n, int n_tokens,
                       kv_head *pages) {
    uint8_t *const *table = band->tiles[0].run->pages;
    for (int t = 0; t < n; t += PAGE_TOKENS) {
        kv_head *page = &pages[t / PAGE_TOKENS];
        const int soon = first + t + SPAN_TOKENS;
        *page = page_head(a->kv, table[(first + t) / PAGE_TOKENS], a->offset, band->head);
        if (soon < n_tokens) page->soon = page_head(a->kv, table[soon / PAGE_TOKENS], a->offset, band->head).keys;
    }
}

/* Whether no span is unpacked for a band. */
INLINE int is_alone(const query_band *band) {
    return MEETS_ALONE && band->n_tiles == 1 && count_queries(&band->tiles[0]) == 1;
}

/* One tile and what it sees of the tokens first .. end - 1, a span as it is or unpacked.
 * Pages that no row of it sees are left out. */
INLINE void attend_tile(const attention_args *a, query_tile *tile, int first, int end, const kv_head *pages,
                        const span_tiles *unpacked, int alone) {
    const int d = a->kv->head_dim, n_queries = count_queries(tile), after = end_of(tile->run);
    const int hidden = first_page(a, tile->run->position), begin = first > hidden ? first : hidden;
    const int n = (end < after ? end : after) - begin, page = (begin - first) / PAGE_TOKENS;
    if (n <= 0) return;
    const sight see = look(a, tile, begin, n);
    if (rounds(a) && alone) attend_alone(a->kv->type, &tile->state, pages + page, unpacked, d, n, &see);
    else if (rounds(a)) choose_tiles_kernel(n_queries)(&tile->state, n_queries, unpacked, page, d, n, &see);
    else choose_span_kernel(a->kv->type, n_queries)(&tile->state, n_queries, pages + page, d, n, &see);
}

/* Spans begin at multiples of their length, wherever a window does, so that a row's sums are
 * the same whatever the rows beside it. */
static void attend_band(const attention_args *a, query_band *band, const query_rows *rows, float *scratch) {
    const int d = a->kv->head_dim, n_tokens = end_of(band->tiles[band->n_tiles - 1].run);
    float *weights = scratch, *memory = weights + TILE_ROWS * SPAN_TOKENS;
    const span_tiles unpacked = place_span_tiles(memory + BAND_TILES * 2 * tile_floats(d), d);
    kv_head pages[SPAN_PAGES];
    for (int i = 0; i < band->n_tiles; i++)
        begin_tile(a, rows, &band->tiles[i], weights, memory + (size_t)i * 2 * tile_floats(d));
    for (int first = first_page(a, band->tiles[0].run->position), end; first < n_tokens; first = end) {
        end = (first / SPAN_TOKENS + 1) * SPAN_TOKENS;
        const int n = (end < n_tokens ? end : n_tokens) - first;
        find_pages(a, band, first, n, n_tokens, pages);
        if (rounds(a) && !is_alone(band)) unpack_span(a->kv->type, pages, d, n, &unpacked);
        for (int i = 0; i < band->n_tiles; i++)
            attend_tile(a, &band->tiles[i], first, end, pages, &unpacked, is_alone(band));
    }
    for (int i = 0; i < band->n_tiles; i++) finish_queries(a, rows, &band->tiles[i]);
    band->n_tiles = 0;
}

#endif
