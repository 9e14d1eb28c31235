"""The steps of a forward pass, over buffers that were allocated before.

Each method adds a step of one kind, and so says which fields of step.h that kind has;
perform.h says what is done. Which steps, and over which buffers, is decided in
:mod:`llamacy.ops.plan.lowering`; :mod:`llamacy.ops.plan.runtime` runs them.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer

from libc.stdint cimport uint8_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from llamacy.kernels.interface cimport (
    EPILOGUE_ADD, EPILOGUE_CLAMPED_SWIGLU, EPILOGUE_GEGLU, EPILOGUE_STORE,
    EPILOGUE_SWIGLU, KV_F16, KV_F32, KV_Q8_0, PAGE_TOKENS, STRIP_ROWS, kernel_table,
    kv_layout_of, linear_args, packed_matrix,
)
from llamacy.kernels.packing.matrices cimport PackedExperts, PackedMatrix
from llamacy.ops.plan.routing cimport Routing


PAGE = PAGE_TOKENS
"""Tokens of one KV page."""
MAX_RUN = STRIP_ROWS
"""Queries of one KV head that are attended together."""
EPILOGUES = {
    "store": EPILOGUE_STORE, "add": EPILOGUE_ADD,
    "swiglu": EPILOGUE_SWIGLU, "geglu": EPILOGUE_GEGLU,
    "clamped_swiglu": EPILOGUE_CLAMPED_SWIGLU,
}
KV_TYPES = {"f32": KV_F32, "f16": KV_F16, "q8_0": KV_Q8_0}


cdef class Steps:
    """Steps, in the order they are added; one that `waits` follows all before it.

    Buffers are float32 (n_batch, width) arrays; the steps keep them alive.

    Parameters
    ----------
    capsule : the kernels, a level's `table`.
    n_threads : those of the program that the steps are part of.
    kv_type, n_head, n_head_kv, head_dim : of attention, in all layers.
    value_dim : dimensions of a head's values; 0: head_dim.
    """

    def __cinit__(self, capsule, n_threads, kv_type, int n_head, int n_head_kv,
                  int head_dim, int value_dim=0):
        self.kernels = <const kernel_table*>PyCapsule_GetPointer(
            capsule, "llamacy.kernel_table")
        self.kv = kv_layout_of(
            KV_TYPES[kv_type], n_head, n_head_kv, head_dim, value_dim or head_dim)
        self._kept = [capsule]

    def __dealloc__(self):
        free(self.steps)

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
        self._kept.append(kept)
        return added

    def embedding(self, PackedMatrix weight, float[:, ::1] y, *, waits=False):
        cdef step* s = self.add_step(STEP_EMBEDDING, waits, False, (weight, y))
        s.linear.w = weight.matrix
        set_output(s, y)

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
        set_input(s, x)
        s.x2 = &weight[0]
        set_output(s, y)
        s.n = <int>weight.shape[0]
        s.n_parts = n_parts
        s.scale = eps
        if prepared is not None:
            s.prepared = &prepared[0]

    def prepare(self, float[:, ::1] x, int n, uint8_t[::1] prepared, *, waits=False,
                of_wanted=False):
        cdef step* s = self.add_step(STEP_PREPARE, waits, of_wanted, (x, prepared))
        set_input(s, x)
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
        set_operands(a, x, prepared, y)

    def append(self, int layer, float[:, ::1] q, float[:, ::1] k, float[:, ::1] v,
               float[:, ::1] q_table, float[:, ::1] k_table, *, int q_half=0,
               int k_half=0, waits=False):
        """Rotate q and k by their tables, if any, and put k and v into the pages."""
        cdef step* s = self.add_step(
            STEP_APPEND, waits, False, (q, k, v, q_table, k_table))
        set_output(s, q)
        set_input(s, k)
        s.x2 = &v[0, 0]
        s.ldx2 = v.shape[1]
        s.attention.kv = &self.kv
        s.attention.offset = layer * self.kv.layer_bytes
        s.half = q_half
        s.x_half = k_half
        if q_table is not None:
            s.table = &q_table[0, 0]
        if k_table is not None:
            s.x_table = &k_table[0, 0]

    def attention(self, int layer, float scale, float[:, ::1] q, float[:, ::1] y, *,
                  int window=0, float softcap=0, float[::1] sinks=None,
                  may_round=False, waits=False):
        """`window` 0 stands for all positions, `softcap` 0 for none.

        It may compute in bfloat16 if it `may_round`.
        """
        cdef step* s = self.add_step(STEP_ATTENTION, waits, False, (q, y, sinks))
        set_input(s, q)
        set_output(s, y)
        s.attention.kv = &self.kv
        s.attention.offset = layer * self.kv.layer_bytes
        s.attention.scale = scale
        s.attention.window = window
        s.attention.softcap = softcap
        s.attention.may_round = may_round
        if sinks is not None:
            s.attention.sinks = &sinks[0]

    def wanted(self, float[:, ::1] x, float[:, ::1] y, *, waits=False):
        cdef step* s = self.add_step(STEP_WANTED, waits, True, (x, y))
        set_input(s, x)
        set_output(s, y)

    def copy(self, float[:, ::1] x, int n, float[:, ::1] y, float[:, ::1] table=None, *,
             int half=0, waits=False, of_wanted=False):
        """Put n columns of x into y, rotated by the table, if any.

        `y` None stands for the logits of the run.
        """
        cdef step* s = self.add_step(STEP_COPY, waits, of_wanted, (x, y, table))
        set_input(s, x)
        s.n = n
        set_output(s, y)
        if table is not None:
            s.table = &table[0, 0]
            s.head_dim = <int>table.shape[1] // 2
            s.half = half

    def scale(self, float[:, ::1] x, int n, float factor, float[:, ::1] y, *,
              waits=False, of_wanted=False):
        """N columns of x times the factor; None stands for the logits of the run."""
        self.add_pointwise(STEP_SCALE, x, n, factor, y, waits, of_wanted)

    def softcap(self, float[:, ::1] x, int n, float cap, float[:, ::1] y, *,
                waits=False, of_wanted=False):
        """N columns of x, capped; None stands for the logits of the run."""
        self.add_pointwise(STEP_SOFTCAP, x, n, cap, y, waits, of_wanted)

    cdef add_pointwise(
        self, step_kind kind, float[:, ::1] x, int n, float constant,
        float[:, ::1] y, bint waits, bint of_wanted
    ):
        cdef step* s = self.add_step(kind, waits, of_wanted, (x, y))
        s.n = n
        s.scale = constant
        set_input(s, x)
        set_output(s, y)

    def add(self, float[:, ::1] x, float[:, ::1] y, float[:, ::1] z, *, waits=False,
            of_wanted=False):
        self.add_elementwise(STEP_ADD, x, y, z, waits, of_wanted)

    def silu_mul(self, float[:, ::1] x, float[:, ::1] y, float[:, ::1] z, *,
                 waits=False, of_wanted=False):
        self.add_elementwise(STEP_SILU_MUL, x, y, z, waits, of_wanted)

    def gelu_mul(self, float[:, ::1] x, float[:, ::1] y, float[:, ::1] z, *,
                 waits=False, of_wanted=False):
        self.add_elementwise(STEP_GELU_MUL, x, y, z, waits, of_wanted)

    cdef add_elementwise(
        self, step_kind kind, float[:, ::1] x, float[:, ::1] y, float[:, ::1] z,
        bint waits, bint of_wanted
    ):
        cdef step* s = self.add_step(kind, waits, of_wanted, (x, y, z))
        set_input(s, x)
        s.x2 = &y[0, 0]
        set_output(s, z)
        s.n = <int>z.shape[1]

    def sigmoid_gate(self, float[:, ::1] x, float[::1] weight, float[:, ::1] y, int n,
                     float[:, ::1] z, *, waits=False, of_wanted=False):
        """`z` is n columns of y, times the sigmoid of x's product with the weight."""
        cdef step* s = self.add_step(
            STEP_SIGMOID_GATE, waits, of_wanted, (x, weight, y, z))
        set_operands(&s.linear, x, None, None)
        s.linear.w.k = weight.shape[0]
        s.x2 = &weight[0]
        set_input(s, y)
        s.n = n
        set_output(s, z)

    def route(self, Routing routing, float[:, ::1] scores, *, waits=False,
              of_wanted=False):
        """Choose each row's experts."""
        cdef step* s = self.add_step(STEP_ROUTE, waits, of_wanted, (routing, scores))
        s.routes = &routing.routes
        set_input(s, scores)

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
        set_input(s, x)
        s.n = n
        set_output(s, y)
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
        set_operands(a, x, prepared, y)

    def mix(self, Routing routing, float[:, ::1] x, int n, float[:, ::1] y, *,
            waits=False, of_wanted=False):
        """Add up n columns of each row's slots in x, by the row's weights."""
        cdef step* s = self.add_step(STEP_MIX, waits, of_wanted, (routing, x, y))
        s.routes = &routing.routes
        set_input(s, x)
        s.n = n
        set_output(s, y)


cdef void set_input(step* s, float[:, ::1] x) noexcept:
    if x is not None:
        s.x = &x[0, 0]
        s.ldx = x.shape[1]


cdef void set_output(step* s, float[:, ::1] y) noexcept:
    if y is not None:
        s.y = &y[0, 0]
        s.ldy = y.shape[1]


cdef void set_operands(
    linear_args* a, float[:, ::1] x, uint8_t[::1] prepared, float[:, ::1] y
) noexcept:
    if x is not None:
        a.x = &x[0, 0]
        a.ldx = x.shape[1]
    if prepared is not None:
        a.prepared = &prepared[0]
    if y is not None:
        a.y = &y[0, 0]
        a.ldy = y.shape[1]
