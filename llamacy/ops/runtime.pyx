"""Runs a plan: all steps of a forward pass in one call without the GIL.

Running a :class:`Program` enters one OpenMP parallel region; each thread walks the
steps, takes items of a step's work list until none are left, and where a step reads
what an earlier one wrote, waits for that to be done. What steps are is said in
:mod:`llamacy.ops.steps`; what they compute, in perform.h and :mod:`llamacy.kernels`.
"""

from cython.parallel cimport parallel, threadid

cimport openmp

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t, uintptr_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from llamacy.kernels.interface cimport kernel_table, row_run
from llamacy.ops.steps cimport Steps, batch, chunk_items, count_items, step


cdef extern from "team.h" nogil:
    ctypedef struct work_counter:
        pass

    int64_t take(work_counter* counter, int64_t n)
    void finish(work_counter* counter, int64_t n)
    void wait_for(const work_counter* counter, int64_t n)


cdef extern from "perform.h" nogil:
    void perform(
        const kernel_table* kernels, const step* s, const batch* b, int begin, int end,
        void* scratch)


cdef class Program(Steps):
    """Steps, and what threads need to run them."""

    cdef work_counter* counters  # of each step, and of the threads that are done
    cdef uint8_t[:, ::1] scratch

    def __cinit__(self, capsule, int n_threads, *_):
        # one more page, to align it and to keep threads off each other's cache lines
        self.scratch = np.zeros(
            (n_threads, self.kernels.scratch_bytes(self.kv.head_dim) + 4096), np.uint8)

    def __dealloc__(self):
        free(self.counters)

    def run(self, const int32_t[::1] tokens, const int32_t[::1] positions,
            const int32_t[::1] wanted, const int32_t[:, ::1] runs,
            const uintptr_t[::1] pages, float[:, ::1] logits, int n_threads):
        """Run all steps on one batch.

        Parameters
        ----------
        tokens, positions : (n_rows,)
        wanted : (n_wanted,); rows whose logits go to `logits`, (n_wanted, n_vocab).
        runs : (n_runs, 3); first row, rows and first position of each.
        pages : (n_runs,); address of each run's page addresses.
        n_threads : at most those the program was made for.
        """
        cdef batch b
        b.n_rows = <int>tokens.shape[0]
        b.n_wanted = <int>wanted.shape[0]
        b.n_runs = <int>runs.shape[0]
        b.tokens = &tokens[0]
        b.positions = &positions[0]
        b.wanted = &wanted[0] if b.n_wanted else NULL
        b.logits = &logits[0, 0] if b.n_wanted else NULL
        self.clear_counters()
        b.runs = runs_of(runs, pages)
        with nogil:
            if n_threads == 1:
                self.work(&b, 1, 0)
            else:
                with parallel(num_threads=n_threads):
                    # the runtime may give fewer threads than were asked for
                    self.work(&b, openmp.omp_get_num_threads(), threadid())
            free(b.runs)

    cdef int clear_counters(self) except -1:
        cdef size_t size = (self.n_steps + 1) * sizeof(work_counter)
        cdef work_counter* counters = <work_counter*>realloc(self.counters, size)
        if counters is NULL:
            raise MemoryError("no memory for the counters of a forward pass")
        self.counters = counters
        memset(counters, 0, size)
        return 0

    cdef void work(self, const batch* b, int n_threads, int thread) noexcept nogil:
        """One thread's way through the program."""
        cdef int i, finished = 0
        cdef int64_t item, end, n_items, n
        cdef const step* s
        cdef uint8_t* scratch = &self.scratch[thread, 0]
        scratch += 64 - <uintptr_t>scratch % 64
        self.kernels.enter_thread()
        for i in range(self.n_steps):
            s = &self.steps[i]
            while s.waits and finished < i:
                wait_for(
                    &self.counters[finished], count_items(&self.steps[finished], b))
                finished += 1
            n_items = count_items(s, b)
            n = chunk_items(s, n_items, n_threads)
            item = take(&self.counters[i], n)
            while item < n_items:
                end = min(item + n, n_items)
                perform(self.kernels, s, b, <int>item, <int>end, scratch)
                finish(&self.counters[i], end - item)
                item = take(&self.counters[i], n)
        # OpenMP's own barrier would not give the core away while it waits
        finish(&self.counters[self.n_steps], 1)
        wait_for(&self.counters[self.n_steps], n_threads)
        self.kernels.leave_thread()


cdef row_run* runs_of(
    const int32_t[:, ::1] rows, const uintptr_t[::1] pages
) except NULL:
    """Runs as kernels read them, for the caller to free."""
    cdef int i, n = <int>rows.shape[0]
    cdef row_run* runs = <row_run*>calloc(n, sizeof(row_run))
    if runs is NULL:
        raise MemoryError("no memory for the rows of a forward pass")
    for i in range(n):
        runs[i].row = rows[i, 0]
        runs[i].n_rows = rows[i, 1]
        runs[i].position = rows[i, 2]
        runs[i].pages = <uint8_t**>pages[i]
    return runs
