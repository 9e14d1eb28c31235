/* The verbs: what a level's header defines, and all that the algorithms are written in.
 *
 * vf is 16 float32 lanes, vi is 64 bytes; a level splits them over as many
 * registers as it needs. Loads and stores need no alignment.
 *
 *   f_zero f_set1 f_load f_store          f_load_f16 f_load_bf16 f_load_i8 f_load_u8
 *   f_load_e8m0 (2^(byte - 128))          f_load_u4(p, s): bits s to s + 3 of each byte
 *   f_store_f16 f_store_i8 (nearest, saturated)
 *   f_add f_sub f_mul f_div f_abs         f_max f_min: b where either is NaN
 *   f_fma(a, b, c) = a * b + c
 *   f_fnma(a, b, c) = c - a * b           f_round (nearest even)
 *   f_scale2(x, n) = x * 2^n, n whole     f_sum f_hmax: over the lanes
 *   f_swap_pairs: lanes 1 0 3 2 ...       f_first(x, n, y): x in lanes < n, else y
 *   f_from_i: 16 int32 to float
 *
 *   i_load i_zero                         i_or(a, b)
 *   i_field(v, s, mask): each byte moved right by s bits (left by -s), and mask
 *   i_lut(v, table): bytes < 16 through a table of 16
 *   i_bytes(v): signed codes as i_dots wants them; they then stand for code + BYTE_ZERO
 *   i_add i_shl(v, n): of 16 int32
 *   i_start(p, log2): 16 times *p * 2^log2
 *   i_dots(rows, codes, n, x, step, bits, sums): for t < rows, lane r of sums[t] grows by the sum
 *       over chunks c < n and j < 4 of byte 4r + j of codes[c] times x[t step + 4c + j];
 *       `bits`: of a code, 8 after i_bytes
 *   DOT_ROWS: at most so many rows, as many as registers hold beside the codes
 *
 *   A level may define WORD_COLUMNS, a permutation of 0 1 2 3, and with it (digits.h)
 *   w_store(to, q, fine, n): 32 words 2^n q[i] + fine[i], columns 4c .. 4c + 3 in that order
 *   w_dots(rows, codes, x, step, sums): as i_dots, of all 8 chunks and words so ordered
 *
 *   A level may define HAS_BF16, and with it, on bfloat16 in tiles of 16 rows of 64 bytes,
 *   b_join(x, y): 32 of them, x in the lower half, y in the upper
 *   b_pairs(x, y): x[0] y[0] x[1] y[1] ...
 *   b_products(rows, a, b, b_step, n, c, ldc, adds): for r < rows and j < 16, c[r][j] becomes (or
 *       grows by) the sum over n tiles and p < 16 of a[r][2p] b[p][2j] + a[r][2p+1] b[p][2j+1],
 *       and c[r][16 + j] that with the tiles b_step bytes further
 *   b_dot(sum, pairs, p): lane j of the sum grows by pairs[2j] p[0] + pairs[2j + 1] p[1], as it
 *       does in b_products; not on levels with HAS_TILES
 *
 * Constants: BYTE_ZERO; TOKENS_MAX, rows of activations a microkernel holds: 1, 4 or 16.
 */
#ifndef LLAMACY_VERBS_H
#define LLAMACY_VERBS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(_MSC_VER) && !defined(__clang__)
#define INLINE static __forceinline
#else
#define INLINE static inline __attribute__((always_inline))
#endif

/* Hints to bring a line of memory into the caches, all of them or all but the first. */
#if defined(__GNUC__) || defined(__clang__)
#define PREFETCH(p) __builtin_prefetch(p)
#define PREFETCH_L2(p) __builtin_prefetch(p, 0, 2)
#else
#define PREFETCH(p) ((void)(p))
#define PREFETCH_L2(p) ((void)(p))
#endif

/* A tile of 16 rows of 64 bytes. */
enum { TILE_BYTES = 1024 };

/* Before a loop of constant length that must become straight code. A level whose
 * verbs are loops themselves defines it away. */
#ifndef UNROLL
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define UNROLL _Pragma("GCC unroll 16")
#else
#define UNROLL
#endif
#endif

#endif
