/* A tile of queries: those of one run, of heads that share a KV head. */
#ifndef LLAMACY_QUERY_TILE_H
#define LLAMACY_QUERY_TILE_H

#include "attention/attend_alone.h"
#include <float.h>
#include <math.h>

/* The rows of a run times `group` heads, from head `first_head` on. */
typedef struct {
    const row_run *run;
    int first_head, group;
    attention_state state;
} query_tile;

/* The matrices of queries and outputs. */
typedef struct { const float *q; float *y; size_t ldq, ldy; } query_rows;

INLINE int count_queries(const query_tile *tile) { return tile->run->n_rows * tile->group; }
INLINE int end_of(const row_run *run) { return run->position + run->n_rows; }

/* Floats of the queries of a tile, or of its outputs. */
INLINE size_t tile_floats(int head_dim) { return TILE_ROWS * (size_t)wide_dim(head_dim); }

/* Scaled queries in `memory`, and outputs after them; nothing attended to yet. */
static void begin_tile(const attention_args *a, const query_rows *rows, query_tile *tile, float *weights,
                       float *memory) {
    const int d = a->kv->head_dim, group = tile->group;
    attention_state *s = &tile->state;
    s->softcap = a->softcap;
    s->weights = weights;
    s->q = memory;
    s->out = memory + tile_floats(d);
    memset(memory, 0, sizeof(float) * 2 * tile_floats(d));
    /* no infinity: a query that sees nothing of a span is to be left as it was by it */
    for (int r = 0; r < TILE_ROWS; r++) s->max[r] = -FLT_MAX, s->sum[r] = 0;
    for (int r = 0; r < count_queries(tile); r++) {
        const int head = tile->first_head + r % group;
        const float *row = rows->q + (size_t)(tile->run->row + r / group) * rows->ldq + (size_t)head * d;
        if (a->sinks) s->max[r] = fmaxf(a->sinks[head], -FLT_MAX), s->sum[r] = 1;
        if (rounds(a)) round_query(row, d, a->scale, r, s->query_tiles);
        else for (int i = 0; i < d; i++) s->q[i * TILE_ROWS + r] = row[i] * a->scale;
    }
}

static void finish_queries(const attention_args *a, const query_rows *rows, const query_tile *tile) {
    const int d = a->kv->head_dim, group = tile->group;
    for (int r = 0; r < count_queries(tile); r++) {
        const int head = tile->first_head + r % group;
        float *row = rows->y + (size_t)(tile->run->row + r / group) * rows->ldy + (size_t)head * d;
        const float *out = tile->state.out + (size_t)r * wide_dim(d);
        const float share = 1 / tile->state.sum[r];
        for (int i = 0; i < d; i++) row[i] = out[i] * share;
    }
}

/* The position of the first page that the window of a row at `position` reaches into. */
INLINE int first_page(const attention_args *a, int position) {
    const int hidden = a->window > 0 && position >= a->window ? position + 1 - a->window : 0;
    return hidden / PAGE_TOKENS * PAGE_TOKENS;
}

/* What a tile's queries see of the n tokens from position `first` on. */
INLINE sight look(const attention_args *a, const query_tile *tile, int first, int n) {
    sight see;
    memset(&see, 0, sizeof see);
    for (int r = 0; r < count_queries(tile); r++) {
        const int seen = tile->run->position + r / tile->group + 1 - first;
        const int hidden = a->window > 0 ? seen - a->window : 0;
        see.visible[r] = seen < 0 ? 0 : seen < n ? seen : n;
        see.hidden[r] = hidden < 0 ? 0 : hidden < n ? hidden : n;
    }
    return see;
}

#endif
