/* Few rows: the microkernel, a panel's 16 outputs of ROWS rows, over all of K.
 *
 *   out[t][n] = sum over k of w[16 panel + n][k] * x[t][k]
 *
 * Quantised weights meet activations quantised to int8 in units of 32:
 *
 *   sum over units u, groups g of
 *       scale[g][n] * x.scale * (sum over the group of (code - zero) * x.q)  -  minimum[g][n] * x.sum
 *
 * The inner sum is exact in int32; the rest is float32, always in the order of k,
 * so that a row's result depends on nothing but the row: not on how many rows are
 * read together, nor on which thread reads them.
 *
 * Per unit of a 4-bit type and with AVX-512: 4 loads, 8 masks and 4 shifts unpack the
 * codes once for all rows; each row costs 8 dot products with the activations broadcast
 * from memory, a conversion, a multiplication and an FMA (two with a minimum). These 10 or
 * 11 instructions on two ports bound the rate to 80 or 73 % of what dot products alone
 * would reach.
 *
 * TYPE and ROWS are constants in every instance. With few rows (decode) memory is the
 * limit: panels follow one another there, and are prefetched. With many (prefill) the
 * weights may be unpacked once for all of them: many_rows.h.
 */
#ifndef LLAMACY_FEW_ROWS_H
#define LLAMACY_FEW_ROWS_H

#include "products/activations.h"
#include "products/unpack.h"

INLINE void prefetch_bytes(const uint8_t *p, size_t n) {
    UNROLL for (size_t i = 0; i < n; i += 64) PREFETCH(p + i);
}

/* Prefetch n bytes of a stream, PREFETCH_BYTES ahead of p: by as much as is read while
 * memory answers. */
INLINE void prefetch_ahead(const uint8_t *p, size_t n) { prefetch_bytes(p + PREFETCH_BYTES, n); }

/* log2 of the number of rows that one kernel takes when n are left. */
INLINE int log2_rows(int n) {
    int log2 = 0;
    while (2 << log2 <= n && 2 << log2 <= ROWS_MAX) log2++;
    return log2;
}

/* Whether the factor that the scales of a block share multiplies the sum of its units, and not each scale. */
INLINE int sums_blocks(pack_type type) {
#ifdef SUMS_BLOCKS
    return has_super(type);
#else
    (void)type;
    return 0;
#endif
}
/* Whether minima are subtracted unit by unit. */
INLINE int subtracts_minima(pack_type type) { return has_minimum(type) && !sums_blocks(type); }

/* One unit of a panel as dot products read it; scales and minima by group of columns. */
typedef struct { vi codes[8]; vf scale[2], minimum[2]; } unit_weights;

INLINE void unpack_scales(pack_type type, packed_unit packed, unit_weights *w) {
    UNROLL for (int g = 0; g < PACK_TRAITS[type].groups; g++) {
        w->scale[g] = sums_blocks(type) ? scale_in_block(type, packed, g) : group_scale(type, packed, g);
        if (subtracts_minima(type)) w->minimum[g] = group_minimum(type, packed, g);
    }
}

INLINE void unpack_unit(pack_type type, packed_unit packed, unit_weights *w) {
    UNROLL for (int c = 0; c < 8; c++) w->codes[c] = code_chunk(type, packed.codes, c);
    unpack_scales(type, packed, w);
}

/* The start of a sum of codes times activations, so that a code counts from the zero point. */
INLINE vi dot_start(pack_type type, const int32_t *minus) {
    return dot_zero(type) ? i_start(minus, __builtin_ctz((unsigned)dot_zero(type))) : i_zero();
}

/* The same for sums of one digit, which a level may convert in fewer cycles: f_from_sum(). */
#ifdef SUM_BIAS
INLINE vi sum_start(pack_type type, const int32_t *minus) {
    const int32_t start = SUM_BIAS + *minus * dot_zero(type);
    return dot_zero(type) ? i_start(&start, 0) : i_bias();
}
#else
#define f_from_sum f_from_i
INLINE vi sum_start(pack_type type, const int32_t *minus) { return dot_start(type, minus); }
#endif

/* sums[t] = the sum over group g of codes, less their zero point, times row t, for f_from_sum(). Codes are
 * unpacked on the way, four chunks at a time, if `packed` is not NULL. */
INLINE void dot_group(pack_type type, int rows, int g, const unit_weights *w, const uint8_t *packed,
                      const quant_unit *x, vi *sums) {
    const int groups = PACK_TRAITS[type].groups, chunks = 8 / groups;
    UNROLL for (int t = 0; t < rows; t++) sums[t] = sum_start(type, &x[t].minus[groups == 1 ? 0 : 1 + g]);
    if (!packed) {
        i_dots(rows, w->codes + g * chunks, chunks, x->q + 4 * g * chunks, sizeof *x, dot_bits(type), sums);
        return;
    }
    UNROLL for (int first = g * chunks; first < (g + 1) * chunks; first += 4) {
        vi codes[4];
        LOAD_AGAIN(packed);
        UNROLL for (int c = 0; c < 4; c++) codes[c] = code_chunk(type, packed, first + c);
        i_dots(rows, codes, 4, x->q + 4 * first, sizeof *x, dot_bits(type), sums);
    }
}

/* acc[t] += one unit of a panel times row t of x, for each of up to DOT_ROWS rows. */
INLINE void add_group(pack_type type, int rows, const unit_weights *w, const uint8_t *packed, const quant_unit *x,
                      vf *acc) {
    vi sums[DOT_ROWS];
    dot_group(type, rows, 0, w, packed, x, sums);
    UNROLL for (int t = 0; t < rows; t++) {
        acc[t] = f_fma(f_mul(f_from_sum(sums[t]), f_set1(x[t].scale)), w->scale[0], acc[t]);
        if (subtracts_minima(type)) acc[t] = f_fnma(w->minimum[0], f_set1(x[t].sum), acc[t]);
    }
}

/* The same of a unit of two groups, which the scale of x multiplies together. */
INLINE void add_two_groups(pack_type type, int rows, const unit_weights *w, const uint8_t *packed,
                           const quant_unit *x, vf *acc) {
    vf both[DOT_ROWS];
    UNROLL for (int g = 0; g < 2; g++) {
        vi sums[DOT_ROWS];
        dot_group(type, rows, g, w, packed, x, sums);
        UNROLL for (int t = 0; t < rows; t++) {
            const vf sum = f_from_sum(sums[t]);
            both[t] = g ? f_fma(sum, w->scale[g], both[t]) : f_mul(sum, w->scale[g]);
            if (subtracts_minima(type)) both[t] = f_fma(w->minimum[g], f_set1((float)x[t].minus[1 + g]), both[t]);
        }
    }
    UNROLL for (int t = 0; t < rows; t++) acc[t] = f_fma(both[t], f_set1(x[t].scale), acc[t]);
}

INLINE void add_unit(pack_type type, int rows, const unit_weights *w, const uint8_t *packed, const quant_unit *x,
                     vf *acc) {
    if (PACK_TRAITS[type].groups == 2) add_two_groups(type, rows, w, packed, x, acc);
    else add_group(type, rows, w, packed, x, acc);
}

/* sums[t] = the sum of codes times both digits of row t. */
INLINE void dot_digits(pack_type type, int rows, const vi *codes, const quant_unit *x, const fine_unit *fine,
                       vi *sums) {
#ifdef WORD_COLUMNS
    (void)type, (void)x;
    UNROLL for (int t = 0; t < rows; t++) sums[t] = i_zero();
    UNROLL for (int c = 0; c < 8; c++) {
        vi words[2];
        w_split(codes[c], words);
        w_dots(rows, words, 2, fine->words + 4 * c, FINE_STEP, sums);
    }
#else
    vi whole[DOT_ROWS];
    UNROLL for (int t = 0; t < rows; t++) whole[t] = i_zero();
    i_dots(rows, codes, 8, x->q, sizeof *x, dot_bits(type), whole);
    UNROLL for (int t = 0; t < rows; t++) sums[t] = dot_start(type, &fine[t].minus);
    i_dots(rows, codes, 8, fine->q, sizeof *fine, dot_bits(type), sums);
    UNROLL for (int t = 0; t < rows; t++) sums[t] = i_add(i_shl(whole[t], FINE_BITS), sums[t]);
#endif
}

/* As add_unit, with both digits. */
INLINE void add_both_digits(pack_type type, int rows, const unit_weights *w, const quant_unit *x,
                            const fine_unit *fine, vf *acc) {
    vi sums[DOT_ROWS];
    dot_digits(type, rows, w->codes, x, fine, sums);
    UNROLL for (int t = 0; t < rows; t++)
        acc[t] = f_fma(f_mul(f_from_i(sums[t]), f_set1(fine_scale(x + t, fine + t))), w->scale[0], acc[t]);
}

/* Whether any of up to DOT_ROWS rows has a second digit. */
INLINE int has_fine(int rows, const fine_unit *fine) {
    int found = 0;
    UNROLL for (int t = 0; t < rows; t++) found |= fine[t].scale != 0;
    return found;
}

/* The same, with both digits of rows that have them. */
INLINE void add_unit_finely(pack_type type, int rows, const unit_weights *w, const quant_unit *x,
                            const fine_unit *fine, vf *acc) {
#ifdef SKIPS_DIGITS
    if (!has_fine(rows, fine)) {
        add_unit(type, rows, w, NULL, x, acc);
        return;
    }
#endif
    add_both_digits(type, rows, w, x, fine, acc);
}

/* acc[t] += one unit of a panel times row t of x. */
INLINE void add_units(pack_type type, int rows, const unit_weights *w, const quant_unit *x, const fine_unit *fine,
                      vf *acc) {
    UNROLL for (int t = 0; t < rows; t += DOT_ROWS) {
        const int some = rows - t < DOT_ROWS ? rows - t : DOT_ROWS;
        if (PACK_TRAITS[type].digits == 2) add_unit_finely(type, some, w, x + t, fine + t, acc + t);
        else add_unit(type, some, w, NULL, x + t, acc + t);
    }
}

/* The same of packed weights. Where a chunk takes several registers, those of all that wait for a branch, or
 * for others of a unit to be unpacked, would be spilled. */
INLINE void add_packed_units(pack_type type, int rows, packed_unit packed, const quant_unit *x, const fine_unit *fine,
                             vf *acc) {
    unit_weights w;
#if DOT_ROWS > 1 && defined(SKIPS_DIGITS)
    if (PACK_TRAITS[type].digits == 2 && rows <= DOT_ROWS && has_fine(rows, fine)) {
        unpack_unit(type, packed, &w);
        add_both_digits(type, rows, &w, x, fine, acc);
        return;
    }
    const int bits = PACK_TRAITS[type].bits;
    if ((PACK_TRAITS[type].digits == 2 || bits > 4 || (bits == 4 && sums_blocks(type))) && rows <= DOT_ROWS) {
        unpack_scales(type, packed, &w);
        add_unit(type, rows, &w, packed.codes, x, acc);
        return;
    }
#endif
    unpack_unit(type, packed, &w);
    add_units(type, rows, &w, x, fine, acc);
}

/* acc[t] += units first .. end of a panel times row t of x. */
INLINE void add_panel_units(pack_type type, int rows, const packed_matrix *w, int64_t panel, size_t first, size_t end,
                            const activations *x, vf *acc) {
    const quant_unit *unit = x->units + first * x->step;
    const fine_unit *fine = x->fine + first * x->step;
    /* prefetched in the order of memory, though codes and scales of a unit are apart in it */
    const size_t share = block_bytes(type, BLOCK_UNITS) / BLOCK_UNITS;
    const uint8_t *stream = panel_of(w, panel) + first * share;
    for (size_t u = first; u < end; u++, unit += x->step, fine += x->step) {
        const packed_unit packed = find_unit(type, w, panel, u);
        prefetch_ahead(stream, share);
        stream += share;
        add_packed_units(type, rows, packed, unit, fine, acc);
    }
}

/* The sum of a row's activations that minima of group g multiply. */
INLINE float group_sum(pack_type type, const quant_unit *x, int g) {
    return PACK_TRAITS[type].groups == 1 ? x->sum : -x->scale * (float)x->minus[1 + g];
}

/* acc[t] -= the minima of a block's n units times row t of x. */
INLINE void subtract_block_minima(pack_type type, int rows, packed_unit packed, size_t n, const quant_unit *x,
                                  size_t step, vf *acc) {
    const packed_unit block = packed;
    vf minima[STRIP_ROWS];
    UNROLL for (int t = 0; t < rows; t++) minima[t] = f_zero();
    for (size_t u = 0; u < n; u++, x += step, packed.scales += scale_bytes(type))
        UNROLL for (int g = 0; g < PACK_TRAITS[type].groups; g++) {
            const vf minimum = minimum_in_block(type, packed, g);
            UNROLL for (int t = 0; t < rows; t++)
                minima[t] = f_fma(minimum, f_set1(group_sum(type, x + t, g)), minima[t]);
        }
    UNROLL for (int t = 0; t < rows; t++) acc[t] = f_fnma(minima[t], super_minimum(type, block), acc[t]);
}

/* acc[t] += the n units of a block, from `first` on, times row t of x. */
INLINE void add_block(pack_type type, int rows, const packed_matrix *w, int64_t panel, size_t first, size_t n,
                      const activations *x, vf *acc) {
    const packed_unit packed = find_unit(type, w, panel, first);
    if (has_minimum(type))
        subtract_block_minima(type, rows, packed, n, x->units + first * x->step, x->step, acc);
    vf sums[STRIP_ROWS];
    UNROLL for (int t = 0; t < rows; t++) sums[t] = f_zero();
    add_panel_units(type, rows, w, panel, first, first + n, x, sums);
    UNROLL for (int t = 0; t < rows; t++) acc[t] = f_fma(sums[t], super_scale(packed), acc[t]);
}

/* out[t][n] of one panel of quantised weights. */
INLINE void multiply_quant_panel(pack_type type, int rows, const packed_matrix *w, int64_t panel,
                                 const activations *x, float *out) {
    const size_t units = (size_t)w->k / UNIT_COLS;
    vf acc[STRIP_ROWS];
    UNROLL for (int t = 0; t < rows; t++) acc[t] = f_zero();
    if (!sums_blocks(type)) add_panel_units(type, rows, w, panel, 0, units, x, acc);
    for (size_t u = 0; sums_blocks(type) && u < units; u += BLOCK_UNITS)
        add_block(type, rows, w, panel, u, units - u < BLOCK_UNITS ? units - u : BLOCK_UNITS, x, acc);
    UNROLL for (int t = 0; t < rows; t++) f_store(out + t * PANEL_ROWS, acc[t]);
}

/* out[t][n] of one panel of float weights. */
INLINE void multiply_float_panel(pack_type type, int rows, const packed_matrix *w, int64_t panel,
                                 const activations *x, float *out) {
    const size_t column_bytes = PANEL_ROWS * (size_t)PACK_TRAITS[type].bits / 8;
    const uint8_t *codes = panel_of(w, panel);
    vf acc[STRIP_ROWS];
    UNROLL for (int t = 0; t < rows; t++) acc[t] = f_zero();
    for (size_t k = 0; k < (size_t)w->k; k++) {
        prefetch_ahead(codes + k * column_bytes, column_bytes);
        const vf column = float_column(type, codes, k);
        UNROLL for (int t = 0; t < rows; t++)
            acc[t] = f_fma(column, f_set1(x->floats[(size_t)t * x->ld + k]), acc[t]);
    }
    UNROLL for (int t = 0; t < rows; t++) f_store(out + t * PANEL_ROWS, acc[t]);
}

/* The same in fixed point. */
INLINE void multiply_fixed_panel(pack_type type, int rows, const packed_matrix *w, int64_t panel,
                                 const activations *x, float *out) {
    const uint8_t *codes = panel_of(w, panel);
    const fixed_unit *unit = x->fixed;
    vf acc[STRIP_ROWS];
    UNROLL for (int t = 0; t < rows; t++) acc[t] = f_zero();
    for (size_t u = 0; u < (size_t)w->k / UNIT_COLS; u++, unit += x->step) {
        fixed_weights weights;
        prefetch_ahead(codes + u * code_bytes(type), code_bytes(type));
        unpack_fixed(type, codes, u, &weights);
        add_fixed(rows, &weights, unit, acc);
    }
    UNROLL for (int t = 0; t < rows; t++) f_store(out + t * PANEL_ROWS, acc[t]);
}

/* out: [rows][PANEL_ROWS] */
typedef void few_kernel(const packed_matrix *w, int64_t panel, const activations *x, float *out);

/* One instance a type and number of rows. */
#define FEW(type, rows)                                                                                    \
    static void few_##type##_##rows(const packed_matrix *w, int64_t panel, const activations *x, float *out) { \
        if (is_fixed(PACK_##type) && reads_fixed(w)) multiply_fixed_panel(PACK_##type, rows, w, panel, x, out); \
        else if (is_float_pack(PACK_##type)) multiply_float_panel(PACK_##type, rows, w, panel, x, out);         \
        else multiply_quant_panel(PACK_##type, rows, w, panel, x, out);                                    \
    }
#if ROWS_MAX >= 16
#define FEWS(type) FEW(type, 1) FEW(type, 2) FEW(type, 4) FEW(type, 8) FEW(type, 16)
#define FEW_ROW(type) [PACK_##type] = {few_##type##_1, few_##type##_2, few_##type##_4, few_##type##_8, few_##type##_16},
#elif ROWS_MAX >= 4
#define FEWS(type) FEW(type, 1) FEW(type, 2) FEW(type, 4)
#define FEW_ROW(type) [PACK_##type] = {few_##type##_1, few_##type##_2, few_##type##_4},
#else
#define FEWS(type) FEW(type, 1)
#define FEW_ROW(type) [PACK_##type] = {few_##type##_1},
#endif
EACH_PACK_TYPE(FEWS)

/* [type][log2(rows)] */
static few_kernel *const FEW_KERNELS[PACK_COUNT][5] = {EACH_PACK_TYPE(FEW_ROW)};

#endif
