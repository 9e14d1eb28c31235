/* Inlining, unrolling and prefetching, for level headers and packing, by compiler. */
#ifndef LLAMACY_COMPILER_H
#define LLAMACY_COMPILER_H

#include <stddef.h>
#include <stdint.h>

#if UINTPTR_MAX != UINT64_MAX || defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "llamacy needs a 64-bit, little-endian CPU"
#endif

#include <string.h>

#if defined(_MSC_VER) && !defined(__clang__)
#define INLINE static __forceinline
#else
#define INLINE static inline __attribute__((always_inline))
#endif

/* Before a loop of constant length that must become straight code. A level whose
 * verbs are loops themselves defines it away before it includes this file. */
#ifndef UNROLL
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define UNROLL _Pragma("GCC unroll 16")
#else
#define UNROLL
#endif
#endif

/* To the compiler p is another pointer from here on: what it points to is loaded again, and not kept. */
#if defined(__GNUC__) || defined(__clang__)
#define LOAD_AGAIN(p) __asm__("" : "+r"(p))
#else
#define LOAD_AGAIN(p) ((void)(p))
#endif

/* Hints to bring a line of memory into the caches, all of them or all but the first. A function of hints alone must
 * be INLINE: gcc takes it for one without effects, and drops the calls. */
#if defined(__GNUC__) || defined(__clang__)
#define PREFETCH(p) __builtin_prefetch(p)
#define PREFETCH_L2(p) __builtin_prefetch(p, 0, 2)
#else
#define PREFETCH(p) ((void)(p))
#define PREFETCH_L2(p) ((void)(p))
#endif

#endif
