/* Attention of fewer runs than threads, which share the work on each.
 *
 * A run's queries meet the keys of one span after the other, and then their values: each sum is
 * made in that order, so that it cannot be cut. But scores do not depend on each other, and
 * neither do the dimensions of an output. So threads share the scores, span by span, and, when
 * all of these are there, the outputs, block by block: the sums are those of attend_band(), in
 * the same order. The exponentials, which are little beside the rest, are made again for each
 * block.
 */
#ifndef LLAMACY_FEW_RUNS_H
#define LLAMACY_FEW_RUNS_H

#include "attention/attention.h"

/* The tokens of a span that a run sees: first .. first + n - 1, from a whole page on. */
typedef struct { int first, n; } seen_tokens;

INLINE seen_tokens tokens_of_span(const attention_args *a, const row_run *run, int span) {
    const int hidden = first_page(a, run->position), after = end_of(a, run);
    const int begin = span * SPAN_TOKENS, end = begin + SPAN_TOKENS, first = begin > hidden ? begin : hidden;
    return (seen_tokens){first, (end < after ? end : after) - first};
}

/* Up to BAND_STRIPS strips of a run, from its KV head's strip number `first` on. */
static query_band band_of_run(const attention_args *a, const row_run *run, int head, int first) {
    const int group = a->kv->n_head / a->kv->n_head_kv, n = count_strips(a->kv) - first;
    query_band band;
    band.head = head;
    band.n_strips = n < BAND_STRIPS ? n : BAND_STRIPS;
    for (int i = 0; i < band.n_strips; i++) {
        const int before = (first + i) * STRIP_ROWS, left = group - before;
        band.strips[i].run = run;
        band.strips[i].first_head = head * group + before;
        band.strips[i].group = left < STRIP_ROWS ? left : STRIP_ROWS;
    }
    return band;
}

/* Scores of a run with the spans begin .. end - 1: [spans][strips][STRIP_ROWS][SPAN_TOKENS]. */
static void score_run(const attention_args *a, const row_run *run, int head, const query_rows *rows, int begin,
                      int end, float *scores, float *scratch) {
    const attention_path *path = choose_path(a);
    const int n_strips = count_strips(a->kv);
    for (int strip = 0; strip < n_strips; strip += BAND_STRIPS) {
        query_band band = band_of_run(a, run, head, strip);
        kv_span span = begin_band(a, &band, rows, scratch);
        for (int each = begin; each < end; each++) {
            const seen_tokens seen = tokens_of_span(a, run, each);
            find_pages(a, &band, seen.first, seen.n, end_of(a, run), &span);
            path->open_keys(&span, seen.n);
            for (int i = 0; i < band.n_strips; i++) {
                attention_state *s = &band.strips[i].state;
                s->weights = scores + (size_t)((each - begin) * n_strips + strip + i) * STRIP_SCORES;
                path->score(&span, 0, seen.n, s, count_queries(&band.strips[i]));
            }
        }
    }
}

/* Some outputs of a run, from its scores with all spans that it sees. */
static void weigh_run(const attention_args *a, const row_run *run, int head, const query_rows *rows,
                      vector_range some, const float *scores, float *scratch) {
    const attention_path *path = choose_path(a);
    const int n_strips = count_strips(a->kv), begin = first_span(run, a->window, SPAN_TOKENS);
    const int end = after_spans(run, SPAN_TOKENS);
    for (int strip = 0; strip < n_strips; strip += BAND_STRIPS) {
        query_band band = band_of_run(a, run, head, strip);
        kv_span span = begin_band(a, &band, rows, scratch);
        for (int each = begin; each < end; each++) {
            const seen_tokens seen = tokens_of_span(a, run, each);
            find_pages(a, &band, seen.first, seen.n, end_of(a, run), &span);
            path->open_values(&span, seen.n, some);
            for (int i = 0; i < band.n_strips; i++) {
                attention_state *s = &band.strips[i].state;
                const int n_queries = count_queries(&band.strips[i]);
                const sight see = look(a, &band.strips[i], seen.first, seen.n);
                memcpy(s->weights, scores + (size_t)((each - begin) * n_strips + strip + i) * STRIP_SCORES,
                       sizeof(float) * (size_t)(n_queries * SPAN_TOKENS));
                path->soften(&span, seen.n, s, n_queries, &see);
                path->weigh(&span, 0, seen.n, s, n_queries, &see, some);
            }
        }
        for (int i = 0; i < band.n_strips; i++) finish_queries(a, rows, &band.strips[i], some);
    }
}

/* Items are the spans of each KV head of each run. */
static void score(const attention_args *a, const row_run *runs, int n_runs, const float *q, size_t ldq, float *scores,
                  int begin, int end, void *scratch) {
    const query_rows rows = {.q = q, .ldq = ldq};
    const size_t size = (size_t)count_strips(a->kv) * STRIP_SCORES;
    for (int i = 0, item = 0; i < n_runs; i++) {
        const int first = first_span(&runs[i], a->window, SPAN_TOKENS), n = after_spans(&runs[i], SPAN_TOKENS) - first;
        for (int head = 0; head < a->kv->n_head_kv; head++, item += n) {
            const int from = within(begin - item, 0, n), to = within(end - item, from, n);
            if (from < to)
                score_run(a, &runs[i], head, &rows, first + from, first + to, scores + (size_t)(item + from) * size,
                          scratch);
        }
    }
}

/* Items are the blocks of values of each KV head of each run. */
static void weigh(const attention_args *a, const row_run *runs, int n_runs, const float *scores, float *y, size_t ldy,
                  int begin, int end, void *scratch) {
    const query_rows rows = {.y = y, .ldy = ldy};
    const size_t size = (size_t)count_strips(a->kv) * STRIP_SCORES;
    const int n = value_blocks(a->kv);
    for (int i = 0, item = 0, spans = 0; i < n_runs; i++) {
        const int n_spans = after_spans(&runs[i], SPAN_TOKENS) - first_span(&runs[i], a->window, SPAN_TOKENS);
        for (int head = 0; head < a->kv->n_head_kv; head++, item += n, spans += n_spans) {
            const int from = within(begin - item, 0, n), to = within(end - item, from, n);
            const vector_range some = {from * VALUE_BLOCK / 16, to * VALUE_BLOCK / 16};
            if (from < to) weigh_run(a, &runs[i], head, &rows, some, scores + (size_t)spans * size, scratch);
        }
    }
}

#endif
