/* From ggml's blocks to packed panels (packed.h), and nothing else.
 *
 * A row of a GGUF tensor is a run of blocks of 32 or 256 columns. read_unit() gives
 * the codes and scales of 32 columns of one row, whatever the type; write_unit() puts
 * those of 16 rows into a panel. Block layouts: ggml's specification of its types.
 */
#ifndef LLAMACY_PACKING_H
#define LLAMACY_PACKING_H

#include "packed.h"
#include <string.h>

/* One row's part of a unit. */
typedef struct {
    uint8_t codes[UNIT_COLS];
    uint8_t scales[4]; /* bytes of the scale plane: those of the groups, then their minima; */
    uint16_t halves[2]; /* or float16 scale and minimum, of the unit or of its 256 columns */
} row_unit;

static inline uint16_t read_u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

/* Bytes of one row of k columns as the file has it. */
static inline size_t ggml_row_bytes(pack_type type, size_t k) {
    static const struct { int columns, bytes; } blocks[PACK_COUNT] = {
        [PACK_F32] = {1, 4}, [PACK_F16] = {1, 2}, [PACK_BF16] = {1, 2},
        [PACK_Q8_0] = {32, 34}, [PACK_Q4_0] = {32, 18}, [PACK_Q4_1] = {32, 20},
        [PACK_Q5_0] = {32, 22}, [PACK_Q5_1] = {32, 24},
        [PACK_Q2_K] = {256, 84}, [PACK_Q3_K] = {256, 110}, [PACK_Q4_K] = {256, 144},
        [PACK_Q5_K] = {256, 176}, [PACK_Q6_K] = {256, 210},
        [PACK_IQ4_NL] = {32, 18}, [PACK_IQ4_XS] = {256, 136}, [PACK_MXFP4] = {32, 17},
    };
    return k / (size_t)blocks[type].columns * (size_t)blocks[type].bytes;
}

/* 16 bytes whose low nibbles are columns 0-15 and high nibbles columns 16-31. */
static inline void split_nibbles(const uint8_t *qs, uint8_t *codes) {
    for (int i = 0; i < 16; i++) {
        codes[i] = qs[i] & 0x0F;
        codes[i + 16] = qs[i] >> 4;
    }
}

static inline void add_fifth_bits(const uint8_t *qh, uint8_t *codes) {
    for (int i = 0; i < UNIT_COLS; i++) codes[i] |= (uint8_t)((qh[i / 8] >> i % 8 & 1) << 4);
}

/* The 6-bit scale and minimum number `u` of Q4_K and Q5_K. */
static inline void read_scale_min(const uint8_t *s, int u, uint8_t *out) {
    if (u < 4) {
        out[0] = s[u] & 63;
        out[1] = s[u + 4] & 63;
    } else {
        out[0] = (uint8_t)((s[u + 4] & 15) | s[u - 4] >> 6 << 4);
        out[1] = (uint8_t)(s[u + 4] >> 4 | s[u] >> 6 << 4);
    }
}

/* The 6-bit scale number i of Q3_K, in two's complement. */
static inline uint8_t read_q3_scale(const uint8_t *s, int i) {
    int low = i < 8 ? s[i] & 15 : s[i - 8] >> 4, high = s[8 + i % 4] >> 2 * (i / 4) & 3;
    return (uint8_t)((low | high << 4) - 32);
}

/* Unit u of a block; blocks of 32 columns have only unit 0. */
static inline void read_unit(pack_type type, const uint8_t *block, int u, row_unit *out) {
    uint8_t *codes = out->codes;
    const int shift = 4 * (u % 2), pair = 32 * (u / 2), quad = u / 4, crumb = 2 * (u % 4);
    switch (type) {
    case PACK_Q8_0:
        memcpy(codes, block + 2, UNIT_COLS);
        break;
    case PACK_Q4_0:
    case PACK_IQ4_NL:
        split_nibbles(block + 2, codes);
        break;
    case PACK_Q4_1:
        split_nibbles(block + 4, codes);
        break;
    case PACK_Q5_0:
        split_nibbles(block + 6, codes);
        add_fifth_bits(block + 2, codes);
        break;
    case PACK_Q5_1:
        split_nibbles(block + 8, codes);
        add_fifth_bits(block + 4, codes);
        break;
    case PACK_MXFP4:
        split_nibbles(block + 1, codes);
        out->scales[0] = block[0];
        return;
    case PACK_Q2_K:
        for (int i = 0; i < UNIT_COLS; i++) codes[i] = block[16 + 32 * quad + i] >> crumb & 3;
        for (int g = 0; g < 2; g++) {
            out->scales[g] = block[2 * u + g] & 15;
            out->scales[2 + g] = block[2 * u + g] >> 4;
        }
        out->halves[0] = read_u16(block + 80);
        out->halves[1] = read_u16(block + 82);
        return;
    case PACK_Q3_K:
        for (int i = 0; i < UNIT_COLS; i++)
            codes[i] = (uint8_t)((block[32 + 32 * quad + i] >> crumb & 3) | (block[i] >> u & 1) << 2);
        for (int g = 0; g < 2; g++) out->scales[g] = read_q3_scale(block + 96, 2 * u + g);
        out->halves[0] = read_u16(block + 108);
        return;
    case PACK_Q4_K:
        for (int i = 0; i < UNIT_COLS; i++) codes[i] = block[16 + pair + i] >> shift & 15;
        read_scale_min(block + 4, u, out->scales);
        break;
    case PACK_Q5_K:
        for (int i = 0; i < UNIT_COLS; i++)
            codes[i] = (uint8_t)((block[48 + pair + i] >> shift & 15) | (block[16 + i] >> u & 1) << 4);
        read_scale_min(block + 4, u, out->scales);
        break;
    case PACK_Q6_K:
        for (int i = 0; i < UNIT_COLS; i++) {
            int low = block[64 * quad + 32 * (u % 2) + i] >> (u % 4 < 2 ? 0 : 4) & 15;
            codes[i] = (uint8_t)(low | (block[128 + 32 * quad + i] >> crumb & 3) << 4);
        }
        memcpy(out->scales, block + 192 + 2 * u, 2);
        out->halves[0] = read_u16(block + 208);
        return;
    case PACK_IQ4_XS: {
        split_nibbles(block + 8 + 16 * u, codes);
        int low = block[4 + u / 2] >> shift & 15, high = read_u16(block + 2) >> 2 * u & 3;
        out->scales[0] = (uint8_t)((low | high << 4) - 32);
        break;
    }
    default:
        return;
    }
    out->halves[0] = read_u16(block);
    out->halves[1] = read_u16(block + 2);
}

/* Bits first .. first + n - 1 of each of four codes, moved to the bottom of their bytes. */
static inline uint32_t bits_of(uint32_t four, int first, int n) {
    return four >> first & 0x01010101u * ((1u << n) - 1);
}

/* A plane of `bits` a code, from bit `first` of the codes on: each word takes the same
 * four columns' bits of 8 / bits chunks, one chunk above the other. */
static inline void write_plane(int bits, int first, uint32_t words[PANEL_ROWS][8], uint8_t *plane) {
    const int per_vector = 8 / bits;
    for (int i = 0; i < bits; i++)
        for (int n = 0; n < PANEL_ROWS; n++) {
            uint32_t word = 0;
            for (int f = 0; f < per_vector; f++)
                word |= bits_of(words[n][i * per_vector + f], first, bits) << f * bits;
            memcpy(plane + 64 * i + 4 * n, &word, 4);
        }
}

/* Codes of 16 rows to the planes of one unit. */
static inline void write_codes(int bits, const row_unit *rows, uint8_t *codes) {
    uint32_t words[PANEL_ROWS][8];
    for (int n = 0; n < PANEL_ROWS; n++) memcpy(words[n], rows[n].codes, UNIT_COLS);
    switch (bits) {
    case 3:
        write_plane(2, 0, words, codes);
        write_plane(1, 2, words, codes + 128);
        break;
    case 5:
        write_plane(4, 0, words, codes);
        write_plane(1, 4, words, codes + 256);
        break;
    case 6:
        write_plane(4, 0, words, codes);
        write_plane(2, 4, words, codes + 256);
        break;
    default:
        write_plane(bits, 0, words, codes);
    }
}

/* Scales of 16 rows to one unit of the scale plane, and to its supers. */
static inline void write_scales(pack_type type, const row_unit *rows, uint8_t *scales, uint8_t *supers) {
    const size_t n_bytes = scale_bytes(type) / PANEL_ROWS;
    const scale_form form = PACK_TRAITS[type].scales;
    const int in_halves = form == SCALE_F16 || form == SCALE_F16_MIN;
    uint16_t *halves = (uint16_t *)(in_halves ? scales : supers);
    const size_t n_halves = (in_halves ? n_bytes : super_bytes(type) / PANEL_ROWS) / 2;
    for (int n = 0; n < PANEL_ROWS; n++) {
        for (size_t i = 0; i < n_halves; i++) halves[i * PANEL_ROWS + n] = rows[n].halves[i];
        for (size_t i = 0; i < n_bytes && !in_halves; i++) scales[i * PANEL_ROWS + n] = rows[n].scales[i];
    }
}

static inline void pack_quant_panel(pack_type type, const uint8_t *src, size_t row_bytes, int n_rows, size_t k,
                                    uint8_t *panel) {
    const size_t units = k / UNIT_COLS;
    const size_t per_block = PACK_TRAITS[type].scales >= SCALE_I8 ? UNITS_PER_SUPER : 1;
    const size_t block_bytes = row_bytes / (units / per_block);
    uint8_t *codes = panel, *scales = codes + units * code_bytes(type), *supers = scales + units * scale_bytes(type);
    for (size_t u = 0; u < units; u++) {
        row_unit rows[PANEL_ROWS];
        memset(rows, 0, sizeof rows);
        for (int n = 0; n < n_rows; n++)
            read_unit(type, src + (size_t)n * row_bytes + u / per_block * block_bytes, (int)(u % per_block), rows + n);
        write_codes(PACK_TRAITS[type].bits, rows, codes);
        write_scales(type, rows, scales, supers + u / UNITS_PER_SUPER * super_bytes(type));
        codes += code_bytes(type);
        scales += scale_bytes(type);
    }
}

static inline void pack_float_panel(size_t element, const uint8_t *src, size_t row_bytes, int n_rows, size_t k,
                                    uint8_t *panel) {
    for (size_t i = 0; i < k; i++)
        for (int n = 0; n < n_rows; n++)
            memcpy(panel + (i * PANEL_ROWS + (size_t)n) * element, src + (size_t)n * row_bytes + i * element, element);
}

/* The 16 rows (or fewer: n_rows) at src to one panel, all of whose bytes are written. */
static void pack_panel(pack_type type, const uint8_t *src, int n_rows, size_t k, uint8_t *panel) {
    const size_t row_bytes = ggml_row_bytes(type, k);
    memset(panel, 0, panel_bytes(type, k));
    switch (type) {
    case PACK_F32: pack_float_panel(4, src, row_bytes, n_rows, k, panel); break;
    case PACK_F16:
    case PACK_BF16: pack_float_panel(2, src, row_bytes, n_rows, k, panel); break;
#define PACK(type) case PACK_##type: pack_quant_panel(PACK_##type, src, row_bytes, n_rows, k, panel); break;
    PACK(Q8_0) PACK(Q4_0) PACK(Q4_1) PACK(Q5_0) PACK(Q5_1) PACK(Q2_K) PACK(Q3_K) PACK(Q4_K)
    PACK(Q5_K) PACK(Q6_K) PACK(IQ4_NL) PACK(IQ4_XS) PACK(MXFP4)
    default: break;
    }
}

#endif
