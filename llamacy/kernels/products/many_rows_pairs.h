/* Slices of quantised weights multiplied by two rows at a time, on levels with matrix products
 * of bytes: 8 columns of 2 rows times 8 columns of 2 outputs are 2 x 2 sums, in one instruction.
 *
 *   codes   two chunks of 4 columns become one of 8, less the zero point: of outputs 0 .. 7,
 *           and of 8 .. 15
 *   rows    8 columns of row 2p, then the same of row 2p + 1; gathered once for all panels
 *   sums    of half a panel and two rows: lane 4i + 2r + j is output 2i + j of row 2p + r; they
 *           wait for the next slice as they are, and are parted after the last
 *
 * Sums of integers are exact, and the float32 arithmetic on them is that of few_rows.h,
 * lane by lane: a row's result is the same whichever of the two computes it. A last odd row
 * is paired with zeros.
 */
#ifndef LLAMACY_MANY_ROWS_PAIRS_H
#define LLAMACY_MANY_ROWS_PAIRS_H

enum { STRIP_PAIRS = STRIP_ROWS / 2, UNIT_STEPS = UNIT_COLS / 8, PAIRS_MAX = 2 };

/* One unit of a panel, by halves of its outputs; each scale and minimum for both rows. */
typedef struct {
    vi codes[2][UNIT_STEPS];
    vf scale[2][2], minimum[2][2]; /* [group][half] */
} pair_weights;

/* One unit of two rows: quant_unit and fine_unit, each number twice. */
typedef struct {
    int8_t q[UNIT_STEPS][16];
    float scale[4];
    float sum[4];      /* as minima multiply it */
    float minus[2][4]; /* the same of half a unit each, before the scale multiplies it */
} pair_unit;
typedef struct {
    int8_t q[UNIT_STEPS][16];
    float scale[4];
    int has_fine; /* in either row */
} fine_pair;

/* One strip and slice. */
typedef struct {
    pair_unit units[SLICE_UNITS][STRIP_PAIRS];
    fine_pair fine[SLICE_UNITS][STRIP_PAIRS];
} paired_rows;

INLINE void unpack_pairs(pack_type type, packed_unit packed, pair_weights *to) {
    unit_weights w;
    unpack_unit(type, packed, &w);
    UNROLL for (int s = 0; s < UNIT_STEPS; s++)
        p_codes(w.codes[2 * s], w.codes[2 * s + 1], dot_zero(type), &to->codes[0][s], &to->codes[1][s]);
    UNROLL for (int g = 0; g < PACK_TRAITS[type].groups; g++) {
        p_join(w.scale[g], w.scale[g], &to->scale[g][0], &to->scale[g][1]);
        if (has_minimum(type)) p_join(w.minimum[g], w.minimum[g], &to->minimum[g][0], &to->minimum[g][1]);
    }
}

INLINE void put_twice(float *to, float a, float b) { to[0] = to[1] = a, to[2] = to[3] = b; }

INLINE void pair_codes(const int8_t *a, const int8_t *b, int8_t (*to)[16]) {
    UNROLL for (int s = 0; s < UNIT_STEPS; s++) {
        memcpy(to[s], a + 8 * s, 8);
        memcpy(to[s] + 8, b + 8 * s, 8);
    }
}

/* Whether either matrix of the product reads second digits. */
INLINE int reads_fine(const linear_args *a) {
    return PACK_TRAITS[a->w.type].digits == 2 || (is_gated(a->form) && PACK_TRAITS[a->w2.type].digits == 2);
}

/* Whether either has minima of half units. */
INLINE int has_halves(pack_type type) { return has_minimum(type) && PACK_TRAITS[type].groups == 2; }
INLINE int reads_halves(const linear_args *a) {
    return has_halves(a->w.type) || (is_gated(a->form) && has_halves(a->w2.type));
}

/* The rows of a strip in pairs, over a slice; x begins at the slice's first column. */
static void pair_rows(const linear_args *product, activations x, int n_rows, int n_units, paired_rows *to) {
    static const quant_unit no_unit;
    static const fine_unit no_fine;
    const int has_fine = reads_fine(product), needs_halves = reads_halves(product);
    for (int u = 0; u < n_units; u++, x.units += x.step, x.fine += x.step)
        for (int t = 0; t < n_rows; t += 2) {
            const int has_other = t + 1 < n_rows;
            const quant_unit *a = x.units + t, *b = has_other ? a + 1 : &no_unit;
            pair_unit *pair = &to->units[u][t / 2];
            pair_codes(a->q, b->q, pair->q);
            put_twice(pair->scale, a->scale, b->scale);
            put_twice(pair->sum, a->sum, b->sum);
            for (int g = 0; g < (needs_halves ? 2 : 0); g++)
                put_twice(pair->minus[g], (float)a->minus[1 + g], (float)b->minus[1 + g]);
            if (!has_fine) continue;
            const fine_unit *fine = x.fine + t, *other = has_other ? fine + 1 : &no_fine;
            fine_pair *second = &to->fine[u][t / 2];
            second->has_fine = fine->scale != 0 || other->scale != 0;
            pair_codes(fine->q, other->q, second->q);
            put_twice(second->scale, fine_scale(a, fine), fine_scale(b, other));
        }
}

/* sums[t] = the sum over group g of half a unit's outputs times pair t of x, for f_from_sum(). */
INLINE void dot_pairs(pack_type type, int pairs, const pair_weights *w, int g, int half, const pair_unit *x,
                      vi *sums) {
    const int steps = UNIT_STEPS / PACK_TRAITS[type].groups;
    UNROLL for (int t = 0; t < pairs; t++) sums[t] = p_start();
    UNROLL for (int s = g * steps; s < (g + 1) * steps; s++)
        UNROLL for (int t = 0; t < pairs; t++) sums[t] = p_dots(sums[t], w->codes[half][s], x[t].q[s]);
}

/* acc[t] += half a unit's outputs times pair t of x. */
INLINE void add_group_pairs(pack_type type, int pairs, const pair_weights *w, int half, const pair_unit *x, vf *acc) {
    vi sums[PAIRS_MAX];
    dot_pairs(type, pairs, w, 0, half, x, sums);
    UNROLL for (int t = 0; t < pairs; t++) {
        acc[t] = f_fma(f_mul(f_from_sum(sums[t]), p_values(x[t].scale)), w->scale[0][half], acc[t]);
        if (has_minimum(type)) acc[t] = f_fnma(w->minimum[0][half], p_values(x[t].sum), acc[t]);
    }
}

INLINE void add_two_group_pairs(pack_type type, int pairs, const pair_weights *w, int half, const pair_unit *x,
                                vf *acc) {
    vf both[PAIRS_MAX];
    UNROLL for (int g = 0; g < 2; g++) {
        vi sums[PAIRS_MAX];
        dot_pairs(type, pairs, w, g, half, x, sums);
        UNROLL for (int t = 0; t < pairs; t++) {
            const vf sum = f_from_sum(sums[t]), scale = w->scale[g][half];
            both[t] = g ? f_fma(sum, scale, both[t]) : f_mul(sum, scale);
            if (has_minimum(type)) both[t] = f_fma(w->minimum[g][half], p_values(x[t].minus[g]), both[t]);
        }
    }
    UNROLL for (int t = 0; t < pairs; t++) acc[t] = f_fma(both[t], p_values(x[t].scale), acc[t]);
}

/* Whether second digits were left out of all pairs. */
INLINE int lacks_fine(int pairs, const fine_pair *fine) {
    int has_fine = 0;
    UNROLL for (int t = 0; t < pairs; t++) has_fine |= fine[t].has_fine;
    return !has_fine;
}

/* The same with both digits, which types of one group read. */
INLINE void add_finely(int pairs, const pair_weights *w, int half, const pair_unit *x, const fine_pair *fine,
                       vf *acc) {
    vi sums[PAIRS_MAX];
    if (lacks_fine(pairs, fine)) {
        add_group_pairs(PACK_Q8_0, pairs, w, half, x, acc);
        return;
    }
    UNROLL for (int t = 0; t < pairs; t++) sums[t] = i_zero();
    UNROLL for (int s = 0; s < UNIT_STEPS; s++)
        UNROLL for (int t = 0; t < pairs; t++) sums[t] = p_dots(sums[t], w->codes[half][s], x[t].q[s]);
    UNROLL for (int t = 0; t < pairs; t++) sums[t] = i_shl(sums[t], FINE_BITS);
    UNROLL for (int s = 0; s < UNIT_STEPS; s++)
        UNROLL for (int t = 0; t < pairs; t++) sums[t] = p_dots(sums[t], w->codes[half][s], fine[t].q[s]);
    UNROLL for (int t = 0; t < pairs; t++)
        acc[t] = f_fma(f_mul(f_from_i(sums[t]), p_values(fine[t].scale)), w->scale[0][half], acc[t]);
}

/* sums[t] += the products of two rows a pair and quantised weights over one slice, in the lanes
 * of p_join() until the last. */
INLINE void multiply_paired(pack_type type, int pairs, const pair_weights *w, int n_units, int is_last,
                            const paired_rows *x, int first, float (*sums)[PANEL_ROWS]) {
    for (int half = 0; half < 2; half++) {
        vf acc[PAIRS_MAX];
        UNROLL for (int t = 0; t < pairs; t++) acc[t] = f_load(sums[2 * t + half]);
        for (int u = 0; u < n_units; u++) {
            const pair_unit *units = &x->units[u][first];
            if (PACK_TRAITS[type].digits == 2) add_finely(pairs, &w[u], half, units, &x->fine[u][first], acc);
            else if (PACK_TRAITS[type].groups == 2) add_two_group_pairs(type, pairs, &w[u], half, units, acc);
            else add_group_pairs(type, pairs, &w[u], half, units, acc);
        }
        UNROLL for (int t = 0; t < pairs; t++) f_store(sums[2 * t + half], acc[t]);
    }
    if (!is_last) return;
    UNROLL for (int t = 0; t < pairs; t++) {
        vf one, other;
        p_part(f_load(sums[2 * t]), f_load(sums[2 * t + 1]), &one, &other);
        f_store(sums[2 * t], one);
        f_store(sums[2 * t + 1], other);
    }
}

/* One panel and the rows of one strip. */
typedef void pair_kernel(const pair_weights *w, int n_units, int is_last, const paired_rows *x, int n_pairs,
                         float (*sums)[PANEL_ROWS]);

#define PAIRED(type)                                                                                          \
    static void paired_##type(const pair_weights *w, int n_units, int is_last, const paired_rows *x, int n_pairs, \
                              float (*sums)[PANEL_ROWS]) {                                                    \
        int p = 0;                                                                                            \
        for (; p + PAIRS_MAX <= n_pairs; p += PAIRS_MAX)                                                      \
            multiply_paired(PACK_##type, PAIRS_MAX, w, n_units, is_last, x, p, sums + 2 * p);                 \
        for (; p < n_pairs; p++) multiply_paired(PACK_##type, 1, w, n_units, is_last, x, p, sums + 2 * p);    \
    }
#define PAIRED_ROW(type) [PACK_##type] = paired_##type,
EACH_QUANT_TYPE(PAIRED)

static pair_kernel *const PAIR_KERNELS[PACK_COUNT] = {EACH_QUANT_TYPE(PAIRED_ROW)};

#endif
