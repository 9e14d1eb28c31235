/* From ggml's blocks to packed panels (packed.h).
 *
 * A row of a GGUF tensor is a run of blocks of 32 to 256 columns. read_words() and
 * read_scales() take 32 columns of one row apart, four codes as the bytes of a word and four
 * words at a time; write_codes() puts those of 16 rows together again, the rows side by side.
 * Block layouts: ggml's specification of its types.
 *
 * `type` is a constant in every call: each type gets a loop of its own.
 */
#ifndef LLAMACY_PACKING_H
#define LLAMACY_PACKING_H

#include "packing/codebook_blocks.h"
#include "packing/mapped_rows.h"

/* The 6-bit scale and minimum number `u` of Q4_K and Q5_K. */
INLINE void read_scale_min(const uint8_t *s, int u, uint8_t *scale, uint8_t *minimum) {
    if (u < 4) {
        *scale = s[u] & 63;
        *minimum = s[u + 4] & 63;
    } else {
        *scale = (uint8_t)((s[u + 4] & 15) | s[u - 4] >> 6 << 4);
        *minimum = (uint8_t)(s[u + 4] >> 4 | s[u] >> 6 << 4);
    }
}

/* The 6-bit scale number i of Q3_K, in two's complement. */
INLINE uint8_t read_q3_scale(const uint8_t *s, int i) {
    int low = i < 8 ? s[i] & 15 : s[i - 8] >> 4, high = s[8 + i % 4] >> 2 * (i / 4) & 3;
    return (uint8_t)((low | high << 4) - 32);
}

/* Four weights of TQ1_0, 0 1 or 2, which are digit number `digit` of four bytes. A byte
 * holds five as the fraction 0.abcde of base 3, in units of 1/256. */
INLINE uint32_t read_trits(const uint8_t *bytes, int digit) {
    static const uint8_t powers[5] = {1, 3, 9, 27, 81};
    uint32_t word = 0;
    UNROLL for (int j = 0; j < 4; j++) {
        const uint32_t fraction = (uint8_t)(bytes[j] * powers[digit]);
        word |= (fraction * 3 >> 8) << 8 * j;
    }
    return word;
}

/* The four bytes that hold weights 4c .. 4c + 3 of unit u of NVFP4, whose groups have 8 bytes each:
 * column j below column j + 8. */
INLINE uint32_t read_nvfp4_word(const uint8_t *block, int u, int c) {
    return read_u32(block + 4 + 16 * u + 8 * (c / 4) + 4 * (c % 2));
}

/* A scale of NVFP4, four bits of exponent and three of mantissa, in the form E5M3: the halves that the
 * doubled values want, and small numbers not as subnormal ones. The bit above is not read, and
 * what would be NaN is 0, as in ggml. */
INLINE uint8_t read_ue4m3(uint8_t byte) {
    enum { SHIFT = 15 - 7 - 1 }; /* the biases of float16 and E4M3, and the half */
    const int e = byte >> 3 & 15, m = byte & 7;
    if (byte == 0x7F || (e == 0 && m == 0)) return 0;
    if (e > 0) return (uint8_t)((e + SHIFT) << 3 | m);
    const int up = m >= 4 ? 1 : m >= 2 ? 2 : 3; /* to a one in front */
    return (uint8_t)((1 - up + SHIFT) << 3 | (m << up & 7));
}

/* Two-bit codes of four columns, which one byte holds. */
INLINE uint32_t spread_crumbs(uint32_t byte) {
    return (byte & 3) | (byte & 12) << 6 | (byte & 48) << 12 | (byte & 192) << 18;
}

/* The same of columns 4c .. 4c + 3 of unit u: 32 bytes hold 5 x 32, 16 then 5 x 16, 4 then 4 x 4. */
INLINE uint32_t read_tq1_word(const uint8_t *block, int u, int c) {
    const int column = UNIT_COLS * u + 4 * c;
    if (column < 160) return read_trits(block + column % 32, column / 32);
    if (column < 240) return read_trits(block + 32 + column % 16, (column - 160) / 16);
    return read_trits(block + 48, (column - 240) / 4);
}

/* Codes 4c .. 4c + 3 of unit u of a block, of types that hold those of four chunks in different ways. */
INLINE uint32_t read_word(ggml_type type, const uint8_t *block, int u, int c) {
    switch (type) {
    case GGML_TQ1_0: return read_tq1_word(block, u, c);
    case GGML_Q1_0: return spread((uint32_t)block[2 + 4 * u + c / 2] >> 4 * (c % 2));
    case GGML_Q2_0: return spread_crumbs(block[2 + 8 * u + c]);
    case GGML_NVFP4: return field(read_nvfp4_word(block, u, c), 4 * (c / 2 % 2), 4);
    default: return 0;
    }
}

/* The fifth bits of codes of Q5_0 and Q5_1: 16 of 32, from number 16 half on. */
INLINE words4 read_fifth_bits(const uint8_t *bits, int half) {
    const uint32_t both = (uint32_t)read_u16(bits + 2 * half);
    const words4 words = {spread(both), spread(both >> 4), spread(both >> 8), spread(both >> 12)};
    return words << 4;
}

/* Codes 16 half .. 16 half + 15 of unit u of a block; blocks of 32 columns have only unit 0. */
INLINE words4 read_words(ggml_type type, const uint8_t *block, int u, int half) {
    /* where 32 columns share their bytes with others: of 64 columns in nibbles, of 128 in crumbs */
    const int at = 16 * half, nibbles = 32 * (u / 2) + at, crumbs = 32 * (u / 4) + at;
    /* where they are on their own, column 16 above column 0 */
    const int high = 4 * half;
    uint32_t words[4];
    switch (type) {
    case GGML_Q8_0: return load_words(block + 2 + at);
    case GGML_Q4_0:
    case GGML_IQ4_NL: return fields(load_words(block + 2), high, 4);
    case GGML_Q4_1: return fields(load_words(block + 4), high, 4);
    case GGML_Q5_0: return fields(load_words(block + 6), high, 4) | read_fifth_bits(block + 2, half);
    case GGML_Q5_1: return fields(load_words(block + 8), high, 4) | read_fifth_bits(block + 4, half);
    case GGML_MXFP4: return fields(load_words(block + 1), high, 4);
    case GGML_Q2_K: return fields(load_words(block + 16 + crumbs), 2 * (u % 4), 2);
    case GGML_Q3_K:
        return fields(load_words(block + 32 + crumbs), 2 * (u % 4), 2) | fields(load_words(block + at), u, 1) << 2;
    case GGML_Q4_K: return fields(load_words(block + 16 + nibbles), 4 * (u % 2), 4);
    case GGML_Q5_K:
        return fields(load_words(block + 48 + nibbles), 4 * (u % 2), 4) | fields(load_words(block + 16 + at), u, 1) << 4;
    case GGML_Q6_K:
        return fields(load_words(block + 64 * (u / 4) + 32 * (u % 2) + at), u % 4 < 2 ? 0 : 4, 4) |
               fields(load_words(block + 128 + crumbs), 2 * (u % 4), 2) << 4;
    case GGML_IQ4_XS: return fields(load_words(block + 8 + 16 * u), high, 4);
    case GGML_TQ2_0: return fields(load_words(block + crumbs), 2 * (u % 4), 2);
    default:
        UNROLL for (int c = 0; c < 4; c++) words[c] = read_word(type, block, u, 4 * half + c);
        return load_words((const uint8_t *)words);
    }
}

/* The same of a type with a codebook. */
INLINE words4 read_points(ggml_type type, const uint8_t *codebook, const uint8_t *block, int u, int half) {
    uint32_t words[4];
    UNROLL for (int c = 0; c < 4; c++) words[c] = read_point(type, codebook, block, u, 4 * half + c);
    return load_words((const uint8_t *)words);
}

/* Scales of unit u of a block, to row n. */
INLINE void read_scales(ggml_type type, const uint8_t *block, int u, int n, panel_unit *out) {
    switch (type) {
    case GGML_MXFP4: out->scales[0][n] = block[0]; return;
    case GGML_NVFP4:
        for (int g = 0; g < 2; g++) out->scales[g][n] = read_ue4m3(block[2 * u + g]);
        return;
    case GGML_Q2_K:
        for (int g = 0; g < 2; g++) out->scales[g][n] = block[2 * u + g];
        out->halves[0][n] = read_u16(block + 80);
        out->halves[1][n] = read_u16(block + 82);
        return;
    case GGML_Q3_K:
        for (int g = 0; g < 2; g++) out->scales[g][n] = read_q3_scale(block + 96, 2 * u + g);
        out->halves[0][n] = read_u16(block + 108);
        return;
    case GGML_Q6_K:
        for (int g = 0; g < 2; g++) out->scales[g][n] = block[192 + 2 * u + g];
        out->halves[0][n] = read_u16(block + 208);
        return;
    case GGML_Q4_K:
    case GGML_Q5_K: read_scale_min(block + 4, u, &out->scales[0][n], &out->scales[1][n]); break;
    case GGML_TQ1_0: out->halves[0][n] = read_u16(block + 52); return;
    case GGML_TQ2_0: out->halves[0][n] = read_u16(block + 64); return;
    case GGML_IQ4_XS: {
        int low = block[4 + u / 2] >> 4 * (u % 2) & 15, high = read_u16(block + 2) >> 2 * u & 3;
        out->scales[0][n] = (uint8_t)((low | high << 4) - 32);
        break;
    }
    default: break;
    }
    out->halves[0][n] = read_u16(block);
    out->halves[1][n] = read_u16(block + 2);
}

/* A row's codes, chunks 4 to 7 above chunks 0 to 3: the lower halves of bytes, and what is above them. */
INLINE void set_row(int bits, int n, words4 first, words4 second, panel_unit *unit) {
    if (bits == 8) {
        unit->low[n] = first, unit->high[n] = second;
        return;
    }
    unit->low[n] = fields(first, 0, 4) | fields(second, 0, 4) << 4;
    if (bits > 4) unit->high[n] = fields(first, 4, bits - 4) | fields(second, 4, bits - 4) << 4;
}

/* A plane of `bits` a code, 1 or 2, from bit `from` on of the half bytes of four vectors. Vector i
 * takes chunks i, i + bits, i + 2 bits ..., each above the one before. */
INLINE void write_plane(int bits, int from, const uint32_t vectors[4][PANEL_ROWS], uint8_t *plane) {
    const uint32_t mask = bits == 1 ? 0x11111111u : 0x33333333u;
    UNROLL for (int i = 0; i < bits; i++) {
        uint32_t vector[PANEL_ROWS];
        for (int n = 0; n < PANEL_ROWS; n++) {
            uint32_t word = 0;
            UNROLL for (int c = i; c < 4; c += bits) word |= (vectors[c][n] >> from & mask) << (c - i);
            vector[n] = word;
        }
        memcpy(plane + 64 * i, vector, sizeof vector);
    }
}

/* The vectors of one unit's codes. */
INLINE void write_codes(int bits, const panel_unit *unit, uint8_t *codes) {
    uint32_t low[4][PANEL_ROWS], high[4][PANEL_ROWS];
    turn_words(unit->low, low);
    if (bits > 4) turn_words(unit->high, high);
    switch (bits) {
    case 1: write_plane(1, 0, low, codes); break;
    case 2: write_plane(2, 0, low, codes); break;
    case 3:
        write_plane(2, 0, low, codes);
        write_plane(1, 2, low, codes + 128);
        break;
    default:
        memcpy(codes, low, sizeof low);
        if (bits == 8) memcpy(codes + 256, high, sizeof high);
        else if (bits > 4) write_plane(bits - 4, 0, high, codes + 256);
    }
}

/* One unit of the scale plane, and its supers. */
INLINE void write_scales(pack_type type, const panel_unit *unit, uint8_t *scales, uint8_t *supers) {
    const scale_form form = PACK_TRAITS[type].scales;
    if (form == SCALE_F16 || form == SCALE_F16_MIN) {
        memcpy(scales, unit->halves, scale_bytes(type));
        return;
    }
    memcpy(scales, unit->scales, scale_bytes(type));
    memcpy(supers, unit->halves, super_bytes(type));
}

/* Fetches part i of n of the `bytes` that follow the first `bytes` at p: where the next panel is read, or
 * written. Rows are read side by side, a few bytes of each, which no CPU's own prefetchers follow. */
INLINE void fetch_next(const uint8_t *p, size_t bytes, size_t i, size_t n) {
    for (size_t at = bytes * i / n; at < bytes * (i + 1) / n; at += 64) PREFETCH_L2(p + bytes + at);
}

INLINE void pack_quant_panel(ggml_type type, const uint8_t *codebook, const uint8_t *src, int n_rows, size_t k,
                             uint8_t *panel) {
    const pack_type form = GGML_TYPES[type].form;
    const size_t units = k / UNIT_COLS, row_bytes = ggml_row_bytes(type, k);
    const size_t per_block = (size_t)GGML_TYPES[type].columns / UNIT_COLS;
    panel_unit unit;
    memset(&unit, 0, sizeof unit); /* rows past n_rows stay 0 */
    for (size_t i = 0; i < units; i++) {
        const unit_place at = place_of_unit(form, units, i);
        const int u = (int)(i % per_block);
        fetch_next(src, (size_t)n_rows * row_bytes, i, units);
        fetch_next(panel, panel_bytes(form, k), i, units);
        for (int n = 0; n < n_rows; n++) {
            const uint8_t *block = src + (size_t)n * row_bytes + i / per_block * (size_t)GGML_TYPES[type].bytes;
            words4 words[2];
            if (has_codebook(type)) {
                UNROLL for (int i = 0; i < 2; i++) words[i] = read_points(type, codebook, block, u, i);
                read_point_scales(type, block, u, n, &unit);
            } else {
                UNROLL for (int i = 0; i < 2; i++) words[i] = read_words(type, block, u, i);
                read_scales(type, block, u, n, &unit);
            }
            set_row(PACK_TRAITS[form].bits, n, words[0], words[1], &unit);
        }
        write_codes(PACK_TRAITS[form].bits, &unit, panel + at.codes);
        write_scales(form, &unit, panel + at.scales, panel + at.supers);
    }
}

/* Column by column, from column `first` on. */
INLINE void pack_float_columns(size_t element, const uint8_t *src, int n_rows, size_t first, size_t k, uint8_t *panel) {
    for (size_t i = first; i < k; i++) {
        uint8_t *column = panel + i * PANEL_ROWS * element;
        if (n_rows < PANEL_ROWS) memset(column, 0, PANEL_ROWS * element);
        for (size_t n = 0; n < (size_t)n_rows; n++) memcpy(column + n * element, src + (n * k + i) * element, element);
    }
}

/* Vectors of 16 words, of a column or of two of 16 bits each, to their columns. */
INLINE void write_columns(size_t element, const uint32_t vectors[4][PANEL_ROWS], uint8_t *columns) {
    uint16_t halves[8][PANEL_ROWS];
    if (element == 4) {
        memcpy(columns, vectors, 4 * sizeof vectors[0]);
        return;
    }
    UNROLL for (int i = 0; i < 8; i++)
        for (int n = 0; n < PANEL_ROWS; n++) halves[i][n] = (uint16_t)(vectors[i / 2][n] >> 16 * (i % 2));
    memcpy(columns, halves, sizeof halves);
}

/* Four words of each row at a time. */
INLINE void pack_float_panel(size_t element, const uint8_t *src, int n_rows, size_t k, uint8_t *panel) {
    const size_t step = sizeof(words4) / element, whole = k / step;
    words4 rows[PANEL_ROWS];
    memset(rows, 0, sizeof rows); /* rows past n_rows stay 0 */
    for (size_t i = 0; i < whole; i++) {
        uint32_t vectors[4][PANEL_ROWS];
        fetch_next(src, (size_t)n_rows * k * element, i, whole);
        fetch_next(panel, PANEL_ROWS * k * element, i, whole);
        for (int n = 0; n < n_rows; n++) rows[n] = load_words(src + (size_t)n * k * element + i * sizeof(words4));
        turn_words(rows, vectors);
        write_columns(element, vectors, panel + i * step * PANEL_ROWS * element);
    }
    pack_float_columns(element, src, n_rows, whole * step, k, panel);
}

/* The 16 rows (or fewer: n_rows) at src to one panel, all of whose bytes are written.
 * `codebook` is the type's, or NULL if it has none. */
static void pack_panel(ggml_type type, const uint8_t *codebook, const uint8_t *src, int n_rows, size_t k,
                       uint8_t *panel) {
    memset(panel + panel_bytes(GGML_TYPES[type].form, k) - 64, 0, 64); /* the padding */
    switch (type) {
#define PACK(name, columns, bytes, form)                                                             \
    case GGML_##name:                                                                                \
        if (is_float_pack(PACK_##form)) pack_float_panel(bytes, src, n_rows, k, panel);              \
        else pack_quant_panel(GGML_##name, codebook, src, n_rows, k, panel);                         \
        break;
        EACH_GGML_TYPE(PACK)
    default: break;
    }
}

static void pack_mapped_row(const mapped_rows *rows, int64_t row, uint8_t *panel) {
    const uint8_t *src = rows->data + (size_t)row * rows->row_bytes;
    pack_panel((ggml_type)rows->type, rows->codebook, src, 1, rows->k, panel);
}

#endif
