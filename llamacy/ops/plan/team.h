/* How the threads of one forward pass share work and wait for each other: work stealing.
 *
 * Each step has a list of items, and each thread a share of consecutive ones: their weights
 * follow one another in memory, where a stream is read faster than pieces. A thread takes
 * items of its own share until none are left, and then steals items of the others' shares.
 * A step that reads what others wrote begins when all their items are done, by whichever
 * threads, not when all threads have arrived. So a thread that has lost its core to another
 * process holds up the others only while it has an item; they do the rest without it.
 *
 * A thread that waits prefetches the weights it will read next, spins for a while, since an
 * item usually takes some microseconds, and then yields the core, so that the thread that
 * has the item may run there.
 */
#ifndef LLAMACY_TEAM_H
#define LLAMACY_TEAM_H

#include <stddef.h>
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

/* Of one step's items: how many are done, and how many of each thread's share are taken. */
typedef struct { int64_t done, taken[]; } work_list;

/* One of the threads of a pass. */
typedef struct { int thread, n_threads; } team_member;

/* Items begin to end - 1 of a step. */
typedef struct { int64_t begin, end; } work_items;

/* Bytes of a list, in whole cache lines, so that two lists share none. */
static inline size_t work_list_bytes(int n_threads) {
    const size_t bytes = sizeof(work_list) + sizeof(int64_t) * (size_t)n_threads;
    return (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

static inline work_list *work_list_at(void *lists, int n_threads, int i) {
    return (work_list *)((uint8_t *)lists + work_list_bytes(n_threads) * (size_t)i);
}

/* A thread's share of n items: equal parts, in whole grains. */
static inline work_items share_of(int64_t n, int64_t grain, team_member who) {
    const int64_t grains = (n + grain - 1) / grain;
    const int64_t begin = grains * who.thread / who.n_threads * grain;
    const int64_t end = grains * (who.thread + 1) / who.n_threads * grain;
    const work_items share = {begin < n ? begin : n, end < n ? end : n};
    return share;
}

/* Takes up to `most` of n items, of the member's own share first; returns none if none are left. */
static inline work_items take(work_list *list, int64_t n, int64_t grain, int64_t most, team_member who) {
    team_member owner = who;
    for (int i = 0; i < who.n_threads; i++, owner.thread = (owner.thread + 1) % who.n_threads) {
        const work_items share = share_of(n, grain, owner);
        int64_t *taken = &list->taken[owner.thread];
        if (share.begin + __atomic_load_n(taken, __ATOMIC_RELAXED) >= share.end) continue;
        const int64_t begin = share.begin + __atomic_fetch_add(taken, most, __ATOMIC_RELAXED);
        if (begin >= share.end) continue;
        const work_items found = {begin, begin + most < share.end ? begin + most : share.end};
        return found;
    }
    const work_items none = {n, n};
    return none;
}

/* Marks n items as done; threads that wait for them then see all that was written. */
static inline void finish(work_list *list, int64_t n) { __atomic_fetch_add(&list->done, n, __ATOMIC_RELEASE); }

/* Memory that a thread reads next; the part before `next` is prefetched already. */
typedef struct { const uint8_t *next, *end; } stretch;

/* Prefetches one cache line of it into L2, if any are left. */
static inline int fetch_line(stretch *soon) {
    if (soon->next >= soon->end) return 0;
    __builtin_prefetch(soon->next, 0, 2);
    soon->next += CACHE_LINE;
    return 1;
}

/* Returns when n items are done. */
static inline void wait_for(const work_list *list, int64_t n, stretch *soon) {
    for (int spin = 0; __atomic_load_n(&list->done, __ATOMIC_ACQUIRE) < n;) {
        if (fetch_line(soon)) continue;
        if (spin++ < SPINS) PAUSE();
        else YIELD();
    }
}

#endif
