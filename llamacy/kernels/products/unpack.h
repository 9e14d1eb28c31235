/* From packed panels (packed.h) to vectors: the codes and scales of one unit.
 *
 * `type` is a constant in every call, so that each call folds to the few instructions that
 * its type needs.
 */
#ifndef LLAMACY_UNPACK_H
#define LLAMACY_UNPACK_H

#include "packing/packed.h"

INLINE const uint8_t *panel_of(const packed_matrix *w, int64_t panel) { return w->data + (size_t)panel * w->panel; }

/* One unit of a panel: its part of each plane of its block (packed.h). */
typedef struct { const uint8_t *codes, *scales, *supers; } packed_unit;

INLINE packed_unit find_unit(pack_type type, const packed_matrix *w, int64_t panel, size_t u) {
    const uint8_t *start = panel_of(w, panel);
    const unit_place at = place_of_unit(type, (size_t)w->k / UNIT_COLS, u);
    return (packed_unit){start + at.codes, start + at.scales, start + at.supers};
}

/* Numbers added to the values of each table, so that i_dots() reads unsigned codes, and how many bits those
 * have. A level that multiplies signed bytes does without, unless it has MOVED_LOOKUPS because few bits are
 * faster; values that need 8 stay signed even so. */
enum { LOOKUP_COUNT = 6 };
#if BYTE_ZERO
#define LOOKUP_ZEROS BYTE_ZERO, BYTE_ZERO, BYTE_ZERO, BYTE_ZERO, BYTE_ZERO, BYTE_ZERO
#define LOOKUP_BITS 8, 8, 8, 8, 8, 8
#elif defined(MOVED_LOOKUPS)
#define LOOKUP_ZEROS 0, 16, 64, 32, 16, 16
#define LOOKUP_BITS 8, 5, 7, 6, 5, 5
#else
#define LOOKUP_ZEROS 0, 0, 0, 0, 0, 0
#define LOOKUP_BITS 8, 8, 8, 8, 8, 8
#endif
#define TABLES_OF(...) LOOKUP_TABLES(__VA_ARGS__)
static const int8_t LOOKUP[LOOKUP_COUNT][16] = {TABLES_OF(LOOKUP_ZEROS)};

INLINE int lookup_zero(pack_type type) {
    static const int zeros[LOOKUP_COUNT] = {LOOKUP_ZEROS};
    return zeros[PACK_TRAITS[type].lookup - 1];
}
INLINE int lookup_bits(pack_type type) {
    static const int bits[LOOKUP_COUNT] = {LOOKUP_BITS};
    return bits[PACK_TRAITS[type].lookup - 1];
}

/* Codes are signed bytes: Q8_0's, and those of tables that are not moved. */
INLINE int is_signed(pack_type type) {
    return PACK_TRAITS[type].lookup ? !lookup_zero(type) : PACK_TRAITS[type].bits == 8;
}
/* Bits of a code as i_dots() reads it. */
INLINE int dot_bits(pack_type type) {
    const int bits = PACK_TRAITS[type].bits;
    return PACK_TRAITS[type].lookup ? lookup_bits(type) : bits == 1 ? 2 : bits;
}
/* The code that means 0, as i_dots() reads it. */
INLINE int dot_zero(pack_type type) {
    if (PACK_TRAITS[type].lookup) return lookup_zero(type);
    return is_signed(type) ? BYTE_ZERO : PACK_TRAITS[type].zero;
}
INLINE int has_minimum(pack_type type) {
    const scale_form form = PACK_TRAITS[type].scales;
    return form == SCALE_F16_MIN || form == SCALE_U8_MIN || form == SCALE_U4_MIN || form == SCALE_U4_EIGHTHS;
}

INLINE vi nibble_chunk(const uint8_t *plane, int c) {
    return i_field(i_load(plane + 64 * (c % 4)), c / 4 * 4, 0x0F);
}
INLINE vi crumb_chunk(const uint8_t *plane, int c) {
    return i_field(i_load(plane + 64 * (c % 2)), c / 2 * 2, 3);
}

/* Chunk c of codes of one bit alone, which count twice. A table for each bit of a nibble takes fewer
 * instructions than to move and to mask that bit. */
INLINE vi sign_chunk(const uint8_t *plane, int c) {
    static const int8_t twice[4][16] = {
        {0, 2, 0, 2, 0, 2, 0, 2, 0, 2, 0, 2, 0, 2, 0, 2},
        {0, 0, 2, 2, 0, 0, 2, 2, 0, 0, 2, 2, 0, 0, 2, 2},
        {0, 0, 0, 0, 2, 2, 2, 2, 0, 0, 0, 0, 2, 2, 2, 2},
        {0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2},
    };
    return i_lut(i_field(i_load(plane), c / 4 * 4, 0x0F), twice[c % 4]);
}

/* Chunk c of a unit of codes, as packed. */
INLINE vi packed_chunk(int bits, const uint8_t *codes, int c) {
    switch (bits) {
    case 1: return sign_chunk(codes, c);
    case 2: return crumb_chunk(codes, c);
    case 3: return i_insert(crumb_chunk(codes, c), i_load(codes + 128), c - 2, 1 << 2);
    case 5: return i_insert(nibble_chunk(codes, c), i_load(codes + 256), c - 4, 1 << 4);
    case 6: return i_insert(nibble_chunk(codes, c), i_load(codes + 256 + 64 * (c % 2)), c / 2 * 2 - 4, 3 << 4);
    case 8: return i_load(codes + 64 * c);
    default: return nibble_chunk(codes, c);
    }
}
/* Chunk c of a unit of codes, as i_dots() wants them. */
INLINE vi code_chunk(pack_type type, const uint8_t *codes, int c) {
    const vi chunk = packed_chunk(PACK_TRAITS[type].bits, codes, c);
    const int lookup = PACK_TRAITS[type].lookup;
    if (lookup) return i_lut(chunk, LOOKUP[lookup - 1]);
    return is_signed(type) ? i_bytes(chunk) : chunk;
}

/* Scales of group g of a unit, lane n for row n, less the factor that its block shares, if it has one. */
INLINE vf scale_in_block(pack_type type, packed_unit unit, int g) {
    const uint8_t *scales = unit.scales;
    switch (PACK_TRAITS[type].scales) {
    case SCALE_E8M0: return f_load_e8m0(scales);
    case SCALE_E5M3: return f_load_e5m3(scales + PANEL_ROWS * g);
    case SCALE_I8: return f_load_i8(scales + PANEL_ROWS * g);
    case SCALE_U8_MIN: return f_load_u8(scales + PANEL_ROWS * g);
    case SCALE_U4_MIN: return f_load_u4(scales + PANEL_ROWS * g, 0);
    case SCALE_U4: {
        const float value = LOOKUP_UNITS[PACK_TRAITS[type].lookup - 1];
        return f_fma(f_load_u4(scales, 4 * g), f_set1(value / 4), f_set1(value / 8));
    }
    case SCALE_U4_EIGHTHS: return f_fma(f_load_u4(scales, 0), f_set1(2), f_set1(1));
    default: return f_load_f16(scales);
    }
}
INLINE int has_super(pack_type type) { return super_bytes(type) > 0; }
INLINE vf super_scale(packed_unit unit) { return f_load_f16(unit.supers); }
INLINE vf group_scale(pack_type type, packed_unit unit, int g) {
    const vf scale = scale_in_block(type, unit, g);
    return has_super(type) ? f_mul(super_scale(unit), scale) : scale;
}

/* Minimum of group g, less the factor that its block shares: a weight is scale * code - minimum. Without, it is
 * scale * (code - zero). */
INLINE vf minimum_in_block(pack_type type, packed_unit unit, int g) {
    const uint8_t *scales = unit.scales;
    const int groups = PACK_TRAITS[type].groups;
    switch (PACK_TRAITS[type].scales) {
    case SCALE_F16_MIN: return f_sub(f_zero(), f_load_f16(scales + 2 * PANEL_ROWS));
    case SCALE_U8_MIN: return f_load_u8(scales + PANEL_ROWS * (groups + g));
    case SCALE_U4_MIN: return f_load_u4(scales + PANEL_ROWS * g, 4);
    case SCALE_U4_EIGHTHS: return f_mul(scale_in_block(type, unit, g), f_mul(f_load_u4(scales, 4), f_set1(0.125f)));
    default: return f_zero();
    }
}
INLINE vf super_minimum(pack_type type, packed_unit unit) {
    return f_load_f16(unit.supers + (PACK_TRAITS[type].scales == SCALE_U4_EIGHTHS ? 0 : 2 * PANEL_ROWS));
}
INLINE vf group_minimum(pack_type type, packed_unit unit, int g) {
    const vf minimum = minimum_in_block(type, unit, g);
    return has_super(type) && has_minimum(type) ? f_mul(super_minimum(type, unit), minimum) : minimum;
}

/* 16 rows of one column of a float panel. */
INLINE vf float_column(pack_type type, const uint8_t *codes, size_t k) {
    switch (type) {
    case PACK_F16: return f_load_f16(codes + 32 * k);
    case PACK_BF16: return f_load_bf16(codes + 32 * k);
    default: return f_load((const float *)(codes + 64 * k));
    }
}

#endif
