"""Runs a plan: all steps of a forward pass in one call without the GIL.

A :class:`Program` is a flat array of steps over buffers that were allocated before.
Running it enters one OpenMP parallel region; each thread walks the steps, takes
items of a step's work list until none are left, and where a step reads what an earlier
one wrote, waits for that to be done. Which buffers and which steps is decided in
:mod:`llamacy.ops.plan`; what a step computes, in :mod:`llamacy.kernels`.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer
from cython.parallel cimport parallel, threadid

cimport openmp

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t, uintptr_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from llamacy.kernels.interface cimport (
    EPILOGUE_ADD, EPILOGUE_CLAMPED_SWIGLU, EPILOGUE_GEGLU, EPILOGUE_STORE,
    EPILOGUE_SWIGLU, KV_F16, KV_F32, KV_Q8_0, PAGE_TOKENS, PANEL_ROWS, TILE_ROWS,
    attention_args, kernel_table,
    kv_head_bytes, kv_layout, linear_args, packed_matrix, row_run,
)
from llamacy.kernels.packing cimport PackedExperts, PackedMatrix


cdef extern from "team.h" nogil:
    ctypedef struct work_list:
        pass

    ctypedef struct team_member:
        int thread
        int n_threads

    ctypedef struct work_items:
        int64_t begin
        int64_t end

    ctypedef struct stretch:
        const uint8_t* next
        const uint8_t* end

    size_t work_list_bytes(int n_threads)
    work_list* work_list_at(void* lists, int n_threads, int i)
    work_items share_of(int64_t n, int64_t grain, team_member who)
    work_items take(
        work_list* list, int64_t n, int64_t grain, int64_t most, team_member who)
    void finish(work_list* list, int64_t n)
    void wait_for(const work_list* list, int64_t n, stretch* soon)


cdef enum:
    ROW_CHUNK = 4096  # numbers of a row that are scaled or capped in one go
    FETCHED_BYTES = 65536  # of weights while a thread waits: its L2 cache has room

include "routing.pxi"


PAGE = PAGE_TOKENS
"""Tokens of one KV page."""
MAX_RUN = TILE_ROWS
"""Queries of one KV head that are attended together."""
EPILOGUES = {
    "store": EPILOGUE_STORE, "add": EPILOGUE_ADD,
    "swiglu": EPILOGUE_SWIGLU, "geglu": EPILOGUE_GEGLU,
    "clamped_swiglu": EPILOGUE_CLAMPED_SWIGLU,
}
KV_TYPES = {"f32": KV_F32, "f16": KV_F16, "q8_0": KV_Q8_0}


cdef enum step_kind:
    STEP_EMBEDDING
    STEP_ROPE_TABLE
    STEP_RMS_NORM
    STEP_PREPARE
    STEP_LINEAR
    STEP_APPEND
    STEP_ATTENTION
    STEP_WANTED
    STEP_ADD
    STEP_SILU_MUL
    STEP_GELU_MUL
    STEP_SCALE
    STEP_SOFTCAP
    STEP_COPY
    STEP_SIGMOID_GATE
    STEP_ROUTE
    STEP_GROUP
    STEP_GATHER
    STEP_EXPERTS
    STEP_MIX


cdef struct step:
    step_kind kind
    bint waits        # for all items of the steps before to be done
    bint of_wanted    # works on the wanted rows, not on all of the batch
    linear_args linear
    attention_args attention
    const float* x    # inputs and outputs, rows ldx and ldy floats apart
    const float* x2
    float* y
    size_t ldx
    size_t ldy
    void* prepared
    const float* table      # of rotations, of y and of x
    const float* x_table
    int half          # distance in rotated pairs of y and of x, 0: adjacent
    int x_half
    int n
    int n_parts       # of n floats each, in a row
    float scale       # or epsilon, magnitude, cap
    int n_dims
    int head_dim
    size_t offset     # of the layer in a KV page
    routing* routes   # of rows to experts
    bint is_by_row    # x has a row for each of the batch, not for each slot
    size_t stride     # bytes from one expert's matrix to the next
    size_t stride2


# What is new in each forward pass.
cdef struct batch:
    int n_rows
    int n_wanted
    int n_runs
    const int32_t* tokens
    const int32_t* positions
    const int32_t* wanted
    row_run* runs
    float* logits


cdef class Program:
    """Steps, in the order they are added; one that `waits` follows all before it.

    Buffers are float32 (n_batch, width) arrays; the program keeps them alive.
    """

    cdef const kernel_table* kernels
    cdef kv_layout kv
    cdef step* steps
    cdef void* lists  # a work_list of each step, and of the threads that are done
    cdef int n_steps
    cdef int n_threads
    cdef uint8_t[:, ::1] scratch
    cdef list kept

    def __cinit__(self, capsule, int n_threads, kv_type, int n_head, int n_head_kv,
                  int head_dim):
        self.kernels = <const kernel_table*>PyCapsule_GetPointer(
            capsule, "llamacy.kernel_table")
        self.kv.type = KV_TYPES[kv_type]
        self.kv.n_head = n_head
        self.kv.n_head_kv = n_head_kv
        self.kv.head_dim = head_dim
        self.kv.head_bytes = kv_head_bytes(self.kv.type, head_dim)
        self.kv.layer_bytes = n_head_kv * self.kv.head_bytes
        self.n_threads = n_threads
        # one more page, to align it and to keep threads off each other's cache lines
        self.scratch = np.zeros(
            (n_threads, self.kernels.scratch_bytes(head_dim) + 4096), np.uint8)
        self.kept = [capsule]

    def __dealloc__(self):
        free(self.steps)
        free(self.lists)

    @property
    def layer_bytes(self):
        """Bytes of one layer in one KV page."""
        return self.kv.layer_bytes

    @property
    def head_dim(self):
        """Dimensions of a head in attention."""
        return self.kv.head_dim

    def prepared_bytes(self, int k, int m):
        """Bytes that m rows of k activations take as linear steps want them."""
        return self.kernels.prepared_bytes(k, m)

    def reads_prepared(self, weight):
        """Whether steps with a matrix or experts read prepared activations."""
        cdef packed_matrix matrix
        if isinstance(weight, PackedExperts):
            matrix = (<PackedExperts>weight).matrix
        else:
            matrix = (<PackedMatrix?>weight).matrix
        return bool(self.kernels.reads_prepared(&matrix))

    cdef step* add_step(
        self, step_kind kind, bint waits, bint of_wanted, tuple kept
    ) except NULL:
        cdef step* grown = <step*>realloc(
            self.steps, (self.n_steps + 1) * sizeof(step))
        if grown is NULL:
            raise MemoryError("no memory for the steps of a plan")
        self.steps = grown
        cdef step* added = &self.steps[self.n_steps]
        memset(added, 0, sizeof(step))
        added.kind = kind
        added.waits = waits
        added.of_wanted = of_wanted
        self.n_steps += 1
        self.kept.append(kept)
        return added

    def embedding(self, PackedMatrix weight, float[:, ::1] y, *, waits=False):
        cdef step* s = self.add_step(STEP_EMBEDDING, waits, False, (weight, y))
        s.linear.w = weight.matrix
        s.y = &y[0, 0]
        s.ldy = y.shape[1]

    def rope_table(self, float[::1] angles, int head_dim, int half, float magnitude,
                   float[:, ::1] table, *, waits=False):
        """`half` is the distance of a pair's dimensions, or 0 for adjacent ones."""
        cdef step* s = self.add_step(STEP_ROPE_TABLE, waits, False, (angles, table))
        s.x = &angles[0]
        s.n_dims = 2 * <int>angles.shape[0]
        s.head_dim = head_dim
        s.half = half
        s.scale = magnitude
        s.y = &table[0, 0]

    def rms_norm(self, float[:, ::1] x, float[::1] weight, float eps, float[:, ::1] y,
                 uint8_t[::1] prepared=None, *, int n_parts=1, waits=False,
                 of_wanted=False):
        """Norm each part of a row that is as long as the weight.

        Also leaves y prepared for linear steps if `prepared` is given.
        """
        cdef step* s = self.add_step(
            STEP_RMS_NORM, waits, of_wanted, (x, weight, y, prepared))
        s.x = &x[0, 0]
        s.x2 = &weight[0]
        s.y = &y[0, 0]
        s.ldx = x.shape[1]
        s.ldy = y.shape[1]
        s.n = <int>weight.shape[0]
        s.n_parts = n_parts
        s.scale = eps
        if prepared is not None:
            s.prepared = &prepared[0]

    def prepare(self, float[:, ::1] x, int n, uint8_t[::1] prepared, *, waits=False,
                of_wanted=False):
        cdef step* s = self.add_step(STEP_PREPARE, waits, of_wanted, (x, prepared))
        s.x = &x[0, 0]
        s.ldx = x.shape[1]
        s.n = n
        s.prepared = &prepared[0]

    def linear(self, form, PackedMatrix weight, float[::1] bias,
               float[:, ::1] x, uint8_t[::1] prepared, float[:, ::1] y,
               PackedMatrix weight2=None, float[::1] bias2=None, *, waits=False,
               of_wanted=False):
        """`y` None stands for the logits of the run; `weight2` is for gated forms."""
        cdef step* s = self.add_step(
            STEP_LINEAR, waits, of_wanted,
            (weight, bias, x, prepared, y, weight2, bias2))
        cdef linear_args* a = &s.linear
        a.form = EPILOGUES[form]
        a.w = weight.matrix
        if weight2 is not None:
            a.w2 = weight2.matrix
        if bias is not None:
            a.bias = &bias[0]
        if bias2 is not None:
            a.bias2 = &bias2[0]
        a.x = &x[0, 0]
        a.ldx = x.shape[1]
        if prepared is not None:
            a.prepared = &prepared[0]
        if y is not None:
            a.y = &y[0, 0]
            a.ldy = y.shape[1]

    def append(self, int layer, float[:, ::1] q, float[:, ::1] k, float[:, ::1] v,
               float[:, ::1] q_table, float[:, ::1] k_table, *, int q_half=0,
               int k_half=0, waits=False):
        """Rotate q and k by their tables, if any, and put k and v into the pages."""
        cdef step* s = self.add_step(
            STEP_APPEND, waits, False, (q, k, v, q_table, k_table))
        s.y = &q[0, 0]
        s.ldy = q.shape[1]
        s.x = &k[0, 0]
        s.x2 = &v[0, 0]
        s.ldx = k.shape[1]
        s.offset = layer * self.kv.layer_bytes
        s.half = q_half
        s.x_half = k_half
        if q_table is not None:
            s.table = &q_table[0, 0]
        if k_table is not None:
            s.x_table = &k_table[0, 0]

    def attention(self, int layer, float scale, float[:, ::1] q, float[:, ::1] y, *,
                  int window=0, float softcap=0, float[::1] sinks=None, waits=False):
        """`window` 0 stands for all positions, `softcap` 0 for none."""
        cdef step* s = self.add_step(STEP_ATTENTION, waits, False, (q, y, sinks))
        s.x = &q[0, 0]
        s.ldx = q.shape[1]
        s.y = &y[0, 0]
        s.ldy = y.shape[1]
        s.attention.kv = &self.kv
        s.attention.offset = layer * self.kv.layer_bytes
        s.attention.scale = scale
        s.attention.window = window
        s.attention.softcap = softcap
        if sinks is not None:
            s.attention.sinks = &sinks[0]

    def wanted(self, float[:, ::1] x, float[:, ::1] y, *, waits=False):
        cdef step* s = self.add_step(STEP_WANTED, waits, True, (x, y))
        s.x = &x[0, 0]
        s.y = &y[0, 0]
        s.ldy = y.shape[1]

    def copy(self, float[:, ::1] x, int n, float[:, ::1] y, float[:, ::1] table=None, *,
             int half=0, waits=False, of_wanted=False):
        """Put n columns of x into y, rotated by the table, if any.

        `y` None stands for the logits of the run.
        """
        cdef step* s = self.add_step(STEP_COPY, waits, of_wanted, (x, y, table))
        s.x = &x[0, 0]
        s.ldx = x.shape[1]
        s.n = n
        if y is not None:
            s.y = &y[0, 0]
            s.ldy = y.shape[1]
        if table is not None:
            s.table = &table[0, 0]
            s.head_dim = <int>table.shape[1] // 2
            s.half = half

    def scale(self, float[:, ::1] x, int n, float factor, float[:, ::1] y, *,
              waits=False, of_wanted=False):
        """N columns of x times the factor; None stands for the logits of the run."""
        self.pointwise(STEP_SCALE, x, n, factor, y, waits, of_wanted)

    def softcap(self, float[:, ::1] x, int n, float cap, float[:, ::1] y, *,
                waits=False, of_wanted=False):
        """N columns of x, capped; None stands for the logits of the run."""
        self.pointwise(STEP_SOFTCAP, x, n, cap, y, waits, of_wanted)

    cdef pointwise(self, step_kind kind, float[:, ::1] x, int n, float constant,
                   float[:, ::1] y, bint waits, bint of_wanted):
        cdef step* s = self.add_step(kind, waits, of_wanted, (x, y))
        s.n = n
        s.scale = constant
        if x is not None:
            s.x = &x[0, 0]
            s.ldx = x.shape[1]
        if y is not None:
            s.y = &y[0, 0]
            s.ldy = y.shape[1]

    def add(self, float[:, ::1] x, float[:, ::1] y, float[:, ::1] z, *, waits=False,
            of_wanted=False):
        self.elementwise(STEP_ADD, x, y, z, waits, of_wanted)

    def silu_mul(self, float[:, ::1] x, float[:, ::1] y, float[:, ::1] z, *,
                 waits=False, of_wanted=False):
        self.elementwise(STEP_SILU_MUL, x, y, z, waits, of_wanted)

    def gelu_mul(self, float[:, ::1] x, float[:, ::1] y, float[:, ::1] z, *,
                 waits=False, of_wanted=False):
        self.elementwise(STEP_GELU_MUL, x, y, z, waits, of_wanted)

    cdef elementwise(self, step_kind kind, float[:, ::1] x, float[:, ::1] y,
                     float[:, ::1] z, bint waits, bint of_wanted):
        cdef step* s = self.add_step(kind, waits, of_wanted, (x, y, z))
        s.x = &x[0, 0]
        s.x2 = &y[0, 0]
        s.y = &z[0, 0]
        s.ldy = z.shape[1]
        s.n = <int>z.shape[1]

    def sigmoid_gate(self, float[:, ::1] x, float[::1] weight, float[:, ::1] y, int n,
                     float[:, ::1] z, *, waits=False, of_wanted=False):
        """`z` is n columns of y, times the sigmoid of x's product with the weight."""
        cdef step* s = self.add_step(
            STEP_SIGMOID_GATE, waits, of_wanted, (x, weight, y, z))
        s.linear.x = &x[0, 0]
        s.linear.ldx = x.shape[1]
        s.linear.w.k = weight.shape[0]
        s.x2 = &weight[0]
        s.x = &y[0, 0]
        s.ldx = y.shape[1]
        s.n = n
        s.y = &z[0, 0]
        s.ldy = z.shape[1]

    def route(self, Routing routing, float[:, ::1] scores, *, waits=False,
              of_wanted=False):
        """Choose each row's experts."""
        cdef step* s = self.add_step(STEP_ROUTE, waits, of_wanted, (routing, scores))
        s.routes = &routing.routes
        s.x = &scores[0, 0]
        s.ldx = scores.shape[1]

    def group(self, Routing routing, *, waits=False, of_wanted=False):
        """Put rows of the same expert together: give them slots."""
        cdef step* s = self.add_step(STEP_GROUP, waits, of_wanted, (routing,))
        s.routes = &routing.routes

    def gather(self, Routing routing, float[:, ::1] x, int n, float[:, ::1] y,
               uint8_t[::1] prepared, is_by_row, *, waits=False, of_wanted=False):
        """Bring n columns of x into the order of slots: to y, or prepared, or both.

        `x` has a row for each of the batch, or one for each slot.
        """
        cdef step* s = self.add_step(
            STEP_GATHER, waits, of_wanted, (routing, x, y, prepared))
        s.routes = &routing.routes
        s.is_by_row = is_by_row
        s.x = &x[0, 0]
        s.ldx = x.shape[1]
        s.n = n
        if y is not None:
            s.y = &y[0, 0]
            s.ldy = y.shape[1]
        if prepared is not None:
            s.prepared = &prepared[0]

    def experts(self, form, Routing routing, PackedExperts weight, float[:, ::1] bias,
                float[:, ::1] x, uint8_t[::1] prepared, float[:, ::1] y,
                PackedExperts weight2=None, float[:, ::1] bias2=None, *, waits=False,
                of_wanted=False):
        """Multiply each slot with its expert's matrix; biases are (n_expert, n)."""
        cdef step* s = self.add_step(
            STEP_EXPERTS, waits, of_wanted,
            (routing, weight, bias, x, prepared, y, weight2, bias2))
        cdef linear_args* a = &s.linear
        s.routes = &routing.routes
        a.form = EPILOGUES[form]
        a.w = weight.matrix
        s.stride = weight.stride
        if weight2 is not None:
            a.w2 = weight2.matrix
            s.stride2 = weight2.stride
        if bias is not None:
            a.bias = &bias[0, 0]
        if bias2 is not None:
            a.bias2 = &bias2[0, 0]
        if x is not None:
            a.x = &x[0, 0]
            a.ldx = x.shape[1]
        if prepared is not None:
            a.prepared = &prepared[0]
        a.y = &y[0, 0]
        a.ldy = y.shape[1]

    def mix(self, Routing routing, float[:, ::1] x, int n, float[:, ::1] y, *,
            waits=False, of_wanted=False):
        """Add up n columns of each row's slots in x, by the row's weights."""
        cdef step* s = self.add_step(STEP_MIX, waits, of_wanted, (routing, x, y))
        s.routes = &routing.routes
        s.x = &x[0, 0]
        s.ldx = x.shape[1]
        s.n = n
        s.y = &y[0, 0]
        s.ldy = y.shape[1]

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
        cdef int i
        b.n_rows = <int>tokens.shape[0]
        b.n_wanted = <int>wanted.shape[0]
        b.n_runs = <int>runs.shape[0]
        b.tokens = &tokens[0]
        b.positions = &positions[0]
        b.wanted = &wanted[0] if b.n_wanted else NULL
        b.logits = &logits[0, 0] if b.n_wanted else NULL
        b.runs = <row_run*>calloc(b.n_runs, sizeof(row_run))
        if self.lists is NULL:
            self.lists = calloc(self.n_steps + 1, work_list_bytes(self.n_threads))
        if b.runs is NULL or self.lists is NULL:
            free(b.runs)
            raise MemoryError("no memory for the rows of a forward pass")
        for i in range(b.n_runs):
            b.runs[i].row = runs[i, 0]
            b.runs[i].n_rows = runs[i, 1]
            b.runs[i].position = runs[i, 2]
            b.runs[i].pages = <uint8_t**>pages[i]
        memset(self.lists, 0, (self.n_steps + 1) * work_list_bytes(n_threads))
        with nogil:
            if n_threads == 1:
                self.work(&b, 1, 0)
            else:
                with parallel(num_threads=n_threads):
                    # the runtime may give fewer threads than were asked for
                    self.work(&b, openmp.omp_get_num_threads(), threadid())
            free(b.runs)

    cdef void work(self, const batch* b, int n_threads, int thread) noexcept nogil:
        """One thread's way through the program."""
        cdef int i, finished = 0
        cdef int64_t n_items, most, grain
        cdef team_member who
        cdef work_items items
        cdef stretch soon
        cdef work_list* work
        cdef const step* s
        cdef uint8_t* scratch = &self.scratch[thread, 0]
        scratch += 64 - <uintptr_t>scratch % 64
        who.thread = thread
        who.n_threads = n_threads
        soon.next = soon.end = NULL
        self.kernels.enter_thread()
        for i in range(self.n_steps):
            s = &self.steps[i]
            n_items = self.items(s, b)
            if s.waits:
                soon = self.read_next(i, b, who)
            while s.waits and finished < i:
                wait_for(
                    work_list_at(self.lists, n_threads, finished),
                    self.items(&self.steps[finished], b), &soon)
                finished += 1
            work = work_list_at(self.lists, n_threads, i)
            most = chunk_items(s, n_items, n_threads)
            grain = grain_items(s)
            items = take(work, n_items, grain, most, who)
            while items.begin < items.end:
                self.perform(s, b, <int>items.begin, <int>items.end, scratch)
                finish(work, items.end - items.begin)
                items = take(work, n_items, grain, most, who)
        # OpenMP's own barrier would not give the core away while it waits
        work = work_list_at(self.lists, n_threads, self.n_steps)
        soon.next = soon.end
        finish(work, 1)
        wait_for(work, n_threads, &soon)
        self.kernels.leave_thread()

    cdef stretch read_next(self, int i, const batch* b, team_member who) noexcept nogil:
        """The first weights that a thread reads from step i on."""
        cdef stretch weights
        cdef const step* s
        cdef work_items share
        cdef int64_t panel_bytes
        weights.next = weights.end = NULL
        while i < self.n_steps and self.steps[i].kind != STEP_LINEAR:
            i += 1
        if i == self.n_steps:
            return weights
        s = &self.steps[i]
        share = share_of(self.items(s, b), grain_items(s), who)
        panel_bytes = s.linear.w.panel
        weights.next = s.linear.w.data + share.begin * panel_bytes
        weights.end = weights.next + min(
            FETCHED_BYTES, (share.end - share.begin) * panel_bytes)
        return weights

    cdef int64_t items(self, const step* s, const batch* b) noexcept nogil:
        """Length of a step's work list."""
        cdef int rows = b.n_wanted if s.of_wanted else b.n_rows
        if s.kind == STEP_LINEAR:
            return (s.linear.w.n + PANEL_ROWS - 1) // PANEL_ROWS if rows else 0
        if s.kind == STEP_APPEND:
            return b.n_runs
        if s.kind == STEP_ATTENTION:
            return b.n_runs * self.kv.n_head_kv
        if s.kind == STEP_SCALE or s.kind == STEP_SOFTCAP:
            return rows * row_chunks(s.n)
        if s.kind == STEP_GROUP:
            return 1 if rows else 0
        if s.kind == STEP_GATHER:
            return rows * s.routes.n_used
        if s.kind == STEP_EXPERTS:
            return most_groups(s.routes, rows) * (
                (s.linear.w.n + PANEL_ROWS - 1) // PANEL_ROWS)
        return rows

    cdef void perform(self, const step* s, const batch* b, int begin, int end,
                      uint8_t* scratch) noexcept nogil:
        """Items begin to end of a step."""
        cdef const kernel_table* kernels = self.kernels
        cdef int i, m = b.n_wanted if s.of_wanted else b.n_rows
        cdef linear_args args
        if s.kind == STEP_LINEAR:
            args = s.linear
            args.m = m
            if args.y is NULL:
                args.y = b.logits
                args.ldy = args.w.n
            kernels.linear(&args, begin, end, scratch)
        elif s.kind == STEP_RMS_NORM:
            for i in range(s.n_parts):
                kernels.rms_norm(
                    s.x + i * s.n, s.ldx, s.x2, s.scale, s.n, s.y + i * s.n, s.ldy,
                    begin, end)
            if s.prepared:
                kernels.prepare(
                    s.y, s.ldy, s.n * s.n_parts, m, s.prepared, begin, end)
        elif s.kind == STEP_PREPARE:
            kernels.prepare(s.x, s.ldx, s.n, m, s.prepared, begin, end)
        elif s.kind == STEP_APPEND:
            for i in range(begin, end):
                self.rotate_run(s, &b.runs[i])
            kernels.append(
                &self.kv, s.offset, b.runs, s.x, s.ldx, s.x2, s.ldx, begin, end)
        elif s.kind == STEP_ATTENTION:
            kernels.attention(
                &s.attention, b.runs, b.n_runs, s.x, s.ldx, s.y, s.ldy, begin, end,
                scratch)
        elif s.kind == STEP_EMBEDDING:
            kernels.embedding(
                &s.linear.w, b.tokens, s.y, s.ldy, begin, end, scratch)
        elif s.kind == STEP_ROPE_TABLE:
            kernels.rope_table(
                s.x, s.n_dims, s.head_dim, s.half, s.scale, b.positions, s.y, begin,
                end)
        elif s.kind == STEP_WANTED:
            for i in range(begin, end):
                memcpy(s.y + i * s.ldy, s.x + b.wanted[i] * s.ldy,
                       s.ldy * sizeof(float))
        elif s.kind == STEP_ADD:
            kernels.add(s.x, s.x2, s.y, s.ldy, s.n, begin, end)
        elif s.kind == STEP_SILU_MUL:
            kernels.silu_mul(s.x, s.x2, s.y, s.ldy, s.n, begin, end)
        elif s.kind == STEP_GELU_MUL:
            kernels.gelu_mul(s.x, s.x2, s.y, s.ldy, s.n, begin, end)
        elif s.kind == STEP_SCALE or s.kind == STEP_SOFTCAP:
            self.pointwise_rows(s, b, begin, end)
        elif s.kind == STEP_COPY:
            self.copy_rows(s, b, begin, end)
        elif s.kind == STEP_SIGMOID_GATE:
            kernels.sigmoid_gate(
                s.linear.x, s.linear.ldx, s.x2, <int>s.linear.w.k, s.x, s.ldx, s.n,
                s.y, s.ldy, begin, end)
        elif s.kind == STEP_ROUTE:
            for i in range(begin, end):
                route_row(s.routes, s.x + i * s.ldx, i)
        elif s.kind == STEP_GROUP:
            group_rows(s.routes, m)
        elif s.kind == STEP_GATHER:
            gather_slots(
                kernels, s.routes, s.x, s.ldx, s.is_by_row, s.n, s.y, s.ldy,
                s.prepared, begin, end)
        elif s.kind == STEP_EXPERTS:
            multiply_experts(
                kernels, s.routes, &s.linear, s.stride, s.stride2, begin, end, scratch)
        elif s.kind == STEP_MIX:
            kernels.mix(
                s.x, s.ldx, s.routes.slot, s.routes.weight, s.routes.n_used, s.n, s.y,
                s.ldy, begin, end)

    cdef void pointwise_rows(
        self, const step* s, const batch* b, int begin, int end
    ) noexcept nogil:
        """Chunks begin to end of the rows of x or the logits, to y or the logits."""
        cdef const float* x = s.x if s.x else b.logits
        cdef float* y = s.y if s.y else b.logits
        cdef size_t ldx = s.ldx if s.x else s.n, ldy = s.ldy if s.y else s.n
        cdef int item, row, first, n
        for item in range(begin, end):
            row = item // row_chunks(s.n)
            first = item % row_chunks(s.n) * ROW_CHUNK
            n = min(s.n - first, ROW_CHUNK)
            if s.kind == STEP_SCALE:
                self.kernels.scale(
                    x + first, ldx, s.scale, n, y + first, ldy, row, row + 1)
            else:
                self.kernels.softcap(
                    x + first, ldx, s.scale, n, y + first, ldy, row, row + 1)

    cdef void copy_rows(
        self, const step* s, const batch* b, int begin, int end
    ) noexcept nogil:
        """Rows begin to end of x, to y or the logits."""
        cdef int i
        cdef float* y = s.y if s.y else b.logits
        cdef size_t ldy = s.ldy if s.y else s.n
        for i in range(begin, end):
            memcpy(y + i * ldy, s.x + i * s.ldx, s.n * sizeof(float))
        if s.table:
            self.kernels.rope(
                y, ldy, s.n // s.head_dim, s.head_dim, s.half, s.table, begin, end)

    cdef void rotate_run(self, const step* s, const row_run* run) noexcept nogil:
        """Queries and keys of one run's rows, before they are used."""
        cdef int begin = run.row, end = run.row + run.n_rows, d = self.kv.head_dim
        if s.table:
            self.kernels.rope(
                s.y, s.ldy, self.kv.n_head, d, s.half, s.table, begin, end)
        if s.x_table:
            self.kernels.rope(
                <float*>s.x, s.ldx, self.kv.n_head_kv, d, s.x_half, s.x_table, begin,
                end)


cdef inline int row_chunks(int n) noexcept nogil:
    """Chunks that n numbers of a row are cut into: a row of logits is work for all."""
    return (n + ROW_CHUNK - 1) // ROW_CHUNK


cdef inline int64_t chunk_items(
    const step* s, int64_t n_items, int n_threads
) noexcept nogil:
    """Items a thread takes at a time: few enough that all finish together.

    Panels go by fours at least, since many rows share what is done for a block of them.
    """
    cdef int64_t share = n_items // (n_threads * 8)
    if s.kind == STEP_LINEAR or s.kind == STEP_EXPERTS:
        return max(4, min(32, share // 4 * 4))
    return max(1, min(8, share))


cdef inline int64_t grain_items(const step* s) noexcept nogil:
    """Items of which shares have a multiple."""
    return 4 if s.kind == STEP_LINEAR or s.kind == STEP_EXPERTS else 1
