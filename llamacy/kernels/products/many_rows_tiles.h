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

/* Rows begin .. end of the m of x into their tiles, 16 at a time: those of a tile lie side by side. */
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

/* Scales may be so large that their product with the zero point overflows. */
INLINE int is_far(pack_type type) { return PACK_TRAITS[type].scales == SCALE_E8M0; }

/* The offset of group g: a weight is scale * code - offset. */
INLINE vf tile_offset(pack_type type, packed_unit unit, int g, vf scale) {
    return has_minimum(type) ? group_minimum(type, unit, g) : f_mul(f_set1((float)dot_zero(type)), scale);
}

/* A unit of a panel as a tile: row p has columns 2p and 2p + 1 of the 16 rows. */
INLINE void unpack_quant_tile(pack_type type, packed_unit unit, uint8_t *tile) {
    for (int c = 0; c < 8; c++) {
        const int g = PACK_TRAITS[type].groups == 1 ? 0 : c / 4;
        const vf scale = group_scale(type, unit, g);
        const vf zero = f_set1((float)dot_zero(type)), low = f_sub(f_zero(), tile_offset(type, unit, g, scale));
        const vi chunk = code_chunk(type, unit.codes, c);
        vf column[4];
        UNROLL for (int j = 0; j < 4; j++) {
            const vf code = f_from_i(t_byte(chunk, j));
            column[j] = is_far(type) ? f_mul(f_sub(code, zero), scale) : f_fma(code, scale, low);
        }
        put_pairs(tile + 128 * c, column[0], column[1]);
        put_pairs(tile + 128 * c + 64, column[2], column[3]);
    }
}

INLINE void unpack_float_tile(pack_type type, const uint8_t *codes, size_t u, uint8_t *tile) {
    for (int p = 0; p < 16; p++) {
        const size_t k = u * UNIT_COLS + 2 * (size_t)p;
        put_pairs(tile + 64 * p, float_column(type, codes, k), float_column(type, codes, k + 1));
    }
}

static void unpack_slice(const packed_matrix *w, int64_t panel, const slice *at, slice_weights *to) {
    switch (w->type) {
#define UNPACK(type)                                                                                             \
    case PACK_##type:                                                                                            \
        for (int i = 0; i < at->n_units; i++)                                                                    \
            if (is_float_pack(PACK_##type))                                                                      \
                unpack_float_tile(PACK_##type, panel_of(w, panel), (size_t)(at->unit + i), (*to)[i]);            \
            else                                                                                                 \
                unpack_quant_tile(PACK_##type, find_unit(PACK_##type, w, panel, (size_t)(at->unit + i)), (*to)[i]); \
        break;
        EACH_PACK_TYPE(UNPACK)
    default: break;
    }
}

/* A strip of x and 4 panels: the slice of each, and the sums of their products. */
typedef struct {
    const uint8_t *x;
    const slice_weights *weights;
    int n_units, is_first;        /* first: sums begin with it */
    strip_sums *sums, *last_sums; /* last: of the strip before, still in registers, or NULL */
} strip_product;

/* A tile of x is fetched into the L1 cache so far ahead of its use. */
enum { X_AHEAD = 2 * TILE_BYTES };
INLINE void fetch_half(const uint8_t *x) {
    UNROLL for (int line = 0; line < TILE_BYTES / 2; line += 64) PREFETCH(x + line);
}

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
        const uint8_t *x = p->x;                                               \
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
            fetch_half(x + X_AHEAD);                                           \
            TIMES_PANEL(s1, p, 1, u);                                          \
            fetch_half(x + X_AHEAD + TILE_BYTES / 2);                          \
            TIMES_PANEL(s2, p, 2, u);                                          \
            TIMES_PANEL(s3, p, 3, u);                                          \
        }                                                                      \
    }
/* Three pairs of registers: a strip's sums take two of them, and the next strip begins with the third. */
STRIP_KERNEL(strip_in_0123, 0, 1, 2, 3, 6, 7)
STRIP_KERNEL(strip_in_6701, 6, 7, 0, 1, 2, 3)
STRIP_KERNEL(strip_in_2367, 2, 3, 6, 7, 0, 1)

static void multiply_slice(const panel_list *panels, const linear_args *a, const slice *at,
                           const slice_weights *weights, strip_sums (*sums)[MANY_PANELS]) {
    (void)panels;
    const int n_strips = (at->n_rows + STRIP_ROWS - 1) / STRIP_ROWS;
    strip_product p = {.weights = weights, .n_units = at->n_units, .is_first = at->unit == 0};
    for (int strip = 0; strip < n_strips; strip++) {
        p.x = row_tile(a->prepared, (int)a->w.k, a->m, at->first_row + strip * STRIP_ROWS, at->unit);
        p.sums = sums[strip] + at->first_panel;
        switch (strip % 3) {
        case 0: strip_in_0123(&p); break;
        case 1: strip_in_6701(&p); break;
        default: strip_in_2367(&p);
        }
        p.last_sums = p.sums;
    }
    switch (n_strips % 3) {
    case 1: END_SUM(0, &p, 0); END_SUM(1, &p, 1); END_SUM(2, &p, 2); END_SUM(3, &p, 3); break;
    case 2: END_SUM(6, &p, 0); END_SUM(7, &p, 1); END_SUM(0, &p, 2); END_SUM(1, &p, 3); break;
    default: END_SUM(2, &p, 0); END_SUM(3, &p, 1); END_SUM(6, &p, 2); END_SUM(7, &p, 3);
    }
}

#endif
