/* ggml's types, as files have them: their blocks, and the packed forms these become; and
 * what readers of all blocks share: a unit taken apart, and fields of bits. */
#ifndef LLAMACY_GGML_TYPES_H
#define LLAMACY_GGML_TYPES_H

#include "packing/words.h"

/* name, columns and bytes of a block, packed form; types without blocks first. */
#define EACH_GGML_TYPE(do)                                                                \
    do(F32, 1, 4, F32) do(F16, 1, 2, F16) do(BF16, 1, 2, BF16)                            \
    do(Q8_0, 32, 34, Q8_0) do(Q4_0, 32, 18, Q4_0) do(Q4_1, 32, 20, Q4_1)                  \
    do(Q5_0, 32, 22, Q5_0) do(Q5_1, 32, 24, Q5_1)                                         \
    do(Q2_K, 256, 84, Q2_K) do(Q3_K, 256, 110, Q3_K) do(Q4_K, 256, 144, Q4_K)             \
    do(Q5_K, 256, 176, Q5_K) do(Q6_K, 256, 210, Q6_K)                                     \
    do(IQ4_NL, 32, 18, IQ4_NL) do(IQ4_XS, 256, 136, IQ4_XS) do(MXFP4, 32, 17, MXFP4)      \
    do(IQ2_XXS, 256, 66, IQ2) do(IQ2_XS, 256, 74, IQ2) do(IQ2_S, 256, 82, IQ2)            \
    do(IQ3_XXS, 256, 98, IQ3_XXS) do(IQ3_S, 256, 110, IQ3_S)                              \
    do(IQ1_S, 256, 50, IQ1_S) do(IQ1_M, 256, 56, IQ1_M)                                   \
    do(TQ1_0, 256, 54, TQ) do(TQ2_0, 256, 66, TQ)                                         \
    do(Q1_0, 128, 18, Q1_0) do(Q2_0, 64, 18, Q2_0) do(NVFP4, 64, 36, NVFP4)

#define GGML_TYPE_ID(name, columns, bytes, form) GGML_##name,
typedef enum { EACH_GGML_TYPE(GGML_TYPE_ID) GGML_TYPE_COUNT } ggml_type;

typedef struct {
    const char *name;
    int columns, bytes; /* of a block */
    pack_type form;
} ggml_type_traits;

#define GGML_TYPE_TRAITS(name, columns, bytes, form) {#name, columns, bytes, PACK_##form},
static const ggml_type_traits GGML_TYPES[GGML_TYPE_COUNT] = {EACH_GGML_TYPE(GGML_TYPE_TRAITS)};

/* Bytes of one row of k columns, whole blocks, as the file has it. */
INLINE size_t ggml_row_bytes(ggml_type type, size_t k) {
    return k / (size_t)GGML_TYPES[type].columns * (size_t)GGML_TYPES[type].bytes;
}

/* One unit of a panel, taken apart. */
typedef struct {
    words4 low[PANEL_ROWS], high[PANEL_ROWS]; /* of each row, the lower and the higher bits of codes */
    uint8_t scales[4][PANEL_ROWS];     /* the scale plane's bytes: of the groups, then their minima; */
    uint16_t halves[2][PANEL_ROWS];    /* or float16 scale and minimum, of the unit or of its 256 columns */
} panel_unit;

INLINE uint16_t read_u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
INLINE uint32_t read_u32(const uint8_t *p) {
    uint32_t word;
    memcpy(&word, p, 4);
    return word;
}

/* n bits from bit `shift` on, of each byte. */
INLINE uint32_t field(uint32_t word, int shift, int n) { return word >> shift & 0x01010101u * ((1u << n) - 1); }

/* The four lowest bits, each to the bottom of a byte. */
INLINE uint32_t spread(uint32_t bits) { return (bits & 15) * 0x00204081u & 0x01010101u; }

#endif
