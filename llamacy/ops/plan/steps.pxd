"""C steps of a forward pass, which step.h explains, and the array that owns them."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from llamacy.kernels.interface cimport (
    attention_args, binary_kernel, conv_args, delta_rule_args, kernel_table, kv_layout,
    linear_args, norm_kernel, packed_matrix, row_run, row_span, selective_scan_args,
    ssm_scan_args, unary_kernel,
)
from llamacy.kernels.packing.matrices cimport mapped_rows
from llamacy.ops.plan.routing cimport routing


cdef extern from "plan/step.h" nogil:
    ctypedef struct float_rows:
        float* data
        size_t ld

    ctypedef enum step_kind:
        STEP_EMBEDDING
        STEP_ROPE_TABLE
        STEP_POSITION_EMBEDDING
        STEP_TYPE_EMBEDDING
        STEP_NORM
        STEP_PREPARE
        STEP_LINEAR
        STEP_APPEND
        STEP_SCORES
        STEP_ATTENTION
        STEP_WANTED
        STEP_MEAN
        STEP_COPY
        STEP_UNARY
        STEP_BINARY
        STEP_SIGMOID_GATE
        STEP_HEAD_GATE
        STEP_ROUTE
        STEP_GROUP
        STEP_GATHER
        STEP_EXPERTS
        STEP_MIX
        STEP_SQUARES
        STEP_JOIN
        STEP_HEAD_LINEAR
        STEP_CAUSAL_CONV
        STEP_DELTA_RULE
        STEP_SSM_SCAN
        STEP_SELECTIVE_SCAN

    ctypedef struct embedding_step:
        packed_matrix weight
        mapped_rows mapped
        float_rows y

    ctypedef struct rope_table_step:
        const float* angles
        const float* long_angles
        int n_dims
        int head_dim
        int half
        float magnitude
        float growth
        int n_ctx_orig
        float* table

    ctypedef struct norm_step:
        float_rows x
        float_rows y
        norm_kernel f
        const float* weight
        const float* bias
        int n
        int n_parts
        int weight_step
        float eps

    ctypedef struct prepare_step:
        float_rows x
        int n
        int n_parts
        int n_digits
        uint8_t* prepared
        size_t part_bytes

    ctypedef struct append_step:
        kv_layout kv
        size_t offset
        float_rows q
        float_rows k
        float_rows v
        const float* q_table
        const float* k_table
        int q_half
        int k_half

    ctypedef struct attention_step:
        kv_layout kv
        attention_args args
        float_rows q
        float_rows y
        bint has_scores

    ctypedef struct wanted_step:
        float_rows x
        float_rows y
        int n

    ctypedef struct mean_step:
        float_rows x
        float_rows y
        int n

    ctypedef struct copy_step:
        float_rows x
        float_rows y
        int n
        int n_parts
        int part_step
        const float* table
        int head_dim
        int half

    ctypedef struct unary_step:
        unary_kernel f
        float_rows x
        float_rows y
        int n
        float constants[4]
        const routing* routes

    ctypedef struct binary_step:
        binary_kernel f
        float_rows x
        float_rows y
        float_rows z
        int n
        const routing* routes

    ctypedef struct sigmoid_gate_step:
        float_rows x
        const float* weight
        int k
        int n
        float_rows y
        float_rows z

    ctypedef struct head_gate_step:
        unary_kernel f
        float_rows x
        float_rows y
        float_rows gate
        int n_head
        int n

    ctypedef struct route_step:
        routing* routes
        float_rows scores
        const float* bias

    ctypedef struct gather_step:
        routing* routes
        bint is_by_row
        float_rows x
        int n
        float_rows y
        int n_digits
        void* prepared

    ctypedef struct experts_step:
        routing* routes
        linear_args args
        size_t stride
        size_t stride2

    ctypedef struct mix_step:
        routing* routes
        float_rows x
        float_rows y
        int n

    ctypedef struct delta_rule_step:
        delta_rule_args args
        int n_items

    ctypedef struct ssm_scan_step:
        ssm_scan_args args
        int n_items

    ctypedef struct selective_scan_step:
        selective_scan_args args
        int n_items

    ctypedef struct squares_step:
        routing* routes
        bint is_by_row
        float_rows x
        int n
        double* sums
        int64_t* counts

    ctypedef struct join_step:
        float_rows x
        float_rows y
        float_rows z
        int n_parts
        int n_x
        int n_y

    ctypedef struct head_linear_step:
        linear_args args
        size_t stride
        size_t prepared
        int n_head

    ctypedef struct conv_step:
        conv_args args
        float_rows x
        float_rows y

    ctypedef struct step:
        step_kind kind
        bint waits
        bint of_wanted
        prepare_step result
        embedding_step embedding
        rope_table_step rope_table
        norm_step norm
        prepare_step prepare
        linear_args linear
        append_step append
        attention_step attention
        wanted_step wanted
        mean_step mean
        copy_step copy
        unary_step unary
        binary_step binary
        sigmoid_gate_step sigmoid_gate
        head_gate_step head_gate
        route_step route
        routing* group
        gather_step gather
        experts_step experts
        mix_step mix
        squares_step squares
        join_step join
        head_linear_step head_linear
        conv_step conv
        delta_rule_step delta_rule
        ssm_scan_step ssm_scan
        selective_scan_step selective_scan

    ctypedef struct batch:
        int n_rows
        int n_wanted
        int n_runs
        int n_spans
        const int32_t* tokens
        const int32_t* positions
        const int32_t* types
        const uint8_t* is_long
        const float* angles
        const int32_t* wanted
        row_run* runs
        row_span* spans
        float* logits
        float* scores
        int n_threads
        int row_chunk
        int span_tokens
        int many_rows
        int many_panels
        int64_t fetched_bytes
        const batch* of_wanted

    int64_t count_items(const step* s, const batch* b)
    int64_t grain_items(const step* s)
    int64_t chunk_items(
        const step* s, const batch* b, int64_t n_items, int n_threads)
    int count_rows(const step* s, const batch* b)


cdef class Steps:
    cdef const kernel_table* kernels
    cdef step* steps
    cdef int n_steps
    cdef int most_dims  # of heads in attention
    cdef int most_latent  # dimensions of values that are a part of keys
    cdef size_t most_scores  # floats of a span, for all heads of a layer
    cdef int n_angles  # of a row, which a batch brings along; 0 if it need not
    cdef readonly bint needs_wanted  # as rows of a batch of their own
    cdef readonly bint needs_types  # of tokens
    cdef size_t most_panel  # bytes of a mapped row, once it is packed
    cdef list _kept

    cdef int fill(self, step* s, str op, r, w, c) except -1
