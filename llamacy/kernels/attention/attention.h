/* Attention of bands of queries over the pages of one KV head, flash-style.
 *
 *   y[r] = sum over t of softmax over t of (scale * q[r] . k[t]) * v[t]
 *
 * over the tokens that r sees: all up to its own, or the last ones of these, a window; in an
 * encoder all of its text, or a window around it. Scores may be soft-capped first (Bello et al.
 * 2016, arXiv:1611.09940), and may fall with the distance (Press et al. 2022, arXiv:2108.12409).
 * A head may have a sink: one more score in each softmax, whose value is 0 (Xiao et al. 2023,
 * arXiv:2309.17453).
 *
 * (Dao et al. 2022, arXiv:2205.14135; Milakov & Gimelshein 2018, arXiv:1805.02867.)
 * A strip is the queries of all heads that share the KV head, of one or more consecutive
 * tokens, so that each key and value is read once for all of them. A band is strips that
 * follow one another in one sequence. Keys and values are read a span of a few pages at a
 * time, which all strips of the band meet; each query keeps a sum, and a running maximum or a
 * score that stands in for it (softmax_tiles.h).
 */
#ifndef LLAMACY_ATTENTION_H
#define LLAMACY_ATTENTION_H

#include "attention/attend_f32.h"
#include "attention/latent_values.h"
#include "attention/query_strip.h"
#ifdef HAS_TILES
#include "attention/attend_tiles.h"
#elif defined(HAS_BF16)
#include "attention/attend_bf16.h"
#endif
#ifdef HAS_BF16
enum { READS_BF16_PAGES = 1 };
#else
enum { READS_BF16_PAGES = 0 };
#endif

typedef struct {
    int head, n_strips;
    query_strip strips[BAND_STRIPS]; /* their positions ascend */
} query_band;

/* Bfloat16 where rounding is allowed and the cache has rounded too, if the level has it. */
INLINE const attention_path *choose_path(const attention_args *a) {
#ifdef HAS_BF16
    if (a->kv->type == KV_BF16 || (a->may_round && a->kv->type != KV_F32)) return &BF16_PATH;
#endif
    (void)a;
    return &F32_PATH;
}

/* Scratch of either path: weights of a strip, queries and outputs of all, a span unpacked, and
 * latent values. */
static size_t attention_scratch_bytes(int head_dim, int latent_dim) {
    const head_dims widest = {head_dim, head_dim, 0};
    size_t span_bytes = F32_PATH.span_bytes(widest);
#ifdef HAS_BF16
    span_bytes += BF16_PATH.span_bytes(widest);
#endif
    if (latent_dim) span_bytes += latent_bytes(latent_dim);
    return sizeof(float) * (STRIP_ROWS * SPAN_TOKENS + BAND_STRIPS * strip_floats(widest)) + span_bytes;
}

/* Whether a run may follow the runs of a band of that KV head. */
INLINE int continues(const query_band *band, int head, const row_run *run) {
    if (!band->n_strips) return 1;
    const row_run *last = band->strips[band->n_strips - 1].run;
    return band->head == head && last->pages == run->pages && last->position <= run->position &&
           band->n_strips < BAND_STRIPS;
}

/* Find the pages of n tokens from position `first` on, and the pages to prefetch: a span later, or
 * after the last span the first ones of the next head. */
INLINE void find_pages(const attention_args *a, const query_band *band, int first, int n, int n_tokens,
                       kv_span *span) {
    uint8_t *const *table = band->strips[0].run->pages;
    const int begin = first_page(a, band->strips[0].run->position), next = band->head + 1;
    const int is_last = n_tokens <= first / SPAN_TOKENS * SPAN_TOKENS + SPAN_TOKENS && next < a->kv->n_head_kv;
    span->n_pages = count_pages(n);
    for (int t = 0; t < n; t += PAGE_TOKENS) {
        kv_head *page = &span->pages[t / PAGE_TOKENS];
        const int soon = first + t + SPAN_TOKENS;
        *page = page_head(a->kv, table[(first + t) / PAGE_TOKENS], a->offset, band->head);
        if (soon < n_tokens)
            page->soon = page_head(a->kv, table[soon / PAGE_TOKENS], a->offset, band->head).keys;
        else if (is_last && begin + t < n_tokens)
            page->soon = page_head(a->kv, table[(begin + t) / PAGE_TOKENS], a->offset, next).keys;
    }
}

/* One strip meets what it sees of the span of tokens first .. end - 1. Pages that no row of it
 * sees are left out. */
INLINE void attend_strip(const attention_args *a, const attention_path *path, query_strip *strip, int first, int end,
                         const kv_span *span) {
    const int after = end_of(a, strip->run), hidden = first_page(a, strip->run->position);
    const int begin = first > hidden ? first : hidden, n = (end < after ? end : after) - begin;
    const int page = (begin - first) / PAGE_TOKENS, n_queries = count_queries(strip);
    if (n <= 0) return;
    const sight see = look(a, strip, begin, n);
    path->score(span, page, n, &strip->state, n_queries);
    path->soften(span, n, &strip->state, n_queries, &see);
    path->weigh(span, page, n, &strip->state, n_queries, &see, all_vectors(span->d));
}

/* All strips do. */
INLINE void attend_span(const attention_args *a, const attention_path *path, query_band *band, int first, int end,
                        const kv_span *span) {
#ifdef HAS_TILES
    if (path == &BF16_PATH) {
        attend_tiles(a, band->strips, band->n_strips, first, end, span);
        return;
    }
#endif
    for (int i = 0; i < band->n_strips; i++) attend_strip(a, path, &band->strips[i], first, end, span);
}

/* Give a band's strips and the spans that they meet their places in scratch. */
static kv_span begin_band(const attention_args *a, query_band *band, const query_rows *rows, float *scratch) {
    const attention_path *path = choose_path(a);
    const head_dims d = dims_of(a->kv);
    float *weights = scratch, *memory = weights + STRIP_ROWS * SPAN_TOKENS;
    kv_span span;
    span.type = a->kv->type;
    span.d = d;
    span.turned = (uint8_t *)(memory + BAND_STRIPS * strip_floats(d));
    span.unpacked = span.turned + (d.is_latent ? latent_bytes(d.value) : 0);
    span.is_single = band->n_strips == 1;
    span.is_alone = span.is_single && count_queries(&band->strips[0]) == 1;
    for (int i = 0; i < band->n_strips; i++)
        begin_strip(a, path, rows, &band->strips[i], weights, memory + (size_t)i * strip_floats(d));
    return span;
}

/* Spans begin at multiples of their length, wherever a window does, so that a row's sums are
 * the same whatever rows are beside it. */
static void attend_band(const attention_args *a, query_band *band, const query_rows *rows, float *scratch) {
    const attention_path *path = choose_path(a);
    const int n_tokens = end_of(a, band->strips[band->n_strips - 1].run);
    kv_span span = begin_band(a, band, rows, scratch);
    for (int first = first_page(a, band->strips[0].run->position), end; first < n_tokens; first = end) {
        end = (first / SPAN_TOKENS + 1) * SPAN_TOKENS;
        const int n = (end < n_tokens ? end : n_tokens) - first;
        find_pages(a, band, first, n, n_tokens, &span);
        path->open_keys(&span, n);
        path->open_values(&span, n, all_vectors(span.d));
        attend_span(a, path, band, first, end, &span);
    }
    for (int i = 0; i < band->n_strips; i++) finish_queries(a, rows, &band->strips[i], all_vectors(span.d));
    band->n_strips = 0;
}

#endif
