"""Steps of a forward pass: what step.h explains, and who owns an array of them."""

from libc.stdint cimport int32_t, int64_t

from llamacy.kernels.interface cimport (
    attention_args, kernel_table, kv_layout, linear_args, row_run,
)
from llamacy.ops.plan.routing cimport routing


cdef extern from "plan/step.h" nogil:
    ctypedef enum step_kind:
        STEP_EMBEDDING
        STEP_ROPE_TABLE
        STEP_RMS_NORM
        STEP_PREPARE
        STEP_LINEAR
        STEP_APPEND
        STEP_ATTENTION
        STEP_WANTED
        STEP_COPY
        STEP_SCALE
        STEP_SOFTCAP
        STEP_ADD
        STEP_SILU_MUL
        STEP_GELU_MUL
        STEP_SIGMOID_GATE
        STEP_ROUTE
        STEP_GROUP
        STEP_GATHER
        STEP_EXPERTS
        STEP_MIX

    ctypedef struct step:
        step_kind kind
        bint waits
        bint of_wanted
        const float* x
        const float* x2
        float* y
        size_t ldx
        size_t ldx2
        size_t ldy
        int n
        int n_parts
        float scale
        void* prepared
        int n_dims
        int head_dim
        const float* table
        const float* x_table
        int half
        int x_half
        linear_args linear
        attention_args attention
        routing* routes
        bint is_by_row
        size_t stride
        size_t stride2

    ctypedef struct batch:
        int n_rows
        int n_wanted
        int n_runs
        const int32_t* tokens
        const int32_t* positions
        const int32_t* wanted
        row_run* runs
        float* logits
        int row_chunk
        int64_t fetched_bytes

    int64_t count_items(const step* s, const batch* b)
    int64_t grain_items(const step* s)
    int64_t chunk_items(const step* s, int64_t n_items, int n_threads)


cdef class Steps:
    cdef const kernel_table* kernels
    cdef kv_layout kv
    cdef step* steps
    cdef int n_steps
    cdef list _kept

    cdef step* add_step(
        self, step_kind kind, bint waits, bint of_wanted, tuple kept) except NULL
    cdef add_pointwise(
        self, step_kind kind, float[:, ::1] x, int n, float constant,
        float[:, ::1] y, bint waits, bint of_wanted)
    cdef add_elementwise(
        self, step_kind kind, float[:, ::1] x, float[:, ::1] y, float[:, ::1] z,
        bint waits, bint of_wanted)
