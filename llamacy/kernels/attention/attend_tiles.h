/* Strips of queries meet a span on matrix registers.
 *
 * Pages in bfloat16 are tiles already, and are read where they are; others are unpacked first
 * (bf16_span.h), once for all strips of a band. Two strips go together, so that each tile of keys or
 * values that is loaded meets two of queries or weights:
 *
 *            32 tokens                      32 dimensions
 *           +-----+-----+                  +-----+-----+
 *   strip   |  0  |  1  |                  |  0  |  1  |       register 0 .. 3: sums
 *           +-----+-----+   scores         +-----+-----+  outputs
 *   strip   |  2  |  3  |                  |  2  |  3  |       4, 5: of the strips; 6, 7: of the span
 *           +-----+-----+                  +-----+-----+
 */
#ifndef LLAMACY_ATTEND_TILES_H
#define LLAMACY_ATTEND_TILES_H

#include "attention/nonfinite_values.h"
#include "attention/query_strip.h"
#include "attention/softmax_tiles.h"

enum { PAIR = 2 };

/* The tiles of a span, wherever they are. */
typedef struct {
    head_dims d;
    const uint8_t *keys[SPAN_PAGES];   /* [2 halves][units] */
    const uint8_t *values[SPAN_PAGES]; /* [vectors], each value_step bytes further */
    size_t value_step;
    int is_unpacked;
    bf16_span unpacked; /* of use only then */
} span_tiles;

/* A strip or two, from one span's scores to their outputs. */
typedef struct {
    int n_strips, first, n_pages; /* of the span, that a row of them sees */
    attention_state *states[PAIR];
    int n_queries[PAIR];
    const sight *see[PAIR]; /* NULL: all of all these pages */
    sight partial[PAIR];    /* else */
    uint8_t *weights[PAIR]; /* [pages][16 rows][32 tokens] */
    span_fetch *fetch;      /* of the next span */
} strip_pair;

/* Weights and scores of a pair, at the beginning of a span's scratch. */
enum {
    STRIP_WEIGHTS = SPAN_PAGES * TILE_BYTES,
    PAIR_BYTES = PAIR * ((int)sizeof(float) * STRIP_SCORES + STRIP_WEIGHTS),
};

static size_t tiles_span_bytes(head_dims d) { return PAIR_BYTES + bf16_span_bytes(d); }

INLINE bf16_span unpacked_tiles(const kv_span *span) {
    return place_bf16_span(span->unpacked + PAIR_BYTES, span->d);
}

static span_tiles find_tiles(const kv_span *span, int first, int n_pages) {
    const int is_unpacked = span->type != KV_BF16;
    span_tiles t = {.d = span->d, .is_unpacked = is_unpacked, .unpacked = unpacked_tiles(span)};
    t.value_step = (is_unpacked ? SPAN_PAGES : 1) * TILE_BYTES;
    for (int page = first; page < first + n_pages; page++) {
        t.keys[page] = is_unpacked ? key_tiles(&t.unpacked, t.d.key, page * HALVES) : span->pages[page].keys;
        t.values[page] = is_unpacked ? value_tiles(&t.unpacked, 0, page) : span->pages[page].values;
    }
    return t;
}

/* A product of a pair with two tiles prefetches as much as the exponentials of two rows. */
enum { TILE_STEPS = 2 };
INLINE int score_steps(head_dims d, int n_pages) { return TILE_STEPS * n_pages * key_units(d.key); }
INLINE int weigh_steps(vector_range some, int n_pages) { return TILE_STEPS * n_pages * (some.end - some.begin) / 2; }

/* Sums of a pair's scores with a page: store them, and begin those of the next. */
#define NEXT_SCORES(t, to)                             \
    do {                                               \
        T_STORE(t, to, sizeof(float) * SPAN_TOKENS);   \
        T_ZERO(t);                                     \
    } while (0)

/* Scores of a pair with the pages that it sees. A page's are stored when the first products of the
 * next are about to be made: at once, stores would wait for the sums. */
static void score_tiles(const strip_pair *pair, const span_tiles *t) {
    const int units = key_units(t->d.key), both = pair->n_strips == PAIR;
    const size_t half = (size_t)units * TILE_BYTES;
    const uint8_t *queries = pair->states[0]->query_tiles, *others = pair->states[both]->query_tiles;
    float *scores = pair->states[0]->weights, *more = pair->states[both]->weights;
    for (int page = 0; page < pair->n_pages; page++) {
        const uint8_t *keys = t->keys[pair->first + page];
        for (size_t at = 0; at < half; at += TILE_BYTES) {
            fetch_steps(pair->fetch, TILE_STEPS);
            T_LOAD(4, queries + at, 64);
            T_LOAD(6, keys + at, 64);
            if (!at) NEXT_SCORES(0, scores);
            T_DOT(0, 4, 6);
            T_LOAD(7, keys + half + at, 64);
            if (!at) NEXT_SCORES(1, scores + HALF_TOKENS);
            T_DOT(1, 4, 7);
            if (!both) continue;
            T_LOAD(5, others + at, 64);
            if (!at) NEXT_SCORES(2, more);
            T_DOT(2, 5, 6);
            if (!at) NEXT_SCORES(3, more + HALF_TOKENS);
            T_DOT(3, 5, 7);
        }
        if (page) scores += PAGE_TOKENS, more += PAGE_TOKENS;
    }
    NEXT_SCORES(0, scores);
    NEXT_SCORES(1, scores + HALF_TOKENS);
    if (!both) return;
    NEXT_SCORES(2, more);
    NEXT_SCORES(3, more + HALF_TOKENS);
}

/* Sums of a pair's outputs: store those of the two vectors before, and load these. */
#define NEXT_OUTPUTS(t, to, is_first, step)                      \
    do {                                                         \
        if (!(is_first)) T_STORE(t, (to)-32, step);              \
        T_LOAD(t, to, step);                                     \
    } while (0)

/* Some outputs of a pair grow by the weighted values of its pages, two vectors at a time. */
static void weigh_tiles(const strip_pair *pair, const span_tiles *t, vector_range some) {
    const int both = pair->n_strips == PAIR;
    const size_t step = sizeof(float) * (size_t)wide_dim(t->d.value);
    const uint8_t *weights = pair->weights[0], *others = pair->weights[both];
    float *out = pair->states[0]->out + 16 * some.begin, *more = pair->states[both]->out + 16 * some.begin;
    for (int c = some.begin; c < some.end; c += 2, out += 32, more += 32) {
        const int first = c == some.begin;
        for (int page = 0; page < pair->n_pages; page++) {
            const uint8_t *values = t->values[pair->first + page] + (size_t)c * t->value_step;
            fetch_steps(pair->fetch, TILE_STEPS);
            T_LOAD(4, weights + page * TILE_BYTES, 64);
            T_LOAD(6, values, 64);
            if (!page) NEXT_OUTPUTS(0, out, first, step);
            T_DOT(0, 4, 6);
            T_LOAD(7, values + t->value_step, 64);
            if (!page) NEXT_OUTPUTS(1, out + 16, first, step);
            T_DOT(1, 4, 7);
            if (!both) continue;
            T_LOAD(5, others + page * TILE_BYTES, 64);
            if (!page) NEXT_OUTPUTS(2, more, first, step);
            T_DOT(2, 5, 6);
            if (!page) NEXT_OUTPUTS(3, more + 16, first, step);
            T_DOT(3, 5, 7);
        }
    }
    T_STORE(0, out - 32, step);
    T_STORE(1, out - 16, step);
    if (!both) return;
    T_STORE(2, more - 32, step);
    T_STORE(3, more - 16, step);
}

/* Some outputs of a pair. Values that may not be finite meet each query apart. */
static void weigh_pair(const strip_pair *pair, const span_tiles *t, vector_range some) {
    if (!t->is_unpacked || values_are_finite(&t->unpacked, pair->first, pair->n_pages)) {
        weigh_tiles(pair, t, some);
        return;
    }
    for (int i = 0; i < pair->n_strips; i++)
        weigh_apart(pair->states[i], pair->n_queries[i], &t->unpacked, pair->weights[i], pair->first, t->d,
                    pair->n_pages, pair->see[i], some);
}

/* Whether all queries of a strip see all of n tokens from position `first` on, at no cost of distance. */
INLINE int sees_all(const attention_args *a, const query_strip *strip, int first, int n) {
    const row_run *run = strip->run;
    return !a->slopes && after_seen(a, run, run->position) >= first + n &&
           first_seen(a, run->position + run->n_rows - 1) <= first;
}

/* Make a pair of n strips, and see what it sees of the span of tokens first .. end - 1: whether anything. */
static int look_at_span(strip_pair *pair, const attention_args *a, query_strip *strips, int n, int first, int end) {
    const int hidden = first_page(a, strips[0].run->position), after = end_of(a, strips[n - 1].run);
    const int begin = first > hidden ? first : hidden, n_tokens = (end < after ? end : after) - begin;
    if (n_tokens <= 0) return 0;
    pair->n_strips = n;
    pair->first = (begin - first) / PAGE_TOKENS;
    pair->n_pages = count_pages(n_tokens);
    for (int i = 0; i < n; i++) {
        const int is_partial = !sees_all(a, &strips[i], begin, pair->n_pages * PAGE_TOKENS);
        if (is_partial) pair->partial[i] = look(a, &strips[i], begin, n_tokens);
        pair->see[i] = is_partial ? &pair->partial[i] : NULL;
        pair->states[i] = &strips[i].state;
        pair->n_queries[i] = count_queries(&strips[i]);
    }
    return 1;
}

/* Place a pair's scores and weights in a span's scratch. */
INLINE void place_pair(strip_pair *pair, const kv_span *span) {
    for (int i = 0; i < pair->n_strips; i++) {
        uint8_t *memory = span->unpacked + i * (PAIR_BYTES / PAIR);
        pair->weights[i] = memory;
        pair->states[i]->weights = (float *)(memory + STRIP_WEIGHTS);
    }
}

/* Scores, weights and outputs of a pair. */
INLINE void attend_pair(const strip_pair *pair, const span_tiles *t) {
    score_tiles(pair, t);
    for (int i = 0; i < pair->n_strips; i++)
        soften_queries(pair->states[i], 0, pair->n_queries[i], pair->see[i], pair->n_pages, pair->weights[i],
                       wide_dim(t->d.value), pair->fetch);
    weigh_pair(pair, t, all_vectors(t->d));
}

/* Keys and values, while the first strip meets the span. If there are more than a pair, the band waits for
 * arithmetic, and other bands have read most pages before. */
INLINE span_fetch fetch_heads(const kv_span *span, int n_strips, int n_queries) {
    const int n = span->n_pages, n_products = score_steps(span->d, n) + weigh_steps(all_vectors(span->d), n);
    if (span->type != KV_BF16 || n_strips > PAIR) return no_fetch();
    return begin_fetch(span, 0, head_bytes(KV_BF16, span->d), n_products + n * n_queries);
}

/* All strips of a band meet what they see of the span of tokens first .. end - 1. */
static void attend_tiles(const attention_args *a, query_strip *strips, int n_strips, int first, int end,
                         const kv_span *span) {
    const span_tiles t = find_tiles(span, 0, span->n_pages);
    span_fetch fetch = fetch_heads(span, n_strips, count_queries(&strips[0]));
    strip_pair pair = {.fetch = &fetch};
    for (int strip = 0; strip < n_strips; strip += PAIR) {
        const int n = n_strips - strip < PAIR ? 1 : PAIR;
        if (!look_at_span(&pair, a, strips + strip, n, first, end)) continue;
        place_pair(&pair, span);
        attend_pair(&pair, &t);
    }
}

/* A strip by itself, for threads that share the work on it. */
INLINE strip_pair single_strip(const kv_span *span, int first, int n_tokens, attention_state *s, int n_queries,
                               span_fetch *fetch) {
    return (strip_pair){.n_strips = 1, .first = first, .n_pages = count_pages(n_tokens), .states = {s},
                        .n_queries = {n_queries}, .weights = {span->unpacked}, .fetch = fetch};
}

static void score_on_tiles(const kv_span *span, int first, int n_tokens, attention_state *s, int n_queries) {
    span_fetch fetch = no_fetch();
    const strip_pair strip = single_strip(span, first, n_tokens, s, n_queries, &fetch);
    const span_tiles t = find_tiles(span, first, strip.n_pages);
    if (!t.is_unpacked)
        fetch = begin_fetch(span, 0, kv_plane_bytes(KV_BF16, t.d.key), score_steps(t.d, strip.n_pages));
    score_tiles(&strip, &t);
}

static void soften_on_tiles(const kv_span *span, int n_tokens, attention_state *s, int n_queries, const sight *see) {
    span_fetch fetch = no_fetch();
    soften_queries(s, 0, n_queries, see, count_pages(n_tokens), span->unpacked, wide_dim(span->d.value), &fetch);
}

static void weigh_on_tiles(const kv_span *span, int first, int n_tokens, attention_state *s, int n_queries,
                           const sight *see, vector_range some) {
    span_fetch fetch = no_fetch();
    strip_pair strip = single_strip(span, first, n_tokens, s, n_queries, &fetch);
    const span_tiles t = find_tiles(span, first, strip.n_pages);
    strip.see[0] = see;
    if (!t.is_unpacked)
        fetch = begin_fetch(span, kv_plane_bytes(KV_BF16, t.d.key) + (size_t)some.begin * TILE_BYTES,
                            (size_t)(some.end - some.begin) * TILE_BYTES, weigh_steps(some, strip.n_pages));
    weigh_pair(&strip, &t, some);
}

static void open_keys_on_tiles(const kv_span *span, int n_tokens) {
    if (span->type != KV_BF16) unpack_span_keys(span, unpacked_tiles(span), n_tokens);
}

static void open_values_on_tiles(kv_span *span, int n_tokens, vector_range some) {
    if (span->type != KV_BF16)
        unpack_span_values(span, unpacked_tiles(span), n_tokens, own_vectors(some, span->d.value));
}

static const attention_path BF16_PATH = {tiles_span_bytes,     store_bf16_query, open_keys_on_tiles,
                                         open_values_on_tiles, score_on_tiles,   soften_on_tiles,
                                         weigh_on_tiles};

#endif
