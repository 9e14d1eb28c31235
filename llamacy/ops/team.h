/* How the threads of one forward pass share work and wait for each other.
 *
 * Each step has a list of items, from which threads take until none are left. A step that
 * reads what others wrote begins when all their items are done, by whichever threads: not
 * when all threads have arrived. So a thread whose core a neighbour has taken holds up the
 * others only while it has an item; they do the rest without it.
 *
 * Who waits spins for a while, since an item usually takes some microseconds, and then
 * gives the core away, so that whoever has the item may have it.
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

/* Of one step's items: the next to be taken, and how many are done. */
typedef struct {
    int64_t next;
    int64_t done;
    char pad[CACHE_LINE - 2 * sizeof(int64_t)];
} work_counter;

/* Takes `n` items; returns the first. */
static inline int64_t take(work_counter *c, int64_t n) { return __atomic_fetch_add(&c->next, n, __ATOMIC_RELAXED); }

/* What was written for n items is there for all who wait for them. */
static inline void finish(work_counter *c, int64_t n) { __atomic_fetch_add(&c->done, n, __ATOMIC_RELEASE); }

/* Returns when n items are done. */
static inline void wait_for(const work_counter *c, int64_t n) {
    for (int spin = 0; __atomic_load_n(&c->done, __ATOMIC_ACQUIRE) < n; spin++)
        if (spin < SPINS) PAUSE();
        else YIELD();
}

#endif
