/* Slices of signed bytes multiplied as words, on levels whose dot products of words take fewer
 * instructions than those of signed bytes (AVX2: 2 for each 32 products instead of 4).
 *
 *   codes   become words when a slice is unpacked, and not again for each strip
 *   rows    of two digits are words as they are (digits.h); those of one become words once for
 *           all panels, a strip and slice at a time
 *
 * Sums are exact, and the float32 arithmetic on them is that of few_rows.h: a row's result is the
 * same whichever of the two computes it.
 */
#ifndef LLAMACY_MANY_ROWS_WORDS_H
#define LLAMACY_MANY_ROWS_WORDS_H

enum { UNIT_WORDS = UNIT_COLS / 2 }; /* vectors of words */

/* One unit of a panel. */
typedef struct { vi words[UNIT_WORDS]; vf scale[2]; } word_weights;

/* One strip and slice of rows of one digit, as those of two. */
typedef fine_unit word_rows[SLICE_UNITS][STRIP_ROWS];

/* Whether many rows meet codes of that type as words, and whether rows become words for them. */
INLINE int meets_words(pack_type type) { return is_signed(type); }
INLINE int makes_words(pack_type type) { return meets_words(type) && PACK_TRAITS[type].digits == 1; }
INLINE int has_words(const linear_args *a) {
    return makes_words(a->w.type) || (is_gated(a->form) && makes_words(a->w2.type));
}

INLINE void unpack_words(pack_type type, packed_unit packed, word_weights *to) {
    unit_weights w;
    UNROLL for (int c = 0; c < 8; c++) w_split(code_chunk(type, packed.codes, c), to->words + 2 * c);
    unpack_scales(type, packed, &w);
    UNROLL for (int g = 0; g < PACK_TRAITS[type].groups; g++) to->scale[g] = w.scale[g];
}

/* x begins at the slice's first column, and so does what is returned. */
static activations make_words(activations x, int n_rows, int n_units, word_rows *to) {
    static const int8_t zeros[UNIT_COLS];
    for (int u = 0; u < n_units; u++, x.units += x.step)
        for (int t = 0; t < n_rows; t++) {
            fine_unit *unit = &(*to)[u][t];
            w_store(unit->words, x.units[t].q, zeros, 0);
            unit->scale = x.units[t].scale;
        }
    x.fine = (*to)[0];
    x.step = STRIP_ROWS;
    return x;
}

/* acc[t] += one unit of a panel times row t of x, for each of up to DOT_ROWS rows. */
INLINE void add_words(pack_type type, int rows, const word_weights *w, const fine_unit *x, vf *acc) {
    const int groups = PACK_TRAITS[type].groups, n = UNIT_WORDS / groups;
    vf both[DOT_ROWS];
    UNROLL for (int g = 0; g < groups; g++) {
        vi sums[DOT_ROWS];
        UNROLL for (int t = 0; t < rows; t++) sums[t] = i_zero();
        w_dots(rows, w->words + g * n, n, x->words + 2 * g * n, FINE_STEP, sums);
        UNROLL for (int t = 0; t < rows; t++) {
            const vf sum = f_from_i(sums[t]);
            if (groups == 1) acc[t] = f_fma(f_mul(sum, f_set1(x[t].scale)), w->scale[0], acc[t]);
            else both[t] = g ? f_fma(sum, w->scale[g], both[t]) : f_mul(sum, w->scale[g]);
        }
    }
    if (groups == 1) return;
    UNROLL for (int t = 0; t < rows; t++) acc[t] = f_fma(both[t], f_set1(x[t].scale), acc[t]);
}

#endif
