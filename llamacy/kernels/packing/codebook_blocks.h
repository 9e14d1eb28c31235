/* Blocks of ggml's IQ1, IQ2 and IQ3 types: indices of points of a codebook, and scales.
 *
 * A codebook is rows of digits, one a byte: the values that 8 columns (4 in IQ3) may have
 * together, called points. An index has 8, 9, 10 or 11 bits, and the type's codebook a point
 * for each. The digits and a sign beside them are the codes: indices of LOOKUP_TABLES, except in
 * IQ1_S, whose digits are values and whose sign, one for 32 columns, is in the minimum.
 *
 * Below, c counts the words of unit u, four columns each, and e its groups of eight.
 */
#ifndef LLAMACY_CODEBOOK_BLOCKS_H
#define LLAMACY_CODEBOOK_BLOCKS_H

#include "packing/ggml_types.h"

INLINE int has_codebook(ggml_type type) { return type >= GGML_IQ2_XXS && type <= GGML_IQ1_M; }
/* Columns of a point. */
INLINE int point_columns(ggml_type type) { return type == GGML_IQ3_XXS || type == GGML_IQ3_S ? 4 : 8; }

/* IQ1_M: three bits of an index, and above them the sign of its point's offset. */
INLINE uint32_t read_iq1_m_nibble(const uint8_t *block, int u, int e) {
    return block[32 + 2 * u + e / 2] >> 4 * (e % 2) & 15u;
}

INLINE uint32_t read_index(ggml_type type, const uint8_t *block, int u, int c) {
    const int e = c / 2;
    switch (type) {
    case GGML_IQ2_XXS: return block[2 + 8 * u + e];
    case GGML_IQ2_XS: return read_u16(block + 2 + 8 * u + 2 * e) & 511u;
    case GGML_IQ2_S: return block[2 + 4 * u + e] | (block[66 + u] >> 2 * e & 3u) << 8;
    case GGML_IQ3_XXS: return block[2 + 8 * u + c];
    case GGML_IQ3_S: return block[2 + 8 * u + c] | (block[66 + u] >> c & 1u) << 8;
    case GGML_IQ1_S: return block[2 + 4 * u + e] | (read_u16(block + 34 + 2 * u) >> 3 * e & 7u) << 8;
    case GGML_IQ1_M: return block[4 * u + e] | (read_iq1_m_nibble(block, u, e) & 7u) << 8;
    default: return 0;
    }
}

/* Eight signs, an even number of them minus, by the first seven. */
INLINE uint32_t even_signs(uint32_t seven) { return seven | (uint32_t)__builtin_parity(seven) << 7; }

/* A bit for each of eight columns. */
INLINE uint32_t read_signs(ggml_type type, const uint8_t *block, int u, int e) {
    switch (type) {
    case GGML_IQ2_XXS: return even_signs(read_u32(block + 6 + 8 * u) >> 7 * e & 127);
    case GGML_IQ2_XS: return even_signs(read_u16(block + 2 + 8 * u + 2 * e) >> 9);
    case GGML_IQ2_S: return block[34 + 4 * u + e];
    case GGML_IQ3_XXS: return even_signs(read_u32(block + 66 + 4 * u) >> 7 * e & 127);
    case GGML_IQ3_S: return block[74 + 4 * u + e];
    case GGML_IQ1_M: return read_iq1_m_nibble(block, u, e) & 8 ? 255 : 0;
    default: return 0;
    }
}

/* Codes 4c .. 4c + 3 of unit u of a block. */
INLINE uint32_t read_point(ggml_type type, const uint8_t *codebook, const uint8_t *block, int u, int c) {
    const uint32_t n = (uint32_t)point_columns(type);
    const uint32_t digits = read_u32(codebook + n * read_index(type, block, u, c) + 4 * (uint32_t)c % n);
    const uint32_t signs = spread(read_signs(type, block, u, c / 2) >> 4 * (c % 2));
    return digits | signs << (PACK_TRAITS[GGML_TYPES[type].form].bits - 1);
}

/* A float16 in four parts, the upper four bits of words. */
INLINE uint16_t read_iq1_m_factor(const uint8_t *block) {
    uint32_t bits = 0;
    UNROLL for (int i = 0; i < 4; i++) bits |= (uint32_t)(block[49 + 2 * i] >> 4) << 4 * i;
    return (uint16_t)bits;
}

/* Scales of unit u of a block, to row n. */
INLINE void read_point_scales(ggml_type type, const uint8_t *block, int u, int n, panel_unit *out) {
    out->halves[0][n] = read_u16(block);
    switch (type) {
    case GGML_IQ2_XXS: out->scales[0][n] = (uint8_t)((block[9 + 8 * u] >> 4) * 0x11); return; /* for both halves */
    case GGML_IQ2_XS: out->scales[0][n] = block[66 + u]; return;
    case GGML_IQ2_S: out->scales[0][n] = block[74 + u]; return;
    case GGML_IQ3_XXS: out->scales[0][n] = block[69 + 4 * u] >> 4; return;
    case GGML_IQ3_S: out->scales[0][n] = block[106 + u / 2] >> 4 * (u % 2) & 15; return;
    case GGML_IQ1_S: {
        /* digit - 1 + 1/8 is digit - 7/8 */
        const int high = block[35 + 2 * u];
        out->scales[0][n] = (uint8_t)((high >> 4 & 7) | (high & 128 ? 9 : 7) << 4);
        return;
    }
    case GGML_IQ1_M: {
        const int scales = read_u16(block + 48 + u / 2 * 2) >> 6 * (u % 2);
        out->scales[0][n] = (uint8_t)((scales & 7) | (scales >> 3 & 7) << 4);
        out->halves[0][n] = read_iq1_m_factor(block);
        return;
    }
    default: return;
    }
}

#endif
