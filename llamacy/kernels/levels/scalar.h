/* The verbs in plain C: loops of 16 that any compiler may vectorise for the machine's
 * baseline. A new level begins as a copy of this file; verbs.h says what each verb does. */
#ifndef LLAMACY_SCALAR_H
#define LLAMACY_SCALAR_H

#define UNROLL
#include "levels/compiler.h"
#include <limits.h>
#include <math.h>

#define LEVEL_NAME "scalar"
#define ROWS_MAX 1
#define DOT_ROWS 1
#define BYTE_ZERO 0

/* Chosen at other levels: nobody waits for this one. */
enum {
    PREFETCH_BYTES = 7168,
    RESIDENT_BYTES = 512 << 10,
    MANY_PANELS = 8,
    MANY_ROWS = 256,
    SLICE_UNITS = 8,
    FLOAT_MIN_ROWS = 2,
    QUANT_MIN_ROWS = 16,
    SPAN_PAGES = 4,
    BAND_STRIPS = 8,
    PEAK_SUMS = 3,
    ROW_CHUNK = 4096,
    FETCHED_BYTES = 64 << 10,
};

typedef struct { float v[16]; } vf;
typedef union { int8_t b[64]; uint16_t h[32]; int32_t i[16]; } vi;

#define LANES for (int n = 0; n < 16; n++)
#define F_LANES(expression) { vf y; LANES y.v[n] = (expression); return y; }
#define I_LANES(expression) { vi y; LANES y.i[n] = (expression); return y; }

INLINE float scalar_from_f16(uint16_t h) {
    /* Exponent and mantissa moved in place, then the bias corrected by a product,
     * which also makes subnormals right; infinity and NaN keep a full exponent. */
    uint32_t bits = (uint32_t)(h & 0x7FFF) << 13, sign = (uint32_t)(h & 0x8000) << 16;
    float x;
    if (bits >= 0x0F800000u) bits |= 0x7F800000u;
    else {
        memcpy(&x, &bits, 4);
        x *= 5.192296858534828e33f; /* 2^112 */
        memcpy(&bits, &x, 4);
    }
    bits |= sign;
    memcpy(&x, &bits, 4);
    return x;
}
INLINE uint16_t scalar_to_f16(float x) {
    uint32_t bits, sign;
    memcpy(&bits, &x, 4);
    sign = bits >> 16 & 0x8000;
    bits &= 0x7FFFFFFF;
    if (bits >= 0x7F800000u) return (uint16_t)(sign | 0x7C00 | (bits > 0x7F800000u ? 0x200 : 0));
    if (bits >= 0x477FF000u) return (uint16_t)(sign | 0x7C00); /* rounds past 65504 */
    if (bits < 0x38800000u) { /* below 2^-14: a multiple of 2^-24 */
        memcpy(&x, &bits, 4);
        return (uint16_t)(sign | (uint32_t)nearbyintf(x * 16777216.0f));
    }
    bits += 0xFFF + (bits >> 13 & 1); /* nearest, ties to even */
    return (uint16_t)(sign | ((bits - 0x38000000u) >> 13));
}
INLINE float scalar_from_bf16(uint16_t h) {
    uint32_t bits = (uint32_t)h << 16;
    float x;
    memcpy(&x, &bits, 4);
    return x;
}
INLINE int8_t scalar_to_i8(float whole) { return (int8_t)(whole > 127 ? 127 : whole < -128 ? -128 : (int)whole); }
INLINE uint16_t scalar_field(uint16_t two, int shift, int mask) {
    const int moved = shift > 0 ? two >> shift : two << -shift;
    return (uint16_t)(moved & (mask | mask << 8));
}

INLINE vf    f_zero(void) F_LANES(0.0f)
INLINE vf    f_set1(float x) F_LANES(x)
INLINE vf    f_load(const float *p) F_LANES(p[n])
INLINE void  f_store(float *p, vf a) { LANES p[n] = a.v[n]; }
INLINE vf    f_load_f16(const void *p) F_LANES(scalar_from_f16(((const uint16_t *)p)[n]))
INLINE vf    f_load_bf16(const void *p) F_LANES(scalar_from_bf16(((const uint16_t *)p)[n]))
INLINE vf    f_load_i8(const void *p) F_LANES((float)((const int8_t *)p)[n])
INLINE vf    f_load_u8(const void *p) F_LANES((float)((const uint8_t *)p)[n])
INLINE vf    f_load_u4(const void *p, int shift) F_LANES((float)(((const uint8_t *)p)[n] >> shift & 15))
INLINE vf    f_add(vf a, vf b) F_LANES(a.v[n] + b.v[n])
INLINE vf    f_sub(vf a, vf b) F_LANES(a.v[n] - b.v[n])
INLINE vf    f_mul(vf a, vf b) F_LANES(a.v[n] * b.v[n])
INLINE vf    f_div(vf a, vf b) F_LANES(a.v[n] / b.v[n])
INLINE vf    f_max(vf a, vf b) F_LANES(a.v[n] > b.v[n] ? a.v[n] : b.v[n])
INLINE vf    f_min(vf a, vf b) F_LANES(a.v[n] < b.v[n] ? a.v[n] : b.v[n])
INLINE vf    f_abs(vf a) F_LANES(fabsf(a.v[n]))
INLINE vf    f_fma(vf a, vf b, vf c) F_LANES(a.v[n] * b.v[n] + c.v[n])
INLINE vf    f_fnma(vf a, vf b, vf c) F_LANES(c.v[n] - a.v[n] * b.v[n])
/* Adding and subtracting 1.5 * 2^23 leaves no bits for a fraction. */
INLINE vf    f_round(vf a) F_LANES((a.v[n] + 12582912.0f) - 12582912.0f)
/* No int is NaN; a NaN in e comes with one in a. */
INLINE vf    f_scale2(vf a, vf e) F_LANES(ldexpf(a.v[n], e.v[n] == e.v[n] ? (int)e.v[n] : 0))
INLINE vf    f_load_e8m0(const uint8_t *p) F_LANES(ldexpf(1.0f, (int)p[n] - 128))
INLINE vf    f_load_e5m3(const uint8_t *p) F_LANES(scalar_from_f16((uint16_t)(p[n] << 7)))
INLINE float f_sum(vf a) { float s = 0; LANES s += a.v[n]; return s; }
INLINE float f_hmax(vf a) { float s = a.v[0]; LANES s = a.v[n] > s ? a.v[n] : s; return s; }
INLINE vf    f_swap_pairs(vf a) F_LANES(a.v[n ^ 1])
INLINE void  f_turn(vf *rows) {
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < i; j++) {
            const float x = rows[i].v[j];
            rows[i].v[j] = rows[j].v[i];
            rows[j].v[i] = x;
        }
}
INLINE vf    f_first(vf a, int count, vf other) F_LANES(n < count ? a.v[n] : other.v[n])
INLINE vf    f_from_i(vi a) F_LANES((float)a.i[n])
INLINE void  f_store_f16(void *p, vf a) { LANES ((uint16_t *)p)[n] = scalar_to_f16(a.v[n]); }
INLINE void  f_store_i8(int8_t *p, vf a) { a = f_round(a); LANES p[n] = scalar_to_i8(a.v[n]); }

INLINE vi    i_load(const void *p) { vi v; memcpy(&v, p, sizeof v); return v; }
INLINE vi    i_zero(void) I_LANES(0)
INLINE vi    i_or(vi a, vi b) I_LANES(a.i[n] | b.i[n])
INLINE vi    i_field(vi v, int shift, int mask) {
    for (int n = 0; n < 32; n++) v.h[n] = scalar_field(v.h[n], shift, mask);
    return v;
}
INLINE vi    i_lut(vi v, const int8_t *table) {
    for (int n = 0; n < 64; n++) v.b[n] = table[v.b[n] & 15];
    return v;
}
INLINE vi    i_bytes(vi v) { return v; }
INLINE vi    i_add(vi a, vi b) I_LANES(a.i[n] + b.i[n])
INLINE vi    i_shl(vi a, int bits) I_LANES(a.i[n] * (1 << bits))
INLINE vi    i_start(const int32_t *p, int log2) I_LANES(*p * (1 << log2))
INLINE void  i_dots(int rows, const vi *codes, int n_chunks, const int8_t *x, size_t step, int bits, vi *sums) {
    (void)bits;
    for (int t = 0; t < rows; t++)
        LANES {
            int32_t sum = 0;
            for (int c = 0; c < n_chunks; c++)
                for (int j = 0; j < 4; j++) sum += codes[c].b[4 * n + j] * x[t * step + 4 * c + j];
            sums[t].i[n] += sum;
        }
}

#endif
