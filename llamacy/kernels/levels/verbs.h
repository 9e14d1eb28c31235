/* The verbs: all that a level's header must define, and all that the algorithms are
 * written in. This file is included after the header and checks it.
 *
 * A verb that is missing is one error that names it, "'f_abs' undeclared here"; a verb of
 * another type is one that quotes its declaration. No check leaves code behind.
 *
 * vf is 16 float32 lanes, vi is 64 bytes or 16 int32; a level splits them over as many
 * registers as it needs. Loads and stores need no alignment. Arguments named n, shift,
 * mask, bits, rows and adds are constants wherever the algorithms call a verb.
 * tests/kernels/test_verbs.py says the same in NumPy, and holds every level to it.
 */
#ifndef LLAMACY_VERBS_H
#define LLAMACY_VERBS_H

#define VERB(result, name, parameters)                                    \
    _Static_assert(_Generic(&name, result (*) parameters: 1, default: 0), \
                   "the level's header must define " #result " " #name #parameters)

/* --- 16 floats ----------------------------------------------------------------------- */

VERB(vf,    f_zero,       (void));                    /* 0 */
VERB(vf,    f_set1,       (float x));                 /* x in every lane */
VERB(vf,    f_load,       (const float *p));
VERB(void,  f_store,      (float *p, vf a));
VERB(vf,    f_load_f16,   (const void *p));           /* from IEEE half precision */
VERB(vf,    f_load_bf16,  (const void *p));           /* from bfloat16 */
VERB(vf,    f_load_i8,    (const void *p));           /* from int8 */
VERB(vf,    f_load_u8,    (const void *p));           /* from uint8 */
VERB(vf,    f_load_u4,    (const void *p, int shift)); /* bits shift .. shift + 3 of each byte */
VERB(vf,    f_add,        (vf a, vf b));              /* a + b */
VERB(vf,    f_sub,        (vf a, vf b));              /* a - b */
VERB(vf,    f_mul,        (vf a, vf b));              /* a * b */
VERB(vf,    f_div,        (vf a, vf b));              /* a / b */
VERB(vf,    f_max,        (vf a, vf b));              /* the larger; b where either is NaN */
VERB(vf,    f_min,        (vf a, vf b));              /* the smaller; b where either is NaN */
VERB(vf,    f_abs,        (vf a));                    /* |a| */
VERB(vf,    f_fma,        (vf a, vf b, vf c));        /* a * b + c */
VERB(vf,    f_fnma,       (vf a, vf b, vf c));        /* c - a * b */
VERB(vf,    f_round,      (vf a));                    /* to the nearest, ties to even; |a| <= 2^22 */
VERB(vf,    f_scale2,     (vf a, vf e));              /* a * 2^e; e whole, within -252 .. 254 */
VERB(vf,    f_load_e8m0,  (const uint8_t *p));        /* 2^(byte - 128) */
VERB(vf,    f_load_e5m3,  (const uint8_t *p));        /* the float16 of which the byte is bits 7 .. 14 */
VERB(float, f_sum,        (vf a));                    /* of all lanes, in any order */
VERB(float, f_hmax,       (vf a));                    /* the largest lane */
VERB(vf,    f_swap_pairs, (vf a));                    /* lanes 1 0 3 2 ... */
VERB(void,  f_turn,       (vf *rows));                /* 16 vectors: lane j of the i-th becomes lane i of the j-th */
VERB(vf,    f_first,      (vf a, int count, vf other)); /* a in lanes below count, else other */
VERB(vf,    f_from_i,     (vi a));                    /* from 16 int32 */
VERB(void,  f_store_f16,  (void *p, vf a));           /* to IEEE half precision, nearest, ties to even */
VERB(void,  f_store_i8,   (int8_t *p, vf a));         /* to int8, nearest, ties to even, saturated; |a| < 2^22 */

/* --- 64 bytes, or 16 int32 ------------------------------------------------------------ */

VERB(vi,    i_load,       (const void *p));
VERB(vi,    i_zero,       (void));                    /* 0 */
VERB(vi,    i_or,         (vi a, vi b));              /* a | b */
VERB(vi,    i_field,      (vi v, int shift, int mask)); /* bytes moved right by shift (left by -shift), and
                                                           mask, whose bits no neighbour's have moved to */
#ifndef HAS_INSERT /* in fewer instructions */
#define i_insert(a, b, shift, mask) i_or(a, i_field(b, shift, mask))
#else
VERB(vi,    i_insert,     (vi a, vi b, int shift, int mask)); /* a | i_field(b, shift, mask); a has no bit of mask */
#endif
VERB(vi,    i_lut,        (vi v, const int8_t *table)); /* bytes below 16, through a table of 16 */
VERB(vi,    i_bytes,      (vi v));                    /* signed codes as i_dots wants them: moved by BYTE_ZERO */
VERB(vi,    i_add,        (vi a, vi b));              /* of 16 int32: a + b */
VERB(vi,    i_shl,        (vi a, int n));             /* of 16 int32: a * 2^n */
VERB(vi,    i_start,      (const int32_t *p, int n)); /* *p * 2^n in all 16 */

/* For t < rows, lane r of sums[t] grows by the sum over chunks c < n and j < 4 of byte
 * 4r + j of codes[c] times x[t step + 4c + j]. n: 4 or 8. Codes are below 2^bits, or, if
 * bits is 8, what i_bytes() left. */
VERB(void,  i_dots,       (int rows, const vi *codes, int n, const int8_t *x, size_t step, int bits, vi *sums));

#ifndef LEVEL_NAME
#error "the level's header must define LEVEL_NAME, a string"
#endif
#if !defined(BYTE_ZERO) || BYTE_ZERO != 0 && BYTE_ZERO != 128
#error "the level's header must define BYTE_ZERO, which i_bytes adds to codes: 0 or 128"
#endif
#if !defined(ROWS_MAX) || ROWS_MAX != 1 && ROWS_MAX != 4 && ROWS_MAX != 16
#error "the level's header must define ROWS_MAX, rows of activations a microkernel holds: 1, 4 or 16"
#endif
#if !defined(DOT_ROWS) || DOT_ROWS < 1 || DOT_ROWS > ROWS_MAX
#error "the level's header must define DOT_ROWS, rows that i_dots takes at once: 1 to ROWS_MAX"
#endif

/* --- sizes, and the machine that chose them, in an enum ------------------------------- */

#define SIZE(name, holds, meaning) _Static_assert(holds, "the level's header must define " #name ", " meaning)

SIZE(PREFETCH_BYTES, PREFETCH_BYTES % 64 == 0,     "how far ahead of the weights in use more are fetched");
SIZE(RESIDENT_BYTES, RESIDENT_BYTES > 0,           "of the L2 cache, for activations while panels pass by");
SIZE(MANY_PANELS,    MANY_PANELS % 2 == 0 && MANY_PANELS <= 32, "panels that a thread multiplies with many rows");
SIZE(MANY_ROWS,      MANY_ROWS % 32 == 0,          "rows that share unpacked panels, a multiple of 32");
SIZE(SLICE_UNITS,    SLICE_UNITS > 0,              "units of K that are unpacked at a time");
SIZE(SPAN_PAGES,     SPAN_PAGES > 0,               "pages whose scores become weights together");
SIZE(BAND_STRIPS,    BAND_STRIPS > 0,              "strips of queries that share an unpacked span");
SIZE(PEAK_SUMS,      PEAK_SUMS > 0,                "sums that hide the latency of f_fma and fit the registers");
SIZE(ROW_CHUNK,      ROW_CHUNK % 16 == 0,          "floats of a row that one item of elementwise work has");
SIZE(FETCHED_BYTES,  FETCHED_BYTES > 0,            "of its next weights, which a waiting thread fetches");
#ifdef HAS_TILES
SIZE(TILES_MIN_ROWS, TILES_MIN_ROWS > 0,           "rows from which products go through tiles of bfloat16");
#else
SIZE(FLOAT_MIN_ROWS, FLOAT_MIN_ROWS > 0,           "rows from which float weights are unpacked once for all");
SIZE(QUANT_MIN_ROWS, QUANT_MIN_ROWS > 0,           "rows from which quantised weights are; INT_MAX: never");
#endif

/* --- a level may convert sums of one digit in fewer cycles than other int32 ------------- */

#ifdef SUM_BIAS /* which such sums begin with */
VERB(vi,    i_bias,       (void));                    /* SUM_BIAS in all 16 */
VERB(vf,    f_from_sum,   (vi a));                    /* from 16 int32, less SUM_BIAS; then below 2^22 */
#endif

/* --- a level may multiply words where activations have two digits (digits.h) ---------- */

#ifdef WORD_COLUMNS /* a permutation of 0 1 2 3: the order of columns within a chunk's words */
VERB(void,  w_store,      (int16_t *to, const int8_t *q, const int8_t *fine, int bits)); /* 32 words
                                                           2^bits q[i] + fine[i], so ordered */
VERB(void,  w_split,      (vi codes, vi *words));     /* a chunk of int8 codes to two of words, so ordered:
                                                           lane r of words[i] has columns 2i and 2i + 1 of row r */
VERB(void,  w_dots,       (int rows, const vi *words, int n, const int16_t *x, size_t step, vi *sums)); /* for t <
                                                           rows, lane r of sums[t] grows by the sum over p < n of
                                                           both words of lane r of words[p] times x[t step + 2p],
                                                           x[... + 1] */
#endif

/* --- a level may have dot products of words, for 16-bit floats (fixed.h) --------------- */

#ifdef HAS_FIXED
VERB(void,  h_store,      (int16_t *to, vf a));       /* to int16, nearest, ties to even; |a| < 2^15, or
                                                           any word if a is NaN */
VERB(vf,    h_fix,        (int is_bf16, const uint8_t *columns, vi *words)); /* 32 columns of 16 bfloat16, or half
                                                           precision: lane r of words[p] has columns 2p and 2p + 1 of
                                                           row r, in units of lane r of the result: 2^-12 times the
                                                           power of two below the row's largest, but 2^-112 at least
                                                           (then words may be 0); NaN where one is not finite */
VERB(void,  h_dots,       (int rows, const vi *words, const int16_t *x, size_t step, vi *sums)); /* for t < rows, lane r
                                                           of sums[t] grows by the sum over p < 16 of both words of
                                                           lane r of words[p] times x[t step + 2p], x[... + 1] */
#endif

/* --- a level may look sums of four activations up, for codes of one bit (signs.h) ------ */

#ifdef TABLE_BYTES /* of a unit's tables */
VERB(void,  l_tables,     (uint8_t *tables, const int8_t *x)); /* tables of 32 activations, -127 .. 127 */

/* For u < units, lane r of sums[u] grows by twice the sum of x[4c + j] over the bits c of bytes
 * 4r + j of plane u that are set; x: what tables u are of. units: up to 4. */
VERB(void,  l_sums,       (int units, const uint8_t *planes, const uint8_t *tables, vi *sums));
#endif

/* --- a level may multiply bundles of rows (many_rows_bundles.h) -------------------------- */

/* A part is 16 / BUNDLE_ROWS outputs of a panel, times the rows of a bundle. Its lanes, of 4 registers: with
 * 2 rows lanes 4i, 4i + 1 are outputs 2i, 2i + 1 of the first and lanes 4i + 2, 4i + 3 of the second; with 4
 * rows lanes 4t .. 4t + 3 are the outputs of row t. */
#ifdef BUNDLE_ROWS
VERB(void,  p_join,       (const vf *rows, vf *parts)); /* 16 outputs of each row, in such lanes */
VERB(void,  p_part,       (const vf *parts, vf *rows)); /* and back */
VERB(void,  p_codes,      (const vi *chunks, int zero, vi *parts)); /* BUNDLE_ROWS chunks of 4 columns to those columns
                                                           of each part's outputs, less zero */
VERB(vf,    p_values,     (const float *p));          /* a number for each row, in its lanes: of 4 at p, as many a row
                                                           as the bundle has fewer rows */
VERB(vf,    p_outputs,    (const vf *joined));        /* a part that is the same for all rows */
VERB(vi,    p_dots,       (vi sums, vi codes, const int8_t *x)); /* sums of a part grow by codes of p_codes times
                                                           4 BUNDLE_ROWS activations of each row, row by row */
#if BUNDLE_ROWS != 2 && BUNDLE_ROWS != 4
#error "BUNDLE_ROWS must be 2 or 4"
#endif
#if BYTE_ZERO || !defined(SUM_BIAS)
#error "a level with BUNDLE_ROWS multiplies signed bytes, and defines SUM_BIAS"
#endif
#endif
#if defined(SUMS_BLOCKS) && (!defined(BUNDLE_ROWS) || DOT_ROWS == 1)
#error "a level with SUMS_BLOCKS defines BUNDLE_ROWS, and its DOT_ROWS is 2 or more: others multiply units alone"
#endif

/* --- a level may have bfloat16 (attention), on tiles: 16 rows of 64 bytes ------------- */

#ifdef HAS_BF16
VERB(vi,    b_join,       (vf x, vf y));              /* 32 bfloat16, nearest, ties to even: x, then y */
VERB(vi,    b_pairs,      (vf x, vf y));              /* the same: x[0] y[0] x[1] y[1] ... */

/* For r < rows and j < 16, c[r][j] becomes (or, if it adds, grows by) the sum over n tiles
 * and p < 16 of a[r][2p] b[p][2j] + a[r][2p + 1] b[p][2j + 1], and c[r][16 + j] the same
 * with the tiles b_step bytes further. Rows of c are ldc floats apart; all 16 may be written. */
VERB(void,  b_products,   (int rows, const uint8_t *a, const uint8_t *b, size_t b_step, int n, float *c, size_t ldc,
                           int adds));
#ifndef HAS_TILES
VERB(vf,    b_dot,        (vf sum, vi pairs, const uint8_t *pair)); /* lane j of the sum grows by pairs[2j] pair[0]
                                                           + pairs[2j + 1] pair[1], as in b_products */
#endif
#endif

/* --- a level may have matrix registers (products of many rows), which hold tiles ------ */

#ifdef HAS_TILES
VERB(void,  t_begin,      (void));                    /* around all use of tiles on a thread */
VERB(void,  t_end,        (void));
VERB(vi,    t_byte,       (vi v, int n));             /* of 16 int32: byte n, unsigned */
VERB(vf,    t_lookup,     (vf table, vi v, int shift)); /* of 16 int32: lane (bits shift .. shift + 3) of the table */
VERB(vf,    t_fraction,   (vf x));                    /* x less the next whole number below it */
VERB(vf,    t_scale2,     (vf a, vf e));              /* a * 2^e, e rounded down */

/* Macros, because the numbers t, a, b and c of registers, 0 to 7, are part of the instructions:
 *   T_ZERO(t)           t = 0
 *   T_LOAD(t, p, step)  from rows at p, `step` bytes apart
 *   T_STORE(t, p, step) to such rows
 *   T_DOT(c, a, b)      c[m][n] += sum over p < 16 of a[m][2p] b[p][2n] + a[m][2p + 1] b[p][2n + 1],
 *                       c in float32, a and b in bfloat16 */
#if !defined(T_ZERO) || !defined(T_LOAD) || !defined(T_STORE) || !defined(T_DOT)
#error "a level that HAS_TILES must define T_ZERO, T_LOAD, T_STORE and T_DOT"
#endif
#ifndef HAS_BF16
#error "a level that HAS_TILES must define HAS_BF16"
#endif
#endif

#undef VERB
#undef SIZE

#endif
