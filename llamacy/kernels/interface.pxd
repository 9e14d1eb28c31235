"""The C interface of the kernels; interface.h and packed.h explain it."""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t


cdef extern from "packing/packed.h" nogil:
    enum:
        PANEL_ROWS
        UNIT_COLS
        BLOCK_UNITS

    ctypedef enum pack_type:
        PACK_F32

    ctypedef struct packed_matrix:
        const uint8_t* data
        pack_type type
        int64_t n
        int64_t k
        size_t panel

    size_t panel_bytes(pack_type type, size_t k)
    bint is_float_pack(pack_type type)


cdef extern from "interface.h" nogil:
    enum:
        STRIP_ROWS
        PAGE_TOKENS

    ctypedef struct quant_unit:
        int8_t q[32]
        int32_t minus[3]
        float scale
        float sum

    ctypedef enum kv_type:
        KV_F32
        KV_F16
        KV_BF16
        KV_Q8_0

    ctypedef struct kv_layout:
        kv_type type
        int n_head
        int n_head_kv
        int head_dim
        int value_dim
        bint is_latent
        size_t head_bytes
        size_t layer_bytes

    kv_layout kv_layout_of(
        kv_type type, int n_head, int n_head_kv, int head_dim, int value_dim,
        bint is_latent)

    ctypedef struct row_run:
        int32_t row
        int32_t n_rows
        int32_t position
        int32_t n_tokens
        uint8_t** pages

    int first_span(const row_run* run, int window, int span_tokens)
    int after_spans(const row_run* run, int span_tokens)
    int count_strips(const kv_layout* kv)

    ctypedef struct row_span:
        int32_t row
        int32_t n_rows
        int32_t position
        const uint8_t* before
        uint8_t* after

    ctypedef struct conv_args:
        const float* weight
        const float* bias
        int n_channels
        int n_columns
        int n_after
        size_t offset
        bint then_silu

    ctypedef struct delta_rule_args:
        int n_head
        int n_key_head
        bint repeats_key_heads
        int key_dim
        int value_dim
        size_t offset
        const float* q
        const float* k
        const float* v
        const float* decay
        const float* beta
        float* y
        bint decays_rows
        size_t ldq
        size_t ldk
        size_t ldv
        size_t ld_decay
        size_t ld_beta
        size_t ldy

    ctypedef struct selective_scan_args:
        int n_head
        int key_dim
        int value_dim
        size_t offset
        const float* x
        const float* dt
        const float* a
        const float* d
        const float* b
        const float* c
        float* y
        size_t ldx
        size_t ld_dt
        size_t ldb
        size_t ldc
        size_t ldy

    ctypedef struct ssm_scan_args:
        int n_head
        int n_group
        int key_dim
        int value_dim
        size_t offset
        const float* x
        const float* dt
        const float* a
        const float* d
        const float* b
        const float* c
        float* y
        size_t ldx
        size_t ld_dt
        size_t ldb
        size_t ldc
        size_t ldy

    ctypedef enum epilogue:
        EPILOGUE_STORE
        EPILOGUE_ADD
        EPILOGUE_SWIGLU
        EPILOGUE_GEGLU
        EPILOGUE_CLAMPED_SWIGLU

    bint is_gated(epilogue form)

    ctypedef struct linear_args:
        packed_matrix w
        packed_matrix w2
        const float* scale
        const float* scale2
        const float* bias
        const float* bias2
        const float* x
        const void* prepared
        float* y
        size_t ldx
        size_t ldy
        size_t ahead
        int m
        epilogue form

    ctypedef struct attention_args:
        const kv_layout* kv
        size_t offset
        float scale
        float softcap
        bint is_causal
        int window
        const float* sinks
        const float* slopes
        bint may_round

    ctypedef struct peak_product:
        const char* operand
        double (*work)(int64_t n) noexcept nogil

    ctypedef void (*unary_kernel)(
        const float* x, size_t ldx, const float* constants, int n, float* y, size_t ldy,
        int begin, int end) noexcept nogil
    ctypedef void (*norm_kernel)(
        const float* x, size_t ldx, const float* w, const float* bias, float eps, int k,
        float* y, size_t ldy, int begin, int end) noexcept nogil
    ctypedef void (*binary_kernel)(
        const float* x, size_t ldx, const float* y, size_t ldy, int n,
        float* z, size_t ldz, int begin, int end) noexcept nogil

    ctypedef struct unary_op:
        const char* name
        unary_kernel f

    ctypedef struct binary_op:
        const char* name
        binary_kernel f

    ctypedef struct kernel_table:
        const char* level
        const peak_product* peaks
        int row_chunk
        int64_t fetched_bytes
        int span_tokens
        int many_rows
        int many_panels
        bint has_bf16
        size_t (*scratch_bytes)(int head_dim, int latent_dim) noexcept nogil
        void (*enter_thread)() noexcept nogil
        void (*leave_thread)() noexcept nogil
        void (*embedding)(
            const packed_matrix* w, const int32_t* tokens, float* y, size_t ldy,
            int begin, int end, void* scratch) noexcept nogil
        void (*rope_table)(
            const float* angles, int n_dims, int head_dim, int half, float magnitude,
            const int32_t* positions, float* table, int begin, int end) noexcept nogil
        norm_kernel rms_norm
        norm_kernel layer_norm
        void (*prepare)(
            const float* x, size_t ldx, int k, int m, int n_digits, void* prepared,
            int begin, int end) noexcept nogil
        size_t (*prepared_bytes)(int k, int m) noexcept nogil
        int (*digits_read)(const packed_matrix* w) noexcept nogil
        void (*linear)(
            const linear_args* args, int begin, int end, void* scratch) noexcept nogil
        bint (*has_many_rows)(const linear_args* args) noexcept nogil
        void (*rope)(
            float* x, size_t ldx, int n_head, int head_dim, int half,
            const float* table, int begin, int end) noexcept nogil
        void (*append)(
            const kv_layout* kv, size_t offset, const row_run* runs, const float* k,
            size_t ldk, const float* v, size_t ldv, int begin, int end) noexcept nogil
        void (*attention)(
            const attention_args* args, const row_run* runs, int n_runs,
            const float* q, size_t ldq, float* y, size_t ldy,
            int begin, int end, void* scratch) noexcept nogil
        void (*score)(
            const attention_args* args, const row_run* runs, int n_runs,
            const float* q, size_t ldq, float* scores,
            int begin, int end, void* scratch) noexcept nogil
        void (*weigh)(
            const attention_args* args, const row_run* runs, int n_runs,
            const float* scores, float* y, size_t ldy,
            int begin, int end, void* scratch) noexcept nogil
        void (*causal_conv)(
            const conv_args* args, const row_span* spans, int n_spans,
            const float* x, size_t ldx, float* y, size_t ldy,
            int begin, int end) noexcept nogil
        void (*delta_rule)(
            const delta_rule_args* args, const row_span* spans, int n_spans,
            int begin, int end, void* scratch) noexcept nogil
        void (*ssm_scan)(
            const ssm_scan_args* args, const row_span* spans, int n_spans,
            int begin, int end, void* scratch) noexcept nogil
        void (*selective_scan)(
            const selective_scan_args* args, const row_span* spans, int n_spans,
            int begin, int end, void* scratch) noexcept nogil
        int (*delta_blocks)(int value_dim) noexcept nogil
        int (*ssm_blocks)(int value_dim) noexcept nogil
        int (*selective_blocks)(int value_dim) noexcept nogil
        const unary_op* unary
        const binary_op* binary
        void (*sigmoid_gate)(
            const float* x, size_t ldx, const float* w, int k, const float* y,
            size_t ldy, int n, float* z, size_t ldz, int begin, int end) noexcept nogil
        void (*mix)(
            const float* x, size_t ldx, const int32_t* slots, const float* weights,
            int n_used, int n, float* y, size_t ldy, int begin, int end) noexcept nogil
