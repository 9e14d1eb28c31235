/* Each verb as a function on memory, so that tests can call it: see tests/kernels/test_verbs.py.
 *
 * A verb's vectors are read from a, b and c, its integers from n, in the order of its
 * arguments; the result goes to `out`, which verbs that add to something read first. Integers
 * that algorithms pass as constants are constants here too.
 */
#ifndef LLAMACY_VERB_CALLS_H
#define LLAMACY_VERB_CALLS_H

#include "levels/verbs.h"

typedef struct {
    const void *a, *b, *c;
    const int *n;
    void *out;
} verb_memory;

typedef struct {
    const char *name; /* NULL after the last */
    void (*call)(const verb_memory *m);
} verb_call;

#define FA f_load((const float *)m->a)
#define FB f_load((const float *)m->b)
#define FC f_load((const float *)m->c)
#define IA i_load(m->a)
#define IB i_load(m->b)
#define F_OUT(x) f_store((float *)m->out, x)
#define I_OUT(x) put_bytes(m->out, x)
#define S_OUT(x) *(float *)m->out = x

INLINE void put_bytes(void *to, vi v) { memcpy(to, &v, sizeof v); }

/* Do `statement`, in which K is the constant of that value, -8 to 8. */
#define CASE(k, statement) case k: { enum { K = k }; statement; break; }
#define WITH_K(value, statement)                                                        \
    switch (value) {                                                                    \
    CASE(-7, statement) CASE(-6, statement) CASE(-5, statement) CASE(-4, statement)     \
    CASE(-3, statement) CASE(-2, statement) CASE(-1, statement) CASE(0, statement)      \
    CASE(1, statement) CASE(2, statement) CASE(3, statement) CASE(4, statement)         \
    CASE(5, statement) CASE(6, statement) CASE(7, statement) CASE(8, statement)         \
    }

INLINE void turn_of(const verb_memory *m) {
    vf rows[16];
    UNROLL for (int i = 0; i < 16; i++) rows[i] = f_load((const float *)m->a + 16 * i);
    f_turn(rows);
    UNROLL for (int i = 0; i < 16; i++) f_store((float *)m->out + 16 * i, rows[i]);
}

/* i_dots and w_dots: n is rows, chunks (of words), the step of x, and bits; a codes, b activations. */
INLINE void dots_of(const verb_memory *m, int rows, int n_chunks, int bits) {
    vi codes[8], sums[DOT_ROWS];
    if (m->n[0] != rows || m->n[1] != n_chunks || m->n[3] != bits) return;
    for (int c = 0; c < n_chunks; c++) codes[c] = i_load((const uint8_t *)m->a + 64 * c);
    UNROLL for (int t = 0; t < rows; t++) sums[t] = i_load((const uint8_t *)m->out + 64 * t);
    i_dots(rows, codes, n_chunks, (const int8_t *)m->b, (size_t)m->n[2], bits, sums);
    UNROLL for (int t = 0; t < rows; t++) put_bytes((uint8_t *)m->out + 64 * t, sums[t]);
}
#define DOTS_OF_BITS(bits)                                             \
    dots_of(m, 1, 4, bits), dots_of(m, 1, 8, bits);                \
    if (DOT_ROWS > 1) dots_of(m, DOT_ROWS, 4, bits), dots_of(m, DOT_ROWS, 8, bits)

#define EACH_VERB(do)                                                                     \
    do(f_zero, F_OUT(f_zero()))                                                           \
    do(f_set1, F_OUT(f_set1(*(const float *)m->a)))                                       \
    do(f_load, F_OUT(f_load((const float *)m->a)))                                        \
    do(f_store, f_store((float *)m->out, FA))                                             \
    do(f_load_f16, F_OUT(f_load_f16(m->a)))                                               \
    do(f_load_bf16, F_OUT(f_load_bf16(m->a)))                                             \
    do(f_load_i8, F_OUT(f_load_i8(m->a)))                                                 \
    do(f_load_u8, F_OUT(f_load_u8(m->a)))                                                 \
    do(f_load_u4, WITH_K(m->n[0], F_OUT(f_load_u4(m->a, K & 7))))                         \
    do(f_add, F_OUT(f_add(FA, FB)))                                                       \
    do(f_sub, F_OUT(f_sub(FA, FB)))                                                       \
    do(f_mul, F_OUT(f_mul(FA, FB)))                                                       \
    do(f_div, F_OUT(f_div(FA, FB)))                                                       \
    do(f_max, F_OUT(f_max(FA, FB)))                                                       \
    do(f_min, F_OUT(f_min(FA, FB)))                                                       \
    do(f_abs, F_OUT(f_abs(FA)))                                                           \
    do(f_fma, F_OUT(f_fma(FA, FB, FC)))                                                   \
    do(f_fnma, F_OUT(f_fnma(FA, FB, FC)))                                                 \
    do(f_round, F_OUT(f_round(FA)))                                                       \
    do(f_scale2, F_OUT(f_scale2(FA, FB)))                                                 \
    do(f_load_e8m0, F_OUT(f_load_e8m0((const uint8_t *)m->a)))                            \
    do(f_load_e5m3, F_OUT(f_load_e5m3((const uint8_t *)m->a)))                            \
    do(f_sum, S_OUT(f_sum(FA)))                                                           \
    do(f_hmax, S_OUT(f_hmax(FA)))                                                         \
    do(f_swap_pairs, F_OUT(f_swap_pairs(FA)))                                             \
    do(f_turn, turn_of(m))                                                                \
    do(f_first, F_OUT(f_first(FA, m->n[0], FB)))                                          \
    do(f_from_i, F_OUT(f_from_i(IA)))                                                     \
    do(f_store_f16, f_store_f16(m->out, FA))                                              \
    do(f_store_i8, f_store_i8((int8_t *)m->out, FA))                                      \
    do(i_load, I_OUT(i_load(m->a)))                                                       \
    do(i_zero, I_OUT(i_zero()))                                                           \
    do(i_or, I_OUT(i_or(IA, IB)))                                                         \
    do(i_field, WITH_K(m->n[0], I_OUT(i_field(IA, K, m->n[1]))))                          \
    do(i_insert, WITH_K(m->n[0], I_OUT(i_insert(IA, IB, K, m->n[1]))))                    \
    do(i_lut, I_OUT(i_lut(IA, (const int8_t *)m->b)))                                     \
    do(i_bytes, I_OUT(i_bytes(IA)))                                                       \
    do(i_add, I_OUT(i_add(IA, IB)))                                                       \
    do(i_shl, WITH_K(m->n[0], I_OUT(i_shl(IA, K & 15))))                                  \
    do(i_start, WITH_K(m->n[0], I_OUT(i_start((const int32_t *)m->a, K & 15))))           \
    do(i_dots, DOTS_OF_BITS(2); DOTS_OF_BITS(3); DOTS_OF_BITS(4); DOTS_OF_BITS(5);        \
               DOTS_OF_BITS(6); DOTS_OF_BITS(8))

#ifdef SUM_BIAS
#define EACH_SUM_VERB(do)                                                                 \
    do(f_from_sum, F_OUT(f_from_sum(i_add(IA, i_bias()))))                                \
    do(i_bias, I_OUT(i_bias()))
#else
#define EACH_SUM_VERB(do)
#endif

#ifdef WORD_COLUMNS
INLINE void split_of(const verb_memory *m) {
    vi words[2];
    w_split(IA, words);
    UNROLL for (int i = 0; i < 2; i++) put_bytes((uint8_t *)m->out + 64 * i, words[i]);
}
INLINE void word_dots_of(const verb_memory *m, int rows, int n) {
    vi words[16], sums[DOT_ROWS];
    if (m->n[0] != rows || m->n[1] != n) return;
    for (int p = 0; p < n; p++) words[p] = i_load((const uint8_t *)m->a + 64 * p);
    UNROLL for (int t = 0; t < rows; t++) sums[t] = i_load((const uint8_t *)m->out + 64 * t);
    w_dots(rows, words, n, (const int16_t *)m->b, (size_t)m->n[2], sums);
    UNROLL for (int t = 0; t < rows; t++) put_bytes((uint8_t *)m->out + 64 * t, sums[t]);
}
#define WORD_DOTS_OF(n) word_dots_of(m, 1, n); if (DOT_ROWS > 1) word_dots_of(m, DOT_ROWS, n)
#define EACH_WORD_VERB(do)                                                                           \
    do(w_store, w_store((int16_t *)m->out, (const int8_t *)m->a, (const int8_t *)m->b, 8))           \
    do(w_split, split_of(m))                                                                         \
    do(w_dots, WORD_DOTS_OF(2); WORD_DOTS_OF(8); WORD_DOTS_OF(16))
#else
#define EACH_WORD_VERB(do)
#endif

#ifdef HAS_FIXED
/* The words, and after them the scales. */
INLINE void fix_of(const verb_memory *m, int is_bf16) {
    vi words[16];
    const vf scale = h_fix(is_bf16, (const uint8_t *)m->a, words);
    for (int p = 0; p < 16; p++) put_bytes((uint8_t *)m->out + 64 * p, words[p]);
    f_store((float *)m->out + 256, scale);
}
INLINE void half_dots_of(const verb_memory *m, int rows) {
    vi words[16], sums[ROWS_MAX];
    if (m->n[0] != rows) return;
    for (int p = 0; p < 16; p++) words[p] = i_load((const uint8_t *)m->a + 64 * p);
    UNROLL for (int t = 0; t < rows; t++) sums[t] = i_load((const uint8_t *)m->out + 64 * t);
    h_dots(rows, words, (const int16_t *)m->b, (size_t)m->n[1], sums);
    UNROLL for (int t = 0; t < rows; t++) put_bytes((uint8_t *)m->out + 64 * t, sums[t]);
}
#define EACH_FIXED_VERB(do)                                                                          \
    do(h_store, h_store((int16_t *)m->out, FA))                                                      \
    do(h_fix, if (m->n[0]) fix_of(m, 1); else fix_of(m, 0))                                          \
    do(h_dots, half_dots_of(m, 1); half_dots_of(m, 4); half_dots_of(m, ROWS_MAX))
#else
#define EACH_FIXED_VERB(do)
#endif

#ifdef TABLE_BYTES
/* Tables are as the level likes them: both verbs together, of 4 units. */
INLINE void table_sums_of(const verb_memory *m) {
    uint8_t tables[4 * TABLE_BYTES];
    vi sums[4];
    for (int u = 0; u < 4; u++) {
        l_tables(tables + TABLE_BYTES * u, (const int8_t *)m->b + UNIT_COLS * u);
        sums[u] = i_load((const uint8_t *)m->out + 64 * u);
    }
    l_sums(4, (const uint8_t *)m->a, tables, sums);
    for (int u = 0; u < 4; u++) put_bytes((uint8_t *)m->out + 64 * u, sums[u]);
}
#define EACH_TABLE_VERB(do) do(l_sums, table_sums_of(m))
#else
#define EACH_TABLE_VERB(do)
#endif

#ifdef BUNDLE_ROWS
INLINE void joined_of(const verb_memory *m, int joins) {
    vf from[BUNDLE_ROWS], to[BUNDLE_ROWS];
    UNROLL for (int t = 0; t < BUNDLE_ROWS; t++) from[t] = f_load((const float *)m->a + 16 * t);
    if (joins) p_join(from, to);
    else p_part(from, to);
    UNROLL for (int t = 0; t < BUNDLE_ROWS; t++) f_store((float *)m->out + 16 * t, to[t]);
}
INLINE void codes_of(const verb_memory *m) {
    vi chunks[BUNDLE_ROWS], parts[BUNDLE_ROWS];
    UNROLL for (int c = 0; c < BUNDLE_ROWS; c++) chunks[c] = i_load((const uint8_t *)m->a + 64 * c);
    p_codes(chunks, m->n[0], parts);
    UNROLL for (int part = 0; part < BUNDLE_ROWS; part++) put_bytes((uint8_t *)m->out + 64 * part, parts[part]);
}
INLINE vf outputs_of(const verb_memory *m) {
    vf joined = FA;
    return p_outputs(&joined);
}
#define EACH_BUNDLE_VERB(do)                                                              \
    do(p_join, joined_of(m, 1))                                                                \
    do(p_part, joined_of(m, 0))                                                                \
    do(p_codes, codes_of(m))                                                              \
    do(p_values, F_OUT(p_values((const float *)m->a)))                                    \
    do(p_outputs, F_OUT(outputs_of(m)))                                                   \
    do(p_dots, I_OUT(p_dots(i_load(m->out), IA, (const int8_t *)m->b)))
#else
#define EACH_BUNDLE_VERB(do)
#endif

#ifdef HAS_BF16
/* n is rows, the tiles, b_step, ldc, and whether it adds. */
INLINE void products_of(const verb_memory *m, int rows, int adds) {
    if (m->n[0] != rows || m->n[4] != adds) return;
#ifdef HAS_TILES
    t_begin();
#endif
    b_products(rows, (const uint8_t *)m->a, (const uint8_t *)m->b, (size_t)m->n[2], m->n[1], (float *)m->out,
               (size_t)m->n[3], adds);
#ifdef HAS_TILES
    t_end();
#endif
}
/* Where products of bfloat16 are on tiles, they want them. */
#ifdef HAS_TILES
#define WITH_TILES(statements) t_begin(); statements; t_end()
#else
#define WITH_TILES(statements) statements
#endif
#define EACH_BF16_VERB(do)                                                                \
    do(b_join, I_OUT(b_join(FA, FB)))                                                     \
    do(b_pairs, I_OUT(b_pairs(FA, FB)))                                                   \
    do(b_products, WITH_TILES(products_of(m, 4, 0); products_of(m, 4, 1);                 \
                              products_of(m, 8, 0); products_of(m, 8, 1);                 \
                              products_of(m, 16, 0); products_of(m, 16, 1)))
#else
#define EACH_BF16_VERB(do)
#endif

#if defined(HAS_BF16) && !defined(HAS_TILES)
#define EACH_PAIR_VERB(do) do(b_dot, F_OUT(b_dot(f_load((const float *)m->out), IA, (const uint8_t *)m->b)))
#else
#define EACH_PAIR_VERB(do)
#endif

#ifdef HAS_TILES
/* Each of the 8 registers at once, so that none can be taken for another. */
#define TILE_IN(t) T_LOAD(t, (const uint8_t *)m->a + 16 * (size_t)(t) * (size_t)m->n[0], (size_t)m->n[0])
#define TILE_OUT(t) T_STORE(t, (uint8_t *)m->out + 16 * (size_t)(t) * (size_t)m->n[0], (size_t)m->n[0])
#define TILES_IN TILE_IN(0); TILE_IN(1); TILE_IN(2); TILE_IN(3); TILE_IN(4); TILE_IN(5); TILE_IN(6); TILE_IN(7)
#define TILES_OUT TILE_OUT(0); TILE_OUT(1); TILE_OUT(2); TILE_OUT(3); TILE_OUT(4); TILE_OUT(5); TILE_OUT(6); TILE_OUT(7)
/* n is the shift, a multiple of 4. */
INLINE vf lookup_of(const verb_memory *m) {
    vf found = f_zero();
    UNROLL for (int shift = 0; shift < 32; shift += 4)
        if (m->n[0] == shift) found = t_lookup(FA, IB, shift);
    return found;
}
#define EACH_TILE_VERB(do)                                                                \
    do(t_byte, WITH_K(m->n[0], I_OUT(t_byte(IA, K & 3))))                                 \
    do(t_lookup, F_OUT(lookup_of(m)))                                                     \
    do(t_fraction, F_OUT(t_fraction(FA)))                                                 \
    do(t_scale2, F_OUT(t_scale2(FA, FB)))                                                 \
    do(T_LOAD, t_begin(); TILES_IN; TILES_OUT; t_end())                                   \
    do(T_ZERO, t_begin(); TILES_IN; T_ZERO(1); T_ZERO(6); TILES_OUT; t_end())             \
    do(T_DOT, t_begin(); TILES_IN; T_DOT(0, 4, 6); T_DOT(3, 5, 7); TILES_OUT; t_end())
#else
#define EACH_TILE_VERB(do)
#endif

#define EACH_CALL(do)                                                                     \
    EACH_VERB(do) EACH_SUM_VERB(do) EACH_WORD_VERB(do) EACH_FIXED_VERB(do) EACH_TABLE_VERB(do) \
    EACH_BUNDLE_VERB(do) EACH_BF16_VERB(do) EACH_PAIR_VERB(do) EACH_TILE_VERB(do)
/* cold: they are to be small, not fast */
#define DEFINE_CALL(name, body) static __attribute__((cold)) void call_##name(const verb_memory *m) { (void)m; body; }
EACH_CALL(DEFINE_CALL)
#define LIST_CALL(name, body) {#name, call_##name},
static const verb_call VERB_CALLS[] = {EACH_CALL(LIST_CALL){NULL, NULL}};

/* The verbs of a level, and the constants on which their meaning depends. */
typedef struct {
    const verb_call *calls;
    int byte_zero, dot_rows, bundle_rows, skips_digits;
    int columns[4]; /* of the words of w_store() */
} verb_table;

#ifndef WORD_COLUMNS
#define WORD_COLUMNS 0, 1, 2, 3
#endif
#ifndef BUNDLE_ROWS
#define BUNDLE_ROWS 0
#endif
#ifdef SKIPS_DIGITS
enum { DIGITS_ARE_SKIPPED = 1 };
#else
enum { DIGITS_ARE_SKIPPED = 0 };
#endif
static const verb_table VERB_TABLE = {VERB_CALLS, BYTE_ZERO, DOT_ROWS, BUNDLE_ROWS, DIGITS_ARE_SKIPPED, {WORD_COLUMNS}};

#endif
