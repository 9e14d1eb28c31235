/* Slices of many_rows.h multiplied on matrix registers, in bfloat16.
 *
 * Weights are unpacked to tiles, a slice of 4 panels at a time, which stays in the L1 cache while
 * all strips of rows pass by. A tile of x meets 4 of them: 4 products for 5 loads, one of them
 * from the L2 cache.
 *
 *                    panels j   j+1   j+2   j+3
 *                  +----------------------------
 *   strip of rows  |     s0     s1    s2    s3     Sums are float32 over all of K: no scale is
 *                  |                               applied after the products.
 *
 * Activations come as bfloat16 tiles: [slices of K][M/16][units of a slice][16 rows][32]. Two
 * bfloat16 factors give a relative error of about 2^-9 a product: less than int8's.
 */
#ifndef LLAMACY_MANY_ROWS_TILES_H
#define LLAMACY_MANY_ROWS_TILES_H

#include "levels/tile.h"

enum { SLICE_PANELS = 4 };

typedef uint8_t slice_weights[SLICE_UNITS][TILE_BYTES];

/* Whether many rows of activations are prepared as tiles for w. */
INLINE int reads_tiles(const packed_matrix *w) { return w->type != PACK_F32 && w->k % UNIT_COLS == 0; }

/* One of two matrices that reads tiles takes the other along, F32 or not. */
INLINE int wants_many(const linear_args *a) {
    return a->m >= TILES_MIN_ROWS && (reads_tiles(&a->w) || (is_gated(a->form) && reads_tiles(&a->w2)));
}

INLINE size_t tiles_bytes(int k, int m) {
    return (size_t)((m + STRIP_ROWS - 1) / STRIP_ROWS) * (size_t)(k / UNIT_COLS) * TILE_BYTES;
}

/* The tile of rows row / 16 of m at unit u. The tiles of a slice are side by side: strips a power of two
 * apart would compete for the same sets of the caches. */
INLINE uint8_t *row_tile(const void *prepared, int k, int m, int row, int u) {
    const int units = k / UNIT_COLS, strips = (m + STRIP_ROWS - 1) / STRIP_ROWS;
    const int first = u / SLICE_UNITS * SLICE_UNITS, rest = units - first;
    const int n_units = rest < SLICE_UNITS ? rest : SLICE_UNITS;
    const int tile = first * strips + row / STRIP_ROWS * n_units + u - first;
    return (uint8_t *)prepared + (size_t)tile * TILE_BYTES;
}

/* Rows begin .. end of the m of x into their tiles, all of a tile at once: there they lie side by side. */
static void round_rows(const float *x, size_t ldx, int k, int m, void *prepared, int begin, int end) {
    for (int row = begin, after; row < end; row = after) {
        after = row - row % STRIP_ROWS + STRIP_ROWS < end ? row - row % STRIP_ROWS + STRIP_ROWS : end;
        for (int u = 0; u < k / UNIT_COLS; u++) {
            uint8_t *to = row_tile(prepared, k, m, row, u) + row % STRIP_ROWS * 64;
            for (int i = row; i < after; i++, to += 64) {
                const float *from = x + (size_t)i * ldx + u * UNIT_COLS;
                const vi rounded = b_join(f_load(from), f_load(from + 16));
                memcpy(to, &rounded, sizeof rounded);
            }
        }
    }
}

INLINE void put_pairs(uint8_t *to, vf x, vf y) {
    const vi pairs = b_pairs(x, y);
    memcpy(to, &pairs, sizeof pairs);
}

/* The offset of group g: a weight is scale * code - offset. */
INLINE vf tile_offset(pack_type type, packed_unit unit, int g, vf scale) {
    return has_minimum(type) ? group_minimum(type, unit, g) : f_mul(f_set1((float)dot_zero(type)), scale);
}

/* A unit of a panel as a tile: row p has columns 2p and 2p + 1 of the 16 rows. */
INLINE void unpack_quant_tile(pack_type type, packed_unit unit, uint8_t *tile) {
    for (int c = 0; c < 8; c++) {
        const int g = PACK_TRAITS[type].groups == 1 ? 0 : c / 4;
        const vf scale = group_scale(type, unit, g), low = f_sub(f_zero(), tile_offset(type, unit, g, scale));
        const vi chunk = code_chunk(type, unit.codes, c);
        vf column[4];
        UNROLL for (int j = 0; j < 4; j++) column[j] = f_fma(f_from_i(t_byte(chunk, j)), scale, low);
        put_pairs(tile + 128 * c, column[0], column[1]);
        put_pairs(tile + 128 * c + 64, column[2], column[3]);
    }
}

/* The values of the 16 codes of 4 bits, less their zero point. */
INLINE vf nibble_values(pack_type type) {
    static const uint8_t plain[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const int lookup = PACK_TRAITS[type].lookup;
    const void *codes = lookup ? (const void *)LOOKUP[lookup - 1] : plain;
    return f_sub(f_load_u8(codes), f_set1((float)dot_zero(type)));
}

/* The same of codes of 4 bits, whose values come from a table: without masks and conversions. */
INLINE void unpack_nibble_tile(pack_type type, packed_unit unit, uint8_t *tile) {
    const vf values = nibble_values(type);
    UNROLL for (int half = 0; half < 2; half++) {
        const int g = PACK_TRAITS[type].groups == 1 ? 0 : half;
        const vf scale = group_scale(type, unit, g), low = f_sub(f_zero(), group_minimum(type, unit, g));
        UNROLL for (int i = 0; i < 4; i++, tile += 128) {
            const vi chunks = i_load(unit.codes + 64 * i);
            vf column[4];
            UNROLL for (int j = 0; j < 4; j++) {
                const vf value = t_lookup(values, chunks, 8 * j + 4 * half);
                column[j] = has_minimum(type) ? f_fma(value, scale, low) : f_mul(value, scale);
            }
            put_pairs(tile, column[0], column[1]);
            put_pairs(tile + 64, column[2], column[3]);
        }
    }
}

INLINE void unpack_float_tile(pack_type type, const uint8_t *codes, size_t u, uint8_t *tile) {
    for (int p = 0; p < 16; p++) {
        const size_t k = u * UNIT_COLS + 2 * (size_t)p;
        put_pairs(tile + 64 * p, float_column(type, codes, k), float_column(type, codes, k + 1));
    }
}

INLINE void unpack_tile_of(pack_type type, const packed_matrix *w, int64_t panel, size_t unit, uint8_t *tile) {
    if (is_float_pack(type)) unpack_float_tile(type, panel_of(w, panel), unit, tile);
    else if (PACK_TRAITS[type].bits == 4) unpack_nibble_tile(type, find_unit(type, w, panel, unit), tile);
    else unpack_quant_tile(type, find_unit(type, w, panel, unit), tile);
}

static void unpack_tile(const packed_matrix *w, int64_t panel, size_t unit, uint8_t *tile) {
    switch (w->type) {
#define UNPACK(type) case PACK_##type: unpack_tile_of(PACK_##type, w, panel, unit, tile); break;
        EACH_PACK_TYPE(UNPACK)
    default: break;
    }
}

/* Fetch the bytes that unit `unit` of panel i of the list is unpacked from. Its scales lie elsewhere in its block,
 * of which each unit fetches a part. */
INLINE void fetch_unit(const panel_list *panels, int i, size_t unit) {
    const packed_matrix *w = panels->w[i];
    if (!w) return;
    const size_t units = (size_t)w->k / UNIT_COLS, end = (unit + 1) * w->panel / units;
    const uint8_t *panel = panel_of(w, panels->panel[i]);
    for (size_t at = unit * w->panel / units; at < end; at += 64) PREFETCH_L2(panel + at);
}

/* A slice of 4 panels to tiles. Each fetches the weights of the same units of the next: a slice has a few lines of
 * each panel, whose ends the CPU's prefetchers do not see. */
static void unpack_slice(const panel_list *panels, const slice *at, slice_weights *to) {
    for (int i = 0; i < SLICE_PANELS && at->first_panel + i < panels->n_panels; i++) {
        const int panel = at->first_panel + i;
        for (int u = 0; u < at->n_units; u++) {
            const size_t unit = (size_t)(at->unit + u);
            if (panel + 1 < panels->n_panels) fetch_unit(panels, panel + 1, unit);
            if (panels->w[panel]) unpack_tile(panels->w[panel], panels->panel[panel], unit, to[i][u]);
        }
    }
}

/* A strip of x and 4 panels: the slice of each, and the sums of their products. */
typedef struct {
    const uint8_t *x;
    const slice_weights *weights;
    int n_units, is_first;        /* first: sums begin with it */
    strip_sums *sums, *last_sums; /* last: of the strip before, still in registers, or NULL */
    const uint8_t *next_sums;     /* of the strip that follows */
} strip_product;

INLINE void fetch_lines(const uint8_t *p, int n) {
    UNROLL for (int line = 0; line < n; line++) PREFETCH(p + 64 * line);
}

/* Products of a strip fetch into the L1 cache: two of each unit half a tile of x, so far ahead of its use, and the
 * other two some lines of the next strip's sums. */
enum {
    X_AHEAD = 2 * TILE_BYTES,
    HALF_LINES = TILE_BYTES / 2 / 64,
    SUMS_LINES = (SLICE_PANELS * TILE_BYTES / 64 / 2 + SLICE_UNITS - 2) / (SLICE_UNITS - 1),
};

/* A tile of x times one of a panel. */
#define TIMES_PANEL(sum, p, i, u)             \
    do {                                      \
        T_LOAD(5, (p)->weights[i][u], 64);    \
        T_DOT(sum, 4, 5);                     \
    } while (0)
#define BEGIN_SUM(sum, p, i)                  \
    do {                                      \
        if ((p)->is_first) T_ZERO(sum);       \
        else T_LOAD(sum, (p)->sums[i], 64);   \
    } while (0)
#define END_SUM(sum, p, i)                                       \
    do {                                                         \
        if ((p)->last_sums) T_STORE(sum, (p)->last_sums[i], 64); \
    } while (0)

/* A strip times 4 panels, with sums in registers s0 to s3. The strip before has left its own in s2, s3, t2 and
 * t3; they are stored after the first products of this one: a store that waits for its sums would keep the CPU
 * from looking further ahead. */
#define STRIP_KERNEL(name, s0, s1, s2, s3, t2, t3)                             \
    INLINE void name(const strip_product *p) {                                 \
        const uint8_t *x = p->x, *next_sums = p->next_sums;                    \
        T_LOAD(4, x, 64);                                                      \
        BEGIN_SUM(s0, p, 0); TIMES_PANEL(s0, p, 0, 0);                         \
        BEGIN_SUM(s1, p, 1); TIMES_PANEL(s1, p, 1, 0);                         \
        END_SUM(s2, p, 0);                                                     \
        END_SUM(s3, p, 1);                                                     \
        BEGIN_SUM(s2, p, 2); TIMES_PANEL(s2, p, 2, 0);                         \
        BEGIN_SUM(s3, p, 3); TIMES_PANEL(s3, p, 3, 0);                         \
        END_SUM(t2, p, 2);                                                     \
        END_SUM(t3, p, 3);                                                     \
        for (int u = 1; u < p->n_units; u++) {                                 \
            x += TILE_BYTES;                                                   \
            T_LOAD(4, x, 64);                                                  \
            TIMES_PANEL(s0, p, 0, u);                                          \
            fetch_lines(x + X_AHEAD, HALF_LINES);                              \
            TIMES_PANEL(s1, p, 1, u);                                          \
            fetch_lines(x + X_AHEAD + TILE_BYTES / 2, HALF_LINES);             \
            TIMES_PANEL(s2, p, 2, u);                                          \
            fetch_lines(next_sums, SUMS_LINES);                                \
            TIMES_PANEL(s3, p, 3, u);                                          \
            fetch_lines(next_sums + 64 * SUMS_LINES, SUMS_LINES);              \
            next_sums += 2 * 64 * SUMS_LINES;                                  \
        }                                                                      \
    }
/* Three pairs of registers: a strip's sums take two of them, and the next strip begins with the third. */
STRIP_KERNEL(strip_in_0123, 0, 1, 2, 3, 6, 7)
STRIP_KERNEL(strip_in_6701, 6, 7, 0, 1, 2, 3)
STRIP_KERNEL(strip_in_2367, 2, 3, 6, 7, 0, 1)

static void end_last_strip(const strip_product *p, int n_strips) {
    switch (n_strips % 3) {
    case 1: END_SUM(0, p, 0); END_SUM(1, p, 1); END_SUM(2, p, 2); END_SUM(3, p, 3); break;
    case 2: END_SUM(6, p, 0); END_SUM(7, p, 1); END_SUM(0, p, 2); END_SUM(1, p, 3); break;
    default: END_SUM(2, p, 0); END_SUM(3, p, 1); END_SUM(6, p, 2); END_SUM(7, p, 3);
    }
}

/* sums += products of a slice of 4 panels with all strips. */
static void multiply_slice(const linear_args *a, const slice *at, const slice_weights *weights,
                           strip_sums (*sums)[MANY_PANELS]) {
    const int n_strips = (at->n_rows + STRIP_ROWS - 1) / STRIP_ROWS;
    strip_product p = {.weights = weights, .n_units = at->n_units, .is_first = at->unit == 0};
    for (int strip = 0; strip < n_strips; strip++) {
        p.x = row_tile(a->prepared, (int)a->w.k, a->m, at->first_row + strip * STRIP_ROWS, at->unit);
        p.sums = sums[strip] + at->first_panel;
        p.next_sums = (const uint8_t *)(sums[strip + 1 < n_strips ? strip + 1 : strip] + at->first_panel);
        switch (strip % 3) {
        case 0: strip_in_0123(&p); break;
        case 1: strip_in_6701(&p); break;
        default: strip_in_2367(&p);
        }
        p.last_sums = p.sums;
    }
    end_last_strip(&p, n_strips);
}

typedef struct {
    slice_weights weights[SLICE_PANELS];
    strip_sums sums[MANY_ROWS / STRIP_ROWS][MANY_PANELS];
} many_scratch;

/* s->sums = products of n_rows rows of the activations, from first_row on, with the panels. */
static void multiply_many(const panel_list *panels, const linear_args *a, int first_row, int n_rows, many_scratch *s) {
    const int units = (int)(a->w.k / UNIT_COLS);
    slice at = {.first_row = first_row, .n_rows = n_rows};
    for (at.unit = 0; at.unit < units; at.unit += SLICE_UNITS) {
        at.n_units = units - at.unit < SLICE_UNITS ? units - at.unit : SLICE_UNITS;
        for (at.first_panel = 0; at.first_panel < panels->n_panels; at.first_panel += SLICE_PANELS) {
            unpack_slice(panels, &at, s->weights);
            multiply_slice(a, &at, s->weights, s->sums);
        }
    }
}

#endif
