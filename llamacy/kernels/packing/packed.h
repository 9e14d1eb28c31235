/* Packed weights: the one layout that every kernel of every level reads.
 *
 * A matrix w[N, K] is cut into panels of 16 rows (lane n of a vector is row n of
 * the panel; rows past N are zero) and, along K, into units of 32 columns. Eight units,
 * or the remaining ones at the end, are a block. A panel is its blocks, so that a product
 * reads its memory from one end to the other. A block of U units is three planes, one after
 * another:
 *
 *   codes    U times code_bytes     the quantised values of 16 rows x 32 columns
 *   scales   U / n times scale_bytes  factors (and minima) that turn codes into weights,
 *                                   each for n units, PACK_*.units
 *   supers   super_bytes            float16 factors on the block's scales
 *
 * Codes. A 64-byte vector holds 4 columns of 16 rows, byte 4n + j = column j of
 * row n: one operand of an int8 dot product that leaves row n in lane n. A unit
 * is 8 such chunks; chunk c has columns 4c .. 4c+3.
 *
 *   8 bit   8 vectors, one a chunk
 *   4 bit   4 vectors: chunk i in the low nibbles of vector i, i+4 in the high
 *   2 bit   2 vectors: chunk i + 2f in bits 2f, 2f+1 of vector i
 *   1 bit   1 vector:  chunk c in bit c
 *
 * A code of one bit alone counts twice, so that 1 lies between its values.
 *
 * 5- and 6-bit codes are a 4-bit plane followed by the 1- or 2-bit plane of their
 * high bits, 3-bit codes a 2-bit plane followed by a 1-bit one.
 *
 * Scales. weight = scale * (code - zero) - minimum, with 16 values a vector, lane
 * n for row n. Columns come in groups of 32, of 16 where PACK_*.groups is 2, or of the 64,
 * 128 or 256 of PACK_*.units:
 *
 *   SCALE_F16        scale: float16                       (Q4_0 Q5_0 Q8_0 IQ4_NL Q1_0 Q2_0 TQ)
 *   SCALE_F16_MIN    scale, -minimum: float16             (Q4_1 Q5_1)
 *   SCALE_E8M0       scale: 2^(byte - 128)                (MXFP4)
 *   SCALE_E5M3       scale: a float16 of which the byte is bits 7 to 14 (NVFP4)
 *   SCALE_I8         scale: int8 * super                  (Q3_K Q6_K IQ4_XS)
 *   SCALE_U8_MIN     scale, minimum: uint8 * super        (Q4_K Q5_K)
 *   SCALE_U4_MIN     the same in the low and the high nibbles of one byte (Q2_K)
 *   SCALE_U4         scale: (nibble + 1/2) / 4 * super, group g in nibble g of one byte (IQ2 IQ3 IQ1_M)
 *   SCALE_U4_EIGHTHS scale: (2 * low nibble + 1) * super, minimum: scale * high nibble / 8 (IQ1_S)
 *
 * Within a unit all groups' scales come first, then all groups' minima; likewise
 * the super scale before the super minimum.
 *
 * Codes of 3 or 4 bits may be indices of a table of values, LOOKUP_TABLES. A packed form is not
 * one of ggml's types: types whose blocks hold the same values in different ways share a form.
 *
 * Floats (F32, F16, BF16) have no scales: K times 16 values, column k of 16 rows.
 */
#ifndef LLAMACY_PACKED_H
#define LLAMACY_PACKED_H

#include "levels/compiler.h"

enum { PANEL_ROWS = 16, UNIT_COLS = 32, BLOCK_UNITS = 8 };

typedef enum {
    PACK_F32, PACK_F16, PACK_BF16,
    PACK_Q8_0, PACK_Q4_0, PACK_Q4_1, PACK_Q5_0, PACK_Q5_1,
    PACK_Q2_K, PACK_Q3_K, PACK_Q4_K, PACK_Q5_K, PACK_Q6_K,
    PACK_IQ4_NL, PACK_IQ4_XS, PACK_MXFP4,
    PACK_IQ2, PACK_IQ3_XXS, PACK_IQ3_S, PACK_IQ1_S, PACK_IQ1_M, PACK_TQ,
    PACK_Q1_0, PACK_Q2_0, PACK_NVFP4,
    PACK_COUNT
} pack_type;

#define EACH_FLOAT_TYPE(do) do(F32) do(F16) do(BF16)
#define EACH_QUANT_TYPE(do)                                                                 \
    do(Q8_0) do(Q4_0) do(Q4_1) do(Q5_0) do(Q5_1) do(Q2_K) do(Q3_K)                          \
    do(Q4_K) do(Q5_K) do(Q6_K) do(IQ4_NL) do(IQ4_XS) do(MXFP4)                              \
    do(IQ2) do(IQ3_XXS) do(IQ3_S) do(IQ1_S) do(IQ1_M) do(TQ) do(Q1_0) do(Q2_0) do(NVFP4)
#define EACH_PACK_TYPE(do) EACH_FLOAT_TYPE(do) EACH_QUANT_TYPE(do)

typedef enum {
    SCALE_NONE, SCALE_F16, SCALE_F16_MIN, SCALE_E8M0, SCALE_E5M3, SCALE_I8, SCALE_U8_MIN, SCALE_U4_MIN,
    SCALE_U4, SCALE_U4_EIGHTHS
} scale_form;

typedef struct {
    int bits;        /* of a code; 16 or 32 for floats */
    int zero;        /* the code that means 0, where there is no minimum */
    int groups;      /* scales a unit: 1 for groups of 32 columns, 2 for 16 */
    int units;       /* that share their scales */
    scale_form scales;
    int lookup;      /* codes are indices of table lookup - 1; 0: they are values */
    int digits;      /* int8 digits of the activations they are multiplied by: see digits.h */
} pack_traits;

static const pack_traits PACK_TRAITS[PACK_COUNT] = {
    [PACK_F32] = {32, 0, 0, 1, SCALE_NONE, 0, 0},
    [PACK_F16] = {16, 0, 0, 1, SCALE_NONE, 0, 0},
    [PACK_BF16] = {16, 0, 0, 1, SCALE_NONE, 0, 0},
    [PACK_Q8_0] = {8, 0, 1, 1, SCALE_F16, 0, 2},
    [PACK_Q4_0] = {4, 8, 1, 1, SCALE_F16, 0, 1},
    [PACK_Q4_1] = {4, 0, 1, 1, SCALE_F16_MIN, 0, 1},
    [PACK_Q5_0] = {5, 16, 1, 1, SCALE_F16, 0, 1},
    [PACK_Q5_1] = {5, 0, 1, 1, SCALE_F16_MIN, 0, 1},
    [PACK_Q2_K] = {2, 0, 2, 1, SCALE_U4_MIN, 0, 1},
    [PACK_Q3_K] = {3, 4, 2, 1, SCALE_I8, 0, 1},
    [PACK_Q4_K] = {4, 0, 1, 1, SCALE_U8_MIN, 0, 1},
    [PACK_Q5_K] = {5, 0, 1, 1, SCALE_U8_MIN, 0, 1},
    [PACK_Q6_K] = {6, 32, 2, 1, SCALE_I8, 0, 1},
    [PACK_IQ4_NL] = {4, 0, 1, 1, SCALE_F16, 1, 1},
    [PACK_IQ4_XS] = {4, 0, 1, 1, SCALE_I8, 1, 1},
    [PACK_MXFP4] = {4, 0, 1, 1, SCALE_E8M0, 2, 1},
    [PACK_IQ2] = {3, 0, 2, 1, SCALE_U4, 3, 1},
    [PACK_IQ3_XXS] = {4, 0, 1, 1, SCALE_U4, 4, 1},
    [PACK_IQ3_S] = {4, 0, 1, 1, SCALE_U4, 5, 1},
    [PACK_IQ1_S] = {2, 0, 1, 1, SCALE_U4_EIGHTHS, 0, 1},
    [PACK_IQ1_M] = {3, 0, 2, 1, SCALE_U4, 6, 1},
    [PACK_TQ] = {2, 1, 1, 8, SCALE_F16, 0, 1},
    [PACK_Q1_0] = {1, 1, 1, 4, SCALE_F16, 0, 1},
    [PACK_Q2_0] = {2, 1, 1, 2, SCALE_F16, 0, 1},
    [PACK_NVFP4] = {4, 0, 2, 1, SCALE_E5M3, 2, 1},
};

/* Values of codes that are not evenly spaced. Of the last four tables the high bit of a
 * code is a sign, and the others a digit of a codebook. Levels may want them moved, by a zero for
 * each table (products/unpack.h). */
#define MOVED(z, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)                                                \
    {(int8_t)((a) + (z)), (int8_t)((b) + (z)), (int8_t)((c) + (z)), (int8_t)((d) + (z)), (int8_t)((e) + (z)), \
     (int8_t)((f) + (z)), (int8_t)((g) + (z)), (int8_t)((h) + (z)), (int8_t)((i) + (z)), (int8_t)((j) + (z)), \
     (int8_t)((k) + (z)), (int8_t)((l) + (z)), (int8_t)((m) + (z)), (int8_t)((n) + (z)), (int8_t)((o) + (z)), \
     (int8_t)((p) + (z))}
#define LOOKUP_TABLES(iq4, e2m1, iq2, iq3_xxs, iq3_s, iq1_m)                                               \
    MOVED(iq4, -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113),                  \
    MOVED(e2m1, 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12), /* doubled */                    \
    MOVED(iq2, 8, 25, 43, 0, -8, -25, -43, 0, 0, 0, 0, 0, 0, 0, 0, 0),                                     \
    MOVED(iq3_xxs, 2, 6, 10, 14, 18, 22, 26, 31, -2, -6, -10, -14, -18, -22, -26, -31), /* halved */       \
    MOVED(iq3_s, 1, 3, 5, 7, 9, 11, 13, 15, -1, -3, -5, -7, -9, -11, -13, -15),                            \
    MOVED(iq1_m, -7, 1, 9, 0, -9, -1, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0) /* in eighths: 8 (digit - 1) +- 1 */

/* Scales with SCALE_U4 are of values of IQ2: how many of these a value of the table is. */
static const float LOOKUP_UNITS[6] = {1, 1, 1, 4, 8, 1};

/* INLINE, here and below: clang would call these functions for every unit, and a call leaves
 * no vector in its register. */
INLINE size_t code_bytes(pack_type type) {
    return (size_t)PANEL_ROWS * UNIT_COLS * PACK_TRAITS[type].bits / 8;
}

/* Bytes of the scales that PACK_*.units units share. */
INLINE size_t scale_bytes(pack_type type) {
    const pack_traits *t = &PACK_TRAITS[type];
    switch (t->scales) {
    case SCALE_F16: return 2 * PANEL_ROWS;
    case SCALE_F16_MIN: return 4 * PANEL_ROWS;
    case SCALE_E8M0:
    case SCALE_U4:
    case SCALE_U4_EIGHTHS: return PANEL_ROWS;
    case SCALE_E5M3:
    case SCALE_I8:
    case SCALE_U4_MIN: return (size_t)t->groups * PANEL_ROWS;
    case SCALE_U8_MIN: return (size_t)t->groups * 2 * PANEL_ROWS;
    default: return 0;
    }
}

INLINE size_t super_bytes(pack_type type) {
    switch (PACK_TRAITS[type].scales) {
    case SCALE_I8:
    case SCALE_U4:
    case SCALE_U4_EIGHTHS: return 2 * PANEL_ROWS;
    case SCALE_U8_MIN:
    case SCALE_U4_MIN: return 4 * PANEL_ROWS;
    default: return 0;
    }
}

/* Bytes of a block of n units. */
INLINE size_t block_bytes(pack_type type, size_t n) {
    return n * code_bytes(type) + n / (size_t)PACK_TRAITS[type].units * scale_bytes(type) + super_bytes(type);
}

INLINE int is_float_pack(pack_type type) { return PACK_TRAITS[type].scales == SCALE_NONE; }

/* Bytes of one panel of K columns, a multiple of 64. */
static inline size_t panel_bytes(pack_type type, size_t k) {
    const size_t units = k / UNIT_COLS, rest = units % BLOCK_UNITS;
    const size_t whole = units / BLOCK_UNITS * block_bytes(type, BLOCK_UNITS);
    const size_t n = is_float_pack(type) ? k * PANEL_ROWS * (size_t)PACK_TRAITS[type].bits / 8
                                         : whole + (rest ? block_bytes(type, rest) : 0);
    return (n + 63) / 64 * 64;
}

/* Offsets in a panel of a unit's codes and scales, and of its block's supers. */
typedef struct { size_t codes, scales, supers; } unit_place;

/* Offsets of unit u of a panel of `units`. */
INLINE unit_place place_of_unit(pack_type type, size_t units, size_t u) {
    const size_t block = u / BLOCK_UNITS, rest = units - block * BLOCK_UNITS;
    const size_t n = rest < BLOCK_UNITS ? rest : BLOCK_UNITS;
    const size_t start = block * block_bytes(type, BLOCK_UNITS), shared = (size_t)PACK_TRAITS[type].units;
    unit_place at;
    at.codes = start + u % BLOCK_UNITS * code_bytes(type);
    at.scales = start + n * code_bytes(type) + u % BLOCK_UNITS / shared * scale_bytes(type);
    at.supers = start + block_bytes(type, n) - super_bytes(type);
    return at;
}

/* A packed matrix. */
typedef struct {
    const uint8_t *data; /* panels, 64-byte aligned */
    pack_type type;
    int64_t n, k;        /* rows and columns of the matrix */
    size_t panel;        /* bytes a panel */
} packed_matrix;

#endif
