"""Runs a plan: all steps of a forward pass in one call without the GIL.

Running a `Program` enters one OpenMP parallel region. Each thread walks the steps and
takes items of a step's work list, those of its own share first and then, by work
stealing, those of others, until none are left. Where a step reads what an earlier one
wrote, threads wait for that to be done. step.h says what a step is, perform.h and the
kernels what it computes.
"""

from cython.parallel cimport parallel, threadid

cimport openmp

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t, uintptr_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from llamacy.kernels.interface cimport (
    after_spans, kernel_table, linear_args, row_run, row_span,
)
from llamacy.ops.plan.steps cimport (
    STEP_LINEAR, Steps, batch, chunk_items, count_items, grain_items, step,
)

from llamacy.ops.memory import large_pages


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

include "batch_rows.pxi"

cdef enum:
    MOST_SCORE_BYTES = 32 << 20  # for longer texts each run is the work of one thread


cdef class Program(Steps):
    """Steps, and what threads need to run them.

    Parameters
    ----------
    capsule : object
        The kernels: a level's `table`.
    n_threads : int
        Most threads of a run.

    Attributes
    ----------
    n_threads : int
        As given.
    """

    cdef void* lists  # a work_list of each step, and of the threads that are done
    cdef readonly int n_threads
    cdef uint8_t[:, ::1] scratch
    cdef float[::1] scores

    def __cinit__(self, capsule, int n_threads):
        self.n_threads = n_threads

    def __dealloc__(self):
        free(self.lists)

    def run(self, const int32_t[::1] tokens, const int32_t[::1] positions,
            const int32_t[::1] wanted, const int32_t[:, ::1] runs,
            const uintptr_t[::1] pages, float[:, ::1] logits, int n_threads,
            double[::1] seconds=None, const uint8_t[::1] is_long=None,
            const float[:, ::1] angles=None, WantedRows of_wanted=None,
            const int32_t[:, ::1] spans=None, const uintptr_t[:, ::1] states=None,
            const int32_t[::1] types=None, after_pass=None):
        """Run all steps on one batch, and on those that follow it at once.

        Parameters
        ----------
        tokens, positions : int32, (n_rows,)
            Token and position of each row.
        wanted : int32, (n_wanted,)
            Rows whose logits are computed.
        runs : int32, (n_runs, 3)
            First row, number of rows and first position of each run.
        pages : uintptr, (n_runs,)
            Address of each run's page addresses.
        logits : float32, (n_wanted, n_vocab)
            Receives the logits.
        n_threads : int
            1 to the number that the program was made for.
        seconds : float64, (n_steps,), or None
            Receives how long each step took. Steps then run one after another, so that
            the whole takes longer than without.
        is_long : uint8, (n_rows,), or None
            Whether each row is of a long text; None if none is.
        angles : float32, (n_rows, n_dims / 2), or None
            Angles of each row, for the tables that have none of their own.
        of_wanted : WantedRows or None
            The wanted rows, for programs that rotate or attend with them alone, as
            `needs_wanted` says.
        spans : int32, (n_spans, 3), or None
            The same as `runs`, of rows from one place where states are left to the
            next; not cut. None without states of a fixed size.
        states : uintptr, (n_spans, 2), or None
            Addresses of a text's states before each span's rows, and after them.
        types : int32, (n_rows,), or None
            Token types of the rows, for programs that look them up, as `needs_types`
            says.
        after_pass : callable or None
            Called after each pass. Returns None, or a token for each row: the sequences
            then go on with these in another pass at once. That is possible with one
            wanted row of each sequence, whose page has room, without angles and spans.

        Raises
        ------
        ValueError
            Another number of threads, or of steps, or no angles, types or wanted rows
            where they are needed.
        """
        if not 1 <= n_threads <= self.n_threads:
            raise ValueError(
                f"n_threads: wanted 1 to {self.n_threads}, found {n_threads}")
        if seconds is not None and seconds.shape[0] != self.n_steps:
            raise ValueError(
                f"seconds: wanted {self.n_steps} steps, found {seconds.shape[0]}")
        if self.n_angles and (
                angles is None or angles.shape[0] != tokens.shape[0]
                or angles.shape[1] != self.n_angles):
            raise ValueError(f"angles: wanted {self.n_angles} of each row")
        if self.needs_wanted and of_wanted is None:
            raise ValueError("of_wanted: wanted the rows whose logits are computed")
        if self.needs_types and (
                types is None or types.shape[0] != tokens.shape[0]):
            raise ValueError("types: wanted one of each row")
        cdef double[:, ::1] moments = None
        cdef double* clock = NULL
        if seconds is not None:
            moments = np.full((self.n_threads, self.n_steps + 1), np.inf)
            clock = &moments[0, 0]
        cdef NextRows following = None
        cdef batch b
        b.n_rows = <int>tokens.shape[0]
        b.n_wanted = <int>wanted.shape[0]
        b.n_runs = <int>runs.shape[0]
        b.tokens = &tokens[0]
        b.positions = &positions[0]
        b.types = NULL if types is None else &types[0]
        b.is_long = NULL if is_long is None else &is_long[0]
        b.angles = NULL if angles is None else &angles[0, 0]
        b.wanted = &wanted[0] if b.n_wanted else NULL
        b.logits = &logits[0, 0] if b.n_wanted else NULL
        b.scores = NULL
        b.n_threads = n_threads
        b.row_chunk = self.kernels.row_chunk
        b.span_tokens = self.kernels.span_tokens
        b.many_rows = self.kernels.many_rows
        b.many_panels = self.kernels.many_panels
        b.fetched_bytes = self.kernels.fetched_bytes
        b.of_wanted = NULL
        if of_wanted is not None:
            of_wanted.fill(&b)
            b.of_wanted = &of_wanted.rows
        self.make_scratch()
        b.runs = runs_of(runs, pages)
        b.spans = NULL
        b.n_spans = 0
        try:
            if spans is not None:
                b.spans = spans_of(spans, states)
                b.n_spans = <int>spans.shape[0]
            self.run_pass(&b, of_wanted, clock)
            while after_pass is not None:
                next_tokens = after_pass()
                if next_tokens is None:
                    break
                if following is None:
                    following = NextRows(tokens, positions)
                following.take(&b, of_wanted, next_tokens)
                self.run_pass(&b, of_wanted, clock)
        finally:
            free(b.runs)
            free(b.spans)
        if seconds is not None:
            # a step ends when the first thread sees that all of its items are done
            np.asarray(seconds)[:] = np.diff(np.min(moments, axis=0))

    def kernel_of(self, int i, int n_rows, int n_wanted):
        """Name the kernel that step i chooses for a pass of that many rows.

        Returns
        -------
        str
            ``"many rows"`` or ``"few rows"`` of a product; of other steps ``""``.
        """
        cdef linear_args args
        cdef step* s = &self.steps[i]
        if not 0 <= i < self.n_steps or s.kind != STEP_LINEAR:
            return ""
        args = s.linear
        args.m = n_wanted if s.of_wanted else n_rows
        return "many rows" if self.kernels.has_many_rows(&args) else "few rows"

    cdef int run_pass(
        self, batch* b, WantedRows of_wanted, double* clock
    ) except -1:
        """Run all steps on the rows of a batch."""
        cdef int n_threads = b.n_threads
        self.clear_lists()
        b.scores = self.make_scores(b)
        if of_wanted is not None:
            of_wanted.rows.scores = b.scores
        with nogil:
            if n_threads == 1:
                self.work(b, 1, 0, clock)
            else:
                with parallel(num_threads=n_threads):
                    # the runtime may give fewer threads than were asked for
                    self.work(b, openmp.omp_get_num_threads(), threadid(), clock)
        return 0

    cdef int clear_lists(self) except -1:
        cdef size_t size = (self.n_steps + 1) * work_list_bytes(self.n_threads)
        cdef void* lists = realloc(self.lists, size)
        if lists is NULL:
            raise MemoryError("no memory for the work lists of a forward pass")
        self.lists = lists
        memset(lists, 0, size)
        return 0

    cdef int make_scratch(self) except -1:
        """Make sure that each thread has memory for every step's kernel.

        In large pages: sums of many rows are read and written all over it.
        """
        # one more page, to align it and to keep threads off each other's cache lines
        cdef size_t most = self.kernels.scratch_bytes(
            self.most_dims, self.most_latent)
        cdef Py_ssize_t size = max(most, self.most_panel) + 4096
        if self.scratch is None or self.scratch.shape[1] < size:
            self.scratch = large_pages(self.n_threads * size).reshape(
                self.n_threads, size)
        return 0

    cdef float* make_scores(self, const batch* b):
        """Memory for the scores of few runs, if threads are to share their work."""
        cdef size_t n = count_scores(b)
        if b.of_wanted is not NULL:
            n = max(n, count_scores(b.of_wanted))
        n *= self.most_scores
        if n == 0 or n * sizeof(float) > MOST_SCORE_BYTES:
            return NULL
        if self.scores is None or <size_t>self.scores.shape[0] < n:
            try:
                self.scores = np.empty(n, np.float32)
            except MemoryError:
                return NULL
        return &self.scores[0]

    cdef work_list* list_of(self, int i, team_member who) noexcept nogil:
        return work_list_at(self.lists, who.n_threads, i)

    cdef void work(
        self, const batch* b, int n_threads, int thread, double* clock
    ) noexcept nogil:
        """One thread's way through the program."""
        cdef team_member who
        cdef stretch soon
        cdef uint8_t* scratch = &self.scratch[thread, 0]
        scratch += 64 - <uintptr_t>scratch % 64
        who.thread = thread
        who.n_threads = n_threads
        self.kernels.enter_thread()
        if clock is NULL:
            self.walk(b, who, scratch)
        else:
            self.walk_timed(b, who, scratch, clock)
        # OpenMP's own barrier would not give the core away while it waits
        soon = first_weights(NULL, 0, b, who)
        finish(self.list_of(self.n_steps, who), 1)
        wait_for(self.list_of(self.n_steps, who), n_threads, &soon)
        self.kernels.leave_thread()

    cdef void walk(
        self, const batch* b, team_member who, void* scratch
    ) noexcept nogil:
        """Run all steps; wait only where a step must."""
        cdef int i, finished = 0
        cdef stretch soon
        for i in range(self.n_steps):
            if self.steps[i].waits:
                soon = first_weights(&self.steps[i], self.n_steps - i, b, who)
                while finished < i:
                    wait_for(
                        self.list_of(finished, who),
                        count_items(&self.steps[finished], b), &soon)
                    finished += 1
            self.share(i, b, who, scratch)

    cdef void walk_timed(
        self, const batch* b, team_member who, void* scratch, double* clock
    ) noexcept nogil:
        """Run all steps one after another.

        Each thread notes when it begins, and when it sees that a step is done. Any of
        them may be late, and find that others have done its share.
        """
        cdef int i
        cdef double* moments = clock + who.thread * (self.n_steps + 1)
        cdef stretch soon = first_weights(NULL, 0, b, who)
        moments[0] = openmp.omp_get_wtime()
        for i in range(self.n_steps):
            self.share(i, b, who, scratch)
            wait_for(self.list_of(i, who), count_items(&self.steps[i], b), &soon)
            moments[i + 1] = openmp.omp_get_wtime()

    cdef void share(
        self, int i, const batch* b, team_member who, void* scratch
    ) noexcept nogil:
        """One thread's part of step i."""
        cdef const step* s = &self.steps[i]
        cdef work_list* work = self.list_of(i, who)
        cdef int64_t n = count_items(s, b), grain = grain_items(s)
        cdef int64_t most = chunk_items(s, b, n, who.n_threads)
        cdef work_items items = take(work, n, grain, most, who)
        while items.begin < items.end:
            perform(
                self.kernels, s, b, <int>items.begin, <int>items.end, scratch)
            finish(work, items.end - items.begin)
            items = take(work, n, grain, most, who)
