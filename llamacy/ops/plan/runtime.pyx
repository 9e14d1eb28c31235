"""Runs a plan: all steps of a forward pass in one call without the GIL.

Running a :class:`Program` enters one OpenMP parallel region; each thread walks the
steps, takes items of a step's work list, those of its own share first, until none are
left, and where a step reads what an earlier one wrote, waits for that to be done. What
steps are is said in :mod:`llamacy.ops.plan.steps`; what they compute, in perform.h and
:mod:`llamacy.kernels`.
"""

from cython.parallel cimport parallel, threadid

cimport openmp

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t, uintptr_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from llamacy.kernels.interface cimport kernel_table, row_run
from llamacy.ops.plan.steps cimport (
    Steps, batch, chunk_items, count_items, grain_items, step,
)


cdef extern from "plan/team.h" nogil:
    ctypedef struct work_list:
        pass

    ctypedef struct team_member:
        int thread
        int n_threads

    ctypedef struct work_items:
        int64_t begin
        int64_t end

    ctypedef struct stretch:
        pass

    size_t work_list_bytes(int n_threads)
    work_list* work_list_at(void* lists, int n_threads, int i)
    work_items take(
        work_list* list, int64_t n, int64_t grain, int64_t most, team_member who)
    void finish(work_list* list, int64_t n)
    void wait_for(const work_list* list, int64_t n, stretch* soon)


cdef extern from "plan/step.h" nogil:
    stretch first_weights(
        const step* s, int n_steps, const batch* b, team_member who)


cdef extern from "plan/perform.h" nogil:
    void perform(
        const kernel_table* kernels, const step* s, const batch* b, int begin, int end,
        void* scratch)


cdef class Program(Steps):
    """Steps, and what threads need to run them."""

    cdef void* lists  # a work_list of each step, and of the threads that are done
    cdef int n_threads
    cdef uint8_t[:, ::1] scratch

    def __cinit__(self, capsule, int n_threads, *_):
        cdef int widest = max(self.kv.head_dim, self.kv.value_dim)
        self.n_threads = n_threads
        # one more page, to align it and to keep threads off each other's cache lines
        self.scratch = np.zeros(
            (n_threads, self.kernels.scratch_bytes(widest) + 4096), np.uint8)

    def __dealloc__(self):
        free(self.lists)

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
        n_threads : 1 to those the program was made for.

        Raises
        ------
        ValueError : another number of threads.
        """
        if not 1 <= n_threads <= self.n_threads:
            raise ValueError(
                f"n_threads: wanted 1 to {self.n_threads}, found {n_threads}")
        cdef batch b
        b.n_rows = <int>tokens.shape[0]
        b.n_wanted = <int>wanted.shape[0]
        b.n_runs = <int>runs.shape[0]
        b.tokens = &tokens[0]
        b.positions = &positions[0]
        b.wanted = &wanted[0] if b.n_wanted else NULL
        b.logits = &logits[0, 0] if b.n_wanted else NULL
        b.row_chunk = self.kernels.row_chunk
        b.fetched_bytes = self.kernels.fetched_bytes
        self.clear_lists()
        b.runs = runs_of(runs, pages)
        with nogil:
            if n_threads == 1:
                self.work(&b, 1, 0)
            else:
                with parallel(num_threads=n_threads):
                    # the runtime may give fewer threads than were asked for
                    self.work(&b, openmp.omp_get_num_threads(), threadid())
            free(b.runs)

    cdef int clear_lists(self) except -1:
        cdef size_t size = (self.n_steps + 1) * work_list_bytes(self.n_threads)
        cdef void* lists = realloc(self.lists, size)
        if lists is NULL:
            raise MemoryError("no memory for the work lists of a forward pass")
        self.lists = lists
        memset(lists, 0, size)
        return 0

    cdef work_list* list_of(self, int i, team_member who) noexcept nogil:
        return work_list_at(self.lists, who.n_threads, i)

    cdef void work(self, const batch* b, int n_threads, int thread) noexcept nogil:
        """One thread's way through the program."""
        cdef int i, finished = 0
        cdef team_member who
        cdef stretch soon
        cdef uint8_t* scratch = &self.scratch[thread, 0]
        scratch += 64 - <uintptr_t>scratch % 64
        who.thread = thread
        who.n_threads = n_threads
        self.kernels.enter_thread()
        for i in range(self.n_steps):
            if self.steps[i].waits:
                soon = first_weights(&self.steps[i], self.n_steps - i, b, who)
                while finished < i:
                    wait_for(
                        self.list_of(finished, who),
                        count_items(&self.steps[finished], b), &soon)
                    finished += 1
            self.share(i, b, who, scratch)
        # OpenMP's own barrier would not give the core away while it waits
        soon = first_weights(NULL, 0, b, who)
        finish(self.list_of(self.n_steps, who), 1)
        wait_for(self.list_of(self.n_steps, who), n_threads, &soon)
        self.kernels.leave_thread()

    cdef void share(
        self, int i, const batch* b, team_member who, void* scratch
    ) noexcept nogil:
        """One thread's part of step i."""
        cdef const step* s = &self.steps[i]
        cdef work_list* work = self.list_of(i, who)
        cdef int64_t n = count_items(s, b), grain = grain_items(s)
        cdef int64_t most = chunk_items(s, n, who.n_threads)
        cdef work_items items = take(work, n, grain, most, who)
        while items.begin < items.end:
            perform(
                self.kernels, s, b, <int>items.begin, <int>items.end, scratch)
            finish(work, items.end - items.begin)
            items = take(work, n, grain, most, who)


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
