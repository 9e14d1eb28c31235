/* How the threads of one forward pass share work and wait for each other.
 *
 * A team lives inside one OpenMP parallel region. Its barrier spins for a while, since
 * the others are usually less than a microsecond behind, and then gives the core away,
 * so that a busy neighbour slows the pass and does not stall it.
 */
#ifndef LLAMACY_TEAM_H
#define LLAMACY_TEAM_H

#include <stdint.h>

#if defined(_WIN32)
#include <windows.h>
#define YIELD() SwitchToThread()
#else
#include <sched.h>
#define YIELD() sched_yield()
#endif

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#define PAUSE() _mm_pause()
#elif defined(__aarch64__)
#define PAUSE() __asm__ volatile("yield")
#else
#define PAUSE() ((void)0)
#endif

enum { CACHE_LINE = 64, SPINS = 4000 };

/* Arrivals and the generation they are counted in, on cache lines of their own. */
typedef struct {
    int32_t n_threads;
    char pad0[CACHE_LINE];
    int32_t arrived;
    char pad1[CACHE_LINE];
    int32_t generation;
    char pad2[CACHE_LINE];
} team;

/* The next item of one step's work list. */
typedef struct {
    int64_t next;
    char pad[CACHE_LINE - sizeof(int64_t)];
} work_counter;

static inline void team_wait(team *t) {
    if (t->n_threads == 1) return;
    const int32_t generation = __atomic_load_n(&t->generation, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&t->arrived, 1, __ATOMIC_ACQ_REL) == t->n_threads) {
        __atomic_store_n(&t->arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&t->generation, generation + 1, __ATOMIC_RELEASE);
        return;
    }
    for (int spin = 0; __atomic_load_n(&t->generation, __ATOMIC_ACQUIRE) == generation; spin++)
        if (spin < SPINS) PAUSE();
        else YIELD();
}

/* Takes `n` items; returns the first. */
static inline int64_t take(work_counter *c, int64_t n) { return __atomic_fetch_add(&c->next, n, __ATOMIC_RELAXED); }

#endif
