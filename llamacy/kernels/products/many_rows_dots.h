/* Slices of many_rows.h multiplied by the dot products of few_rows.h, and float32 by FMA.
 *
 * Sums grow in the order of k, unit by unit, as they do in few_rows.h, so that a row's
 * result is the same whichever of the two computes it.
 */
#ifndef LLAMACY_MANY_ROWS_DOTS_H
#define LLAMACY_MANY_ROWS_DOTS_H

#ifdef BUNDLE_ROWS /* quantised weights meet rows in bundles */
#include "products/many_rows_bundles.h"
#define EACH_MANY_TYPE EACH_FLOAT_TYPE
#else
#define EACH_MANY_TYPE EACH_PACK_TYPE
#endif
#ifdef WORD_COLUMNS /* signed bytes meet rows as words */
#include "products/many_rows_words.h"
#endif

/* Each strip meets all panels while its slice is in the L1 cache; theirs stay in the L2 cache. */
enum { SLICE_PANELS = MANY_PANELS, SLICE_COLS = SLICE_UNITS * UNIT_COLS, GATHERED_COLS = SLICE_COLS + 16 };

typedef union {
    unit_weights units[SLICE_UNITS];
    fixed_weights fixed[SLICE_UNITS];
#ifdef BUNDLE_ROWS
    bundle_slice bundles;
#endif
#ifdef WORD_COLUMNS
    word_weights words[SLICE_UNITS];
#endif
    float columns[SLICE_COLS][PANEL_ROWS];
} slice_weights;

/* Whether either matrix of the product holds floats, and whether either is multiplied by floats. */
INLINE int has_floats(const linear_args *a) {
    return is_float_pack(a->w.type) || (is_gated(a->form) && is_float_pack(a->w2.type));
}
INLINE int gathers_floats(const linear_args *a) {
    return reads_floats(&a->w) || (is_gated(a->form) && reads_floats(&a->w2));
}

/* Whether a product is of rows enough to unpack its weights once for all of them. */
INLINE int wants_many(const linear_args *a) {
    if (has_floats(a)) return a->m >= FLOAT_MIN_ROWS && a->w.k % UNIT_COLS == 0;
    return a->m >= QUANT_MIN_ROWS;
}

INLINE void unpack_slice_of(pack_type type, const packed_matrix *w, int64_t panel, const slice *at,
                            slice_weights *to) {
    const uint8_t *codes = panel_of(w, panel);
    if (is_fixed(type)) {
        for (int i = 0; i < at->n_units; i++) unpack_fixed(type, codes, (size_t)(at->unit + i), &to->fixed[i]);
        return;
    }
    if (is_float_pack(type)) {
        for (size_t k = 0; k < (size_t)at->n_units * UNIT_COLS; k++)
            f_store(to->columns[k], float_column(type, codes, (size_t)at->unit * UNIT_COLS + k));
        return;
    }
#ifdef BUNDLE_ROWS
    unpack_bundled(type, w, panel, at->unit, at->n_units, &to->bundles);
#else
    for (int i = 0; i < at->n_units; i++) {
        const packed_unit unit = find_unit(type, w, panel, (size_t)(at->unit + i));
#ifdef WORD_COLUMNS
        if (meets_words(type)) unpack_words(type, unit, &to->words[i]);
        else
#endif
            unpack_unit(type, unit, &to->units[i]);
    }
#endif
}

static void unpack_slice(const packed_matrix *w, int64_t panel, const slice *at, slice_weights *to) {
    switch (w->type) {
#define UNPACK(type) case PACK_##type: unpack_slice_of(PACK_##type, w, panel, at, to); break;
        EACH_PACK_TYPE(UNPACK)
    default: break;
    }
}

/* sums[t] += the products of row t of x and quantised weights over one slice. */
INLINE void multiply_units(pack_type type, int rows, const slice_weights *w, int n_units, const activations *x,
                           float (*sums)[PANEL_ROWS]) {
    const quant_unit *unit = x->units;
    const fine_unit *fine = x->fine;
    vf acc[ROWS_MAX];
    UNROLL for (int t = 0; t < rows; t++) acc[t] = f_load(sums[t]);
    for (int u = 0; u < n_units; u++, unit += x->step, fine += x->step) {
#ifdef WORD_COLUMNS
        if (meets_words(type)) {
            add_words(type, rows, &w->words[u], fine, acc);
            continue;
        }
#endif
        add_units(type, rows, &w->units[u], unit, fine, acc);
    }
    UNROLL for (int t = 0; t < rows; t++) f_store(sums[t], acc[t]);
}

/* The same in fixed point. */
INLINE void multiply_fixed(int rows, const slice_weights *w, int n_units, const activations *x,
                           float (*sums)[PANEL_ROWS]) {
    const fixed_unit *unit = x->fixed;
    vf acc[ROWS_MAX];
    UNROLL for (int t = 0; t < rows; t++) acc[t] = f_load(sums[t]);
    for (int u = 0; u < n_units; u++, unit += x->step) add_fixed(rows, &w->fixed[u], unit, acc);
    UNROLL for (int t = 0; t < rows; t++) f_store(sums[t], acc[t]);
}

/* The same with float weights and gathered rows. */
INLINE void multiply_columns(int rows, const slice_weights *w, int n_units, const activations *x,
                             float (*sums)[PANEL_ROWS]) {
    vf acc[ROWS_MAX];
    UNROLL for (int t = 0; t < rows; t++) acc[t] = f_load(sums[t]);
    for (size_t k = 0; k < (size_t)n_units * UNIT_COLS; k++) {
        const vf column = f_load(w->columns[k]);
        UNROLL for (int t = 0; t < rows; t++)
            acc[t] = f_fma(column, f_set1(x->floats[t * GATHERED_COLS + k]), acc[t]);
    }
    UNROLL for (int t = 0; t < rows; t++) f_store(sums[t], acc[t]);
}

typedef void many_kernel(const slice_weights *w, int n_units, const activations *x, float (*sums)[PANEL_ROWS]);

#define MANY(type, rows)                                                                               \
    static void many_##type##_##rows(const slice_weights *w, int n_units, const activations *x,        \
                                     float (*sums)[PANEL_ROWS]) {                                      \
        if (is_fixed(PACK_##type)) multiply_fixed(rows, w, n_units, x, sums);                          \
        else if (is_float_pack(PACK_##type)) multiply_columns(rows, w, n_units, x, sums);              \
        else multiply_units(PACK_##type, rows, w, n_units, x, sums);                                   \
    }
#if ROWS_MAX >= 16
#define MANIES(type) MANY(type, 1) MANY(type, 2) MANY(type, 4) MANY(type, 8) MANY(type, 16)
#define MANY_ROW(type) \
    [PACK_##type] = {many_##type##_1, many_##type##_2, many_##type##_4, many_##type##_8, many_##type##_16},
#elif ROWS_MAX >= 4
#define MANIES(type) MANY(type, 1) MANY(type, 2) MANY(type, 4)
#define MANY_ROW(type) [PACK_##type] = {many_##type##_1, many_##type##_2, many_##type##_4},
#else
#define MANIES(type) MANY(type, 1)
#define MANY_ROW(type) [PACK_##type] = {many_##type##_1},
#endif
EACH_MANY_TYPE(MANIES)

/* [type][log2(rows)] */
static many_kernel *const MANY_KERNELS[PACK_COUNT][5] = {EACH_MANY_TYPE(MANY_ROW)};

/* One panel and the n_rows rows of one strip; x begins at the slice's first column. */
static void multiply_strip(pack_type type, activations x, int n_rows, int n_units, const slice_weights *weights,
                           float (*sums)[PANEL_ROWS]) {
    for (int t = 0; t < n_rows;) {
        const int log2 = log2_rows(n_rows - t);
        MANY_KERNELS[type][log2](weights, n_units, &x, sums + t);
        if (x.floats) {
            x.floats += ((size_t)1 << log2) * x.ld;
        } else {
            x.units += 1 << log2;
            x.fine += 1 << log2;
            x.fixed += 1 << log2;
        }
        t += 1 << log2;
    }
}

/* Rows of floats are gathered first: their distance in x is often a power of two, which
 * would put all of them into the same set of the L1 cache. */
typedef float gathered_rows[STRIP_ROWS][GATHERED_COLS];

static activations gather_rows(const linear_args *a, int row, int n_rows, const slice *at, gathered_rows *to) {
    for (int t = 0; t < n_rows; t++)
        memcpy((*to)[t], a->x + (size_t)(row + t) * a->ldx + at->unit * UNIT_COLS,
               sizeof(float) * (size_t)at->n_units * UNIT_COLS);
    activations x = {0};
    x.floats = (*to)[0];
    x.ld = GATHERED_COLS;
    return x;
}

static activations slice_rows(const linear_args *a, int row, const slice *at) {
    activations x = quantized_rows(a->prepared, (int)a->w.k, a->m, row);
    x.units += (size_t)at->unit * x.step;
    x.fine += (size_t)at->unit * x.step;
    x.fixed += (size_t)at->unit * x.step;
    return x;
}

static void multiply_slice(const panel_list *panels, const linear_args *a, const slice *at,
                           const slice_weights *weights, strip_sums (*sums)[MANY_PANELS]) {
    for (int strip = 0; strip * STRIP_ROWS < at->n_rows; strip++) {
        const int row = at->first_row + strip * STRIP_ROWS, rest = at->n_rows - strip * STRIP_ROWS;
        const int n_rows = rest < STRIP_ROWS ? rest : STRIP_ROWS;
        gathered_rows gathered;
        const activations units = a->prepared ? slice_rows(a, row, at) : (activations){0};
        const activations floats = gathers_floats(a) ? gather_rows(a, row, n_rows, at, &gathered) : units;
#ifdef BUNDLE_ROWS
        bundled_rows bundles;
        if (a->prepared) bundle_rows(a, units, n_rows, at->n_units, &bundles);
#endif
#ifdef WORD_COLUMNS
        word_rows made;
        const activations words = has_words(a) ? make_words(units, n_rows, at->n_units, &made) : units;
#endif
        for (int i = 0; i < panels->n_panels; i++) {
            if (!panels->w[i]) continue;
            const packed_matrix *w = panels->w[i];
            if (at->unit == 0) memset(sums[strip][i], 0, sizeof(strip_sums));
#ifdef BUNDLE_ROWS
            if (!is_float_pack(w->type)) {
                const int is_last = (at->unit + at->n_units) * UNIT_COLS == a->w.k;
                const int n_bundles = (n_rows + BUNDLE_ROWS - 1) / BUNDLE_ROWS;
                BUNDLE_KERNELS[w->type](&weights[i].bundles, at->n_units, is_last, &bundles, n_bundles, sums[strip][i]);
                continue;
            }
#endif
            const activations *x = reads_floats(w) ? &floats : &units;
#ifdef WORD_COLUMNS
            if (makes_words(w->type)) x = &words;
#endif
            multiply_strip(w->type, *x, n_rows, at->n_units, &weights[i], sums[strip][i]);
        }
    }
}

typedef struct {
    slice_weights weights[SLICE_PANELS];
    strip_sums sums[MANY_ROWS / STRIP_ROWS][MANY_PANELS];
} many_scratch;

/* s->sums = products of n_rows rows of the activations, from first_row on, with the panels. */
static void multiply_many(const panel_list *panels, const linear_args *a, int first_row, int n_rows, many_scratch *s) {
    const int units = (int)(a->w.k / UNIT_COLS);
    for (int unit = 0; unit < units; unit += SLICE_UNITS) {
        const int n_units = units - unit < SLICE_UNITS ? units - unit : SLICE_UNITS;
        const slice at = {unit, n_units, first_row, n_rows, 0};
        for (int i = 0; i < panels->n_panels; i++)
            if (panels->w[i]) unpack_slice(panels->w[i], panels->panel[i], &at, &s->weights[i]);
        multiply_slice(panels, a, &at, s->weights, s->sums);
    }
}

#endif
