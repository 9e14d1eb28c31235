/* One row of a packed matrix as float32, for embeddings. */
#ifndef LLAMACY_DECODE_ROW_H
#define LLAMACY_DECODE_ROW_H

#include "products/unpack.h"

/* Decode whole units of 16 rows and keep one lane: a row of embeddings is short, and the
 * unpacking code is that of the microkernel. */
INLINE void decode_quant_row(pack_type type, const packed_matrix *w, int64_t row, float *y) {
    const int lane = (int)(row % PANEL_ROWS), groups = PACK_TRAITS[type].groups;
    for (size_t u = 0; u < (size_t)w->k / UNIT_COLS; u++) {
        const packed_unit unit = find_unit(type, w, row / PANEL_ROWS, u);
        float scale[2][16], minimum[2][16];
        for (int g = 0; g < groups; g++) {
            vf s = group_scale(type, unit, g);
            f_store(scale[g], s);
            f_store(minimum[g], group_minimum(type, unit, g));
        }
        for (int c = 0; c < 8; c++) {
            const int g = groups == 1 ? 0 : c / 4;
            uint8_t bytes[64];
            vi chunk = code_chunk(type, unit.codes, c);
            memcpy(bytes, &chunk, sizeof bytes);
            for (int j = 0; j < 4; j++) {
                uint8_t byte = bytes[4 * lane + j];
                int code = is_signed(type) && BYTE_ZERO == 0 ? (int8_t)byte : byte;
                const float moved = scale[g][lane] * (float)(code - (has_minimum(type) ? 0 : dot_zero(type)));
                y[UNIT_COLS * u + 4 * c + j] = moved - minimum[g][lane];
            }
        }
    }
}

INLINE void decode_float_row(pack_type type, const packed_matrix *w, int64_t row, float *y) {
    const uint8_t *codes = panel_of(w, row / PANEL_ROWS);
    for (size_t k = 0; k < (size_t)w->k; k++) {
        float column[16];
        f_store(column, float_column(type, codes, k));
        y[k] = column[row % PANEL_ROWS];
    }
}

static void decode_row(const packed_matrix *w, int64_t row, float *y) {
    switch (w->type) {
#define DECODE(type)                                                                         \
    case PACK_##type:                                                                        \
        if (PACK_TRAITS[PACK_##type].scales == SCALE_NONE) decode_float_row(PACK_##type, w, row, y); \
        else decode_quant_row(PACK_##type, w, row, y);                                       \
        break;
        EACH_PACK_TYPE(DECODE)
    default: break;
    }
}

#endif
