/* Slices of quantised weights multiplied by a bundle of 2 or 4 rows at a time, on levels whose
 * products of bytes fill a register with sums of several rows, or take one row's activations
 * from the lanes of a register.
 *
 *   codes   chunks of 4 columns are sorted by parts of a panel's outputs, as many parts as a
 *           bundle has rows, less the zero point
 *   rows    a step's columns of each row of the bundle, one row after another; gathered once for
 *           all panels
 *   sums    of a part and a bundle fill one vf, in lanes that the level chooses (verbs.h); they
 *           wait for the next slice as they are, and are parted after the last
 *
 *                 2 rows (smmla)           4 rows (sdot by element)
 *   a step        2 chunks, 8 columns      4 chunks, 16 columns
 *   a part        8 outputs                4 outputs
 *
 * Sums of integers are exact, and the float32 arithmetic on them is that of few_rows.h,
 * lane by lane: a row's result is the same whichever of the two computes it. The last rows
 * are bundled with zeros.
 */
#ifndef LLAMACY_MANY_ROWS_BUNDLES_H
#define LLAMACY_MANY_ROWS_BUNDLES_H

enum {
    PARTS = BUNDLE_ROWS,
    STEP_CHUNKS = BUNDLE_ROWS,
    STEP_COLS = 4 * STEP_CHUNKS,
    UNIT_STEPS = UNIT_COLS / STEP_COLS,
    STRIP_BUNDLES = STRIP_ROWS / BUNDLE_ROWS,
    BUNDLES_MAX = 2, /* whose sums stay in registers */
};

/* One unit of a panel, by parts of its outputs; each scale and minimum for all rows of a bundle. */
typedef struct {
    vi codes[PARTS][UNIT_STEPS];
    vf scale[2][PARTS], minimum[2][PARTS]; /* [group][part] */
} bundle_weights;

/* A slice of a panel: of types that sums_blocks(), one block. */
typedef struct {
    bundle_weights units[SLICE_UNITS];
    vf scale[PARTS], minimum[PARTS]; /* factors of those of its units */
} bundle_slice;
_Static_assert(SLICE_UNITS == BLOCK_UNITS, "a slice is a block");

/* One unit of a bundle: quant_unit and fine_unit. */
typedef struct {
    int8_t q[UNIT_STEPS][BUNDLE_ROWS][STEP_COLS];
    float scale[4];     /* for p_values(), as the rest */
    float sum[4];       /* as minima multiply it */
    float halves[2][4]; /* the same of half a unit each */
} bundle_unit;
typedef struct {
    int8_t q[UNIT_STEPS][BUNDLE_ROWS][STEP_COLS];
    float scale[4];
    int has_fine; /* in any row */
} fine_bundle;

/* One strip and slice. */
typedef struct {
    bundle_unit units[SLICE_UNITS][STRIP_BUNDLES];
    fine_bundle fine[SLICE_UNITS][STRIP_BUNDLES];
} bundled_rows;

/* Values of a panel's outputs, for each row of a bundle. */
INLINE void join_outputs(vf outputs, vf *parts) {
    vf rows[BUNDLE_ROWS];
    UNROLL for (int t = 0; t < BUNDLE_ROWS; t++) rows[t] = outputs;
    p_join(rows, parts);
}

INLINE void unpack_bundled_unit(pack_type type, packed_unit packed, bundle_weights *to) {
    unit_weights w;
    unpack_unit(type, packed, &w);
    UNROLL for (int s = 0; s < UNIT_STEPS; s++) {
        vi parts[PARTS];
        p_codes(w.codes + s * STEP_CHUNKS, dot_zero(type), parts);
        UNROLL for (int part = 0; part < PARTS; part++) to->codes[part][s] = parts[part];
    }
    UNROLL for (int g = 0; g < PACK_TRAITS[type].groups; g++) {
        join_outputs(w.scale[g], to->scale[g]);
        if (has_minimum(type))
            join_outputs(sums_blocks(type) ? minimum_in_block(type, packed, g) : w.minimum[g], to->minimum[g]);
    }
}

INLINE void unpack_bundled(pack_type type, const packed_matrix *w, int64_t panel, int first, int n, bundle_slice *to) {
    for (int i = 0; i < n; i++)
        unpack_bundled_unit(type, find_unit(type, w, panel, (size_t)(first + i)), &to->units[i]);
    if (!sums_blocks(type)) return;
    const packed_unit packed = find_unit(type, w, panel, (size_t)first);
    join_outputs(super_scale(packed), to->scale);
    if (has_minimum(type)) join_outputs(super_minimum(type, packed), to->minimum);
}

/* The number of row t of a bundle, where p_values() reads it. */
INLINE void put_value(float *to, int t, float value) {
    enum { COPIES = 4 / BUNDLE_ROWS };
    UNROLL for (int i = 0; i < COPIES; i++) to[t * COPIES + i] = value;
}

INLINE void put_codes(int8_t (*to)[BUNDLE_ROWS][STEP_COLS], int t, const int8_t *q) {
    UNROLL for (int s = 0; s < UNIT_STEPS; s++) memcpy(to[s][t], q + STEP_COLS * s, STEP_COLS);
}

/* Whether either matrix of the product reads second digits. */
INLINE int reads_fine(const linear_args *a) {
    return PACK_TRAITS[a->w.type].digits == 2 || (is_gated(a->form) && PACK_TRAITS[a->w2.type].digits == 2);
}

/* Groups of columns of which a type's minima want sums, and either matrix of the product. */
INLINE int groups_summed(pack_type type) { return has_minimum(type) ? PACK_TRAITS[type].groups : 0; }
INLINE int reads_sums(const linear_args *a, int groups) {
    return groups_summed(a->w.type) == groups || (is_gated(a->form) && groups_summed(a->w2.type) == groups);
}

/* The rows of a strip in bundles, over a slice; x begins at the slice's first column. */
static void bundle_rows(const linear_args *product, activations x, int n_rows, int n_units, bundled_rows *to) {
    static const quant_unit no_unit;
    static const fine_unit no_fine;
    const int has_fine = reads_fine(product), has_sum = reads_sums(product, 1), has_halves = reads_sums(product, 2);
    for (int u = 0; u < n_units; u++, x.units += x.step, x.fine += x.step)
        for (int row = 0; row < (n_rows + BUNDLE_ROWS - 1) / BUNDLE_ROWS * BUNDLE_ROWS; row++) {
            const int t = row % BUNDLE_ROWS, exists = row < n_rows;
            const quant_unit *unit = exists ? x.units + row : &no_unit;
            bundle_unit *bundle = &to->units[u][row / BUNDLE_ROWS];
            put_codes(bundle->q, t, unit->q);
            put_value(bundle->scale, t, unit->scale);
            if (has_sum) put_value(bundle->sum, t, unit->sum);
            for (int g = 0; g < (has_halves ? 2 : 0); g++) put_value(bundle->halves[g], t, group_sum(PACK_Q2_K, unit, g));
            if (!has_fine) continue;
            const fine_unit *fine = exists ? x.fine + row : &no_fine;
            fine_bundle *second = &to->fine[u][row / BUNDLE_ROWS];
            second->has_fine = (t && second->has_fine) || fine->scale != 0;
            put_codes(second->q, t, fine->q);
            put_value(second->scale, t, fine_scale(unit, fine));
        }
}

/* sums[b] = the sum over group g of a part's outputs times bundle b of x, for f_from_sum(). */
INLINE void dot_bundles(pack_type type, int bundles, const bundle_weights *w, int g, int part, const bundle_unit *x,
                        vi *sums) {
    const int steps = UNIT_STEPS / PACK_TRAITS[type].groups;
    UNROLL for (int b = 0; b < bundles; b++) sums[b] = i_bias();
    UNROLL for (int s = g * steps; s < (g + 1) * steps; s++)
        UNROLL for (int b = 0; b < bundles; b++) sums[b] = p_dots(sums[b], w->codes[part][s], x[b].q[s][0]);
}

/* acc[b] += a part of a unit's outputs times bundle b of x. */
INLINE void add_group_bundles(pack_type type, int bundles, const bundle_weights *w, int part, const bundle_unit *x,
                              vf *acc) {
    vi sums[BUNDLES_MAX];
    dot_bundles(type, bundles, w, 0, part, x, sums);
    const vf scale = p_outputs(&w->scale[0][part]);
    UNROLL for (int b = 0; b < bundles; b++) {
        acc[b] = f_fma(f_mul(f_from_sum(sums[b]), p_values(x[b].scale)), scale, acc[b]);
        if (subtracts_minima(type)) acc[b] = f_fnma(p_outputs(&w->minimum[0][part]), p_values(x[b].sum), acc[b]);
    }
}

INLINE void add_two_group_bundles(pack_type type, int bundles, const bundle_weights *w, int part,
                                  const bundle_unit *x, vf *acc) {
    vf both[BUNDLES_MAX];
    UNROLL for (int g = 0; g < 2; g++) {
        vi sums[BUNDLES_MAX];
        dot_bundles(type, bundles, w, g, part, x, sums);
        const vf scale = p_outputs(&w->scale[g][part]);
        UNROLL for (int b = 0; b < bundles; b++) {
            const vf sum = f_from_sum(sums[b]);
            both[b] = g ? f_fma(sum, scale, both[b]) : f_mul(sum, scale);
        }
    }
    UNROLL for (int b = 0; b < bundles; b++) acc[b] = f_fma(both[b], p_values(x[b].scale), acc[b]);
}

/* Whether second digits were left out of all bundles. */
INLINE int lacks_fine(int bundles, const fine_bundle *fine) {
    int has_fine = 0;
    UNROLL for (int b = 0; b < bundles; b++) has_fine |= fine[b].has_fine;
    return !has_fine;
}

/* The same with both digits, which types of one group read. */
INLINE void add_finely(int bundles, const bundle_weights *w, int part, const bundle_unit *x, const fine_bundle *fine,
                       vf *acc) {
    vi sums[BUNDLES_MAX];
    if (lacks_fine(bundles, fine)) {
        add_group_bundles(PACK_Q8_0, bundles, w, part, x, acc);
        return;
    }
    UNROLL for (int b = 0; b < bundles; b++) sums[b] = i_zero();
    UNROLL for (int s = 0; s < UNIT_STEPS; s++)
        UNROLL for (int b = 0; b < bundles; b++) sums[b] = p_dots(sums[b], w->codes[part][s], x[b].q[s][0]);
    UNROLL for (int b = 0; b < bundles; b++) sums[b] = i_shl(sums[b], FINE_BITS);
    UNROLL for (int s = 0; s < UNIT_STEPS; s++)
        UNROLL for (int b = 0; b < bundles; b++) sums[b] = p_dots(sums[b], w->codes[part][s], fine[b].q[s][0]);
    UNROLL for (int b = 0; b < bundles; b++)
        acc[b] = f_fma(f_mul(f_from_i(sums[b]), p_values(fine[b].scale)), p_outputs(&w->scale[0][part]), acc[b]);
}

/* acc[b] += a part of a slice's outputs times bundle b of x. */
INLINE void add_slice(pack_type type, int bundles, const bundle_slice *w, int part, int n_units,
                      const bundled_rows *x, int first, vf *acc) {
    for (int u = 0; u < n_units; u++) {
        const bundle_unit *units = &x->units[u][first];
        if (PACK_TRAITS[type].digits == 2) add_finely(bundles, &w->units[u], part, units, &x->fine[u][first], acc);
        else if (PACK_TRAITS[type].groups == 2) add_two_group_bundles(type, bundles, &w->units[u], part, units, acc);
        else add_group_bundles(type, bundles, &w->units[u], part, units, acc);
    }
}

/* acc[b] -= a part of a block's minima times bundle b of x. */
INLINE void subtract_slice_minima(pack_type type, int bundles, const bundle_slice *w, int part, int n_units,
                                  const bundled_rows *x, int first, vf *acc) {
    vf minima[BUNDLES_MAX];
    UNROLL for (int b = 0; b < bundles; b++) minima[b] = f_zero();
    for (int u = 0; u < n_units; u++)
        UNROLL for (int g = 0; g < PACK_TRAITS[type].groups; g++) {
            const vf minimum = p_outputs(&w->units[u].minimum[g][part]);
            UNROLL for (int b = 0; b < bundles; b++) {
                const bundle_unit *unit = &x->units[u][first + b];
                const vf sum = p_values(PACK_TRAITS[type].groups == 1 ? unit->sum : unit->halves[g]);
                minima[b] = f_fma(minimum, sum, minima[b]);
            }
        }
    UNROLL for (int b = 0; b < bundles; b++) acc[b] = f_fnma(minima[b], p_outputs(&w->minimum[part]), acc[b]);
}

/* The same as add_slice() of a block, whose scales share a factor. */
INLINE void add_block_slice(pack_type type, int bundles, const bundle_slice *w, int part, int n_units,
                            const bundled_rows *x, int first, vf *acc) {
    if (has_minimum(type)) subtract_slice_minima(type, bundles, w, part, n_units, x, first, acc);
    vf sums[BUNDLES_MAX];
    UNROLL for (int b = 0; b < bundles; b++) sums[b] = f_zero();
    add_slice(type, bundles, w, part, n_units, x, first, sums);
    UNROLL for (int b = 0; b < bundles; b++) acc[b] = f_fma(sums[b], p_outputs(&w->scale[part]), acc[b]);
}

/* sums[PARTS b + part] += the products of bundle b and quantised weights over one slice, in the lanes
 * of p_join() until the last. */
INLINE void multiply_bundled(pack_type type, int bundles, const bundle_slice *w, int n_units, int is_last,
                             const bundled_rows *x, int first, float (*sums)[PANEL_ROWS]) {
    for (int part = 0; part < PARTS; part++) {
        vf acc[BUNDLES_MAX];
        UNROLL for (int b = 0; b < bundles; b++) acc[b] = f_load(sums[PARTS * b + part]);
        if (sums_blocks(type)) add_block_slice(type, bundles, w, part, n_units, x, first, acc);
        else add_slice(type, bundles, w, part, n_units, x, first, acc);
        UNROLL for (int b = 0; b < bundles; b++) f_store(sums[PARTS * b + part], acc[b]);
    }
    if (!is_last) return;
    UNROLL for (int b = 0; b < bundles; b++) {
        vf parts[PARTS], rows[BUNDLE_ROWS];
        UNROLL for (int part = 0; part < PARTS; part++) parts[part] = f_load(sums[PARTS * b + part]);
        p_part(parts, rows);
        UNROLL for (int t = 0; t < BUNDLE_ROWS; t++) f_store(sums[BUNDLE_ROWS * b + t], rows[t]);
    }
}

/* One panel and the rows of one strip. */
typedef void bundle_kernel(const bundle_slice *w, int n_units, int is_last, const bundled_rows *x, int n_bundles,
                           float (*sums)[PANEL_ROWS]);

#define BUNDLED(type)                                                                                            \
    static void bundled_##type(const bundle_slice *w, int n_units, int is_last, const bundled_rows *x,         \
                               int n_bundles, float (*sums)[PANEL_ROWS]) {                                       \
        int b = 0;                                                                                               \
        for (; b + BUNDLES_MAX <= n_bundles; b += BUNDLES_MAX)                                                   \
            multiply_bundled(PACK_##type, BUNDLES_MAX, w, n_units, is_last, x, b, sums + BUNDLE_ROWS * b);       \
        for (; b < n_bundles; b++)                                                                               \
            multiply_bundled(PACK_##type, 1, w, n_units, is_last, x, b, sums + BUNDLE_ROWS * b);                 \
    }
#define BUNDLED_ROW(type) [PACK_##type] = bundled_##type,
EACH_QUANT_TYPE(BUNDLED)

static bundle_kernel *const BUNDLE_KERNELS[PACK_COUNT] = {EACH_QUANT_TYPE(BUNDLED_ROW)};

#endif
