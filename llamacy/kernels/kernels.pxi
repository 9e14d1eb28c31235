# The kernels of one level, written once in the verbs of levels/verbs.h.
#
# A level's .pyx includes its header and then this file, and is compiled with the
# level's flags. The functions fill the kernel_table of interface.h, which describes
# them; README.md says where each is. Nothing here starts a thread or takes the GIL.

from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport cosf, expf, sinf, sqrtf
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint16_t
from libc.string cimport memcpy

from llamacy.kernels.interface cimport (
    EPILOGUE_ADD, EPILOGUE_CLAMPED_SWIGLU, EPILOGUE_GEGLU,
    EPILOGUE_SWIGLU, PAGE_TOKENS, PANEL_ROWS, STRIP_ROWS, UNIT_COLS, attention_args,
    binary_op, conv_args, delta_rule_args, epilogue, is_float_pack, is_gated,
    kernel_table, kv_layout, linear_args, packed_matrix, peak_product, quant_unit,
    row_run, row_span, selective_scan_args, ssm_scan_args, unary_op,
)


cdef extern from "levels/verbs.h":
    const char* LEVEL_NAME
    enum:
        MANY_PANELS
        MANY_ROWS
        ROW_CHUNK
        FETCHED_BYTES

    ctypedef struct vf:
        pass

    vf f_zero() noexcept nogil
    vf f_set1(float x) noexcept nogil
    vf f_load(const float* p) noexcept nogil
    void f_store(float* p, vf a) noexcept nogil
    vf f_add(vf a, vf b) noexcept nogil
    vf f_sub(vf a, vf b) noexcept nogil
    vf f_mul(vf a, vf b) noexcept nogil
    vf f_max(vf a, vf b) noexcept nogil
    vf f_min(vf a, vf b) noexcept nogil
    vf f_abs(vf a) noexcept nogil
    vf f_fma(vf a, vf b, vf c) noexcept nogil
    vf f_round(vf a) noexcept nogil
    float f_sum(vf a) noexcept nogil
    float f_hmax(vf a) noexcept nogil
    vf f_swap_pairs(vf a) noexcept nogil
    void f_store_i8(int8_t* p, vf a) noexcept nogil


cdef extern from "rows/vector_math.h":
    vf f_silu(vf x) noexcept nogil
    vf f_gelu(vf x) noexcept nogil
    vf f_gelu_erf(vf x) noexcept nogil
    vf f_gelu_quick(vf x) noexcept nogil
    vf f_sigmoid(vf x) noexcept nogil
    vf f_softplus(vf x) noexcept nogil
    vf f_expm1(vf x) noexcept nogil
    vf f_clamped_swiglu(vf x, vf up) noexcept nogil
    vf f_softcap(vf x, float cap) noexcept nogil


cdef extern from "products/digits.h":
    enum:
        FINE_BITS

    ctypedef struct fine_unit:
        float scale

    void store_fine(
        fine_unit* to, const quant_unit* unit, vf low, vf high
    ) noexcept nogil
    void drop_digits(fine_unit* row, size_t step, int n) noexcept nogil


cdef extern from "products/fixed.h":
    enum:
        FIXED_FORM

    ctypedef struct fixed_unit:
        pass

    bint reads_fixed(const packed_matrix* w) noexcept nogil
    void store_fixed(
        fixed_unit* to, size_t step, const float* x, int n) noexcept nogil


cdef extern from "products/many_rows.h":
    ctypedef struct activations:
        const quant_unit* units
        const fine_unit* fine
        const fixed_unit* fixed
        size_t step

    ctypedef void (*few_kernel)(
        const packed_matrix* w, int64_t panel, const activations* x, float* out
    ) noexcept nogil
    few_kernel FEW_KERNELS[25][5]

    ctypedef struct panel_list:
        const packed_matrix* w[16]
        int64_t panel[16]
        int n_panels

    ctypedef float strip_sums[16][16]

    ctypedef struct many_scratch:
        strip_sums sums[16][8]

    size_t units_bytes(int k, int m) noexcept nogil
    size_t fine_bytes(int k, int m) noexcept nogil
    size_t fixed_bytes(int k, int m) noexcept nogil
    void clear_room(void* prepared, int k, int m) noexcept nogil
    activations quantized_rows(
        const void* prepared, int k, int m, int row) noexcept nogil
    activations rows_for(
        const packed_matrix* w, const linear_args* a, int row) noexcept nogil
    bint reads_floats(const packed_matrix* w) noexcept nogil
    int rows_with_room(int n) noexcept nogil
    int log2_rows(int n) noexcept nogil
    int resident_rows(int k) noexcept nogil
    bint wants_many(const linear_args* a) noexcept nogil
    void multiply_many(
        const panel_list* panels, const linear_args* a, int first_row, int n_rows,
        many_scratch* scratch) noexcept nogil


cdef extern from "products/panel_pairs.h":
    ctypedef struct pair_scratch:
        float sums[2][2][256]

    bint reads_pairs(const linear_args* a) noexcept nogil
    void multiply_pair(
        const packed_matrix* w, int64_t panel, int64_t other, const linear_args* a,
        float* out, float* other_out) noexcept nogil


cdef extern from "products/one_row.h":
    enum:
        RUN_PANELS

    ctypedef struct spread_row:
        pass

    ctypedef struct run_scratch:
        float sums[2][512]
        spread_row row

    void multiply_panels(
        const packed_matrix* w, int64_t panel, int n_panels, const activations* x,
        size_t ahead, spread_row* row, float* out) noexcept nogil


cdef extern from "products/signs.h":
    enum:
        SIGN_PANELS
        SIGN_PANELS_MIN

    bint looks_sums_up(const packed_matrix* w) noexcept nogil
    void multiply_signs(
        const packed_matrix* w, int64_t panel, int n_panels, const activations* x,
        float* out) noexcept nogil


cdef extern from "packing/packed.h":
    ctypedef struct pack_traits:
        int digits

    const pack_traits PACK_TRAITS[1]


cdef extern from "rows/decode_row.h":
    void decode_row(const packed_matrix* w, int64_t row, float* y) noexcept nogil


cdef extern from "attention/kv_page.h":
    ctypedef struct kv_head:
        uint8_t* keys
        uint8_t* values
        float* key_scales
        float* value_scales

    kv_head page_head(
        const kv_layout* kv, uint8_t* page, size_t offset, int head) noexcept nogil


cdef extern from "attention/attention.h":
    enum:
        READS_BF16_PAGES

    ctypedef struct query_strip:
        const row_run* run
        int first_head
        int group

    ctypedef struct query_rows:
        const float* q
        float* y
        size_t ldq
        size_t ldy

    ctypedef struct query_band:
        int head
        int n_strips
        query_strip strips[8]

    size_t attention_scratch_bytes(int head_dim, int latent_dim) noexcept nogil
    bint continues(
        const query_band* band, int head, const row_run* run) noexcept nogil
    void attend_band(
        const attention_args* a, query_band* band, const query_rows* rows,
        float* scratch) noexcept nogil


cdef extern from "attention/few_runs.h":
    enum:
        SPAN_TOKENS

    void score(
        const attention_args* args, const row_run* runs, int n_runs, const float* q,
        size_t ldq, float* scores, int begin, int end, void* scratch) noexcept nogil
    void weigh(
        const attention_args* args, const row_run* runs, int n_runs,
        const float* scores, float* y, size_t ldy, int begin, int end,
        void* scratch) noexcept nogil


cdef extern from "attention/kv_store.h":
    void append_key(
        const kv_layout* kv, const kv_head* h, int slot, const float* k) noexcept nogil
    void append_value(
        const kv_layout* kv, const kv_head* h, int slot, const float* v) noexcept nogil


cdef extern from "recurrent/causal_conv.h":
    void causal_conv(
        const conv_args* args, const row_span* spans, int n_spans, const float* x,
        size_t ldx, float* y, size_t ldy, int begin, int end) noexcept nogil


cdef extern from "recurrent/scan.h":
    size_t scan_scratch_bytes(int key_dim) noexcept nogil


cdef extern from "recurrent/delta_rule.h":
    int delta_blocks(int value_dim) noexcept nogil
    void delta_rule(
        const delta_rule_args* args, const row_span* spans, int n_spans,
        int begin, int end, void* scratch) noexcept nogil


cdef extern from "recurrent/ssm_scan.h":
    int ssm_blocks(int value_dim) noexcept nogil
    void ssm_scan(
        const ssm_scan_args* args, const row_span* spans, int n_spans,
        int begin, int end, void* scratch) noexcept nogil


cdef extern from "recurrent/selective_scan.h":
    int selective_blocks(int value_dim) noexcept nogil
    void selective_scan(
        const selective_scan_args* args, const row_span* spans, int n_spans,
        int begin, int end, void* scratch) noexcept nogil


include "rows/activations.pxi"
include "rows/rows.pxi"
include "rows/rope.pxi"
include "rows/quantize.pxi"
include "products/linear.pxi"
include "attention/attend.pxi"


cdef extern from "products/peak.h":
    const peak_product* PEAKS


cdef extern from "levels/verb_calls.h":
    ctypedef struct verb_table:
        pass

    const verb_table VERB_TABLE


cdef size_t scratch_bytes(int head_dim, int latent_dim) noexcept nogil:
    return max(
        attention_scratch_bytes(head_dim, latent_dim), scan_scratch_bytes(head_dim),
        sizeof(many_scratch), sizeof(run_scratch),
        sizeof(pair_scratch), 2 * STRIP_ROWS * PANEL_ROWS * sizeof(float))


cdef void no_thread_state() noexcept nogil:
    pass


cdef kernel_table TABLE

TABLE.level = LEVEL_NAME
TABLE.peaks = PEAKS
TABLE.row_chunk = ROW_CHUNK
TABLE.fetched_bytes = FETCHED_BYTES
TABLE.scratch_bytes = scratch_bytes
TABLE.enter_thread = no_thread_state
TABLE.leave_thread = no_thread_state
TABLE.embedding = embedding
TABLE.rope_table = rope_table
TABLE.rms_norm = rms_norm
TABLE.layer_norm = layer_norm
TABLE.prepare = quantize
TABLE.prepared_bytes = quantized_bytes
TABLE.digits_read = digits_read
TABLE.linear = linear
TABLE.has_many_rows = has_many_rows
TABLE.rope = rope
TABLE.append = append
TABLE.span_tokens = SPAN_TOKENS
TABLE.many_rows = TABLE.many_panels = 0
TABLE.has_bf16 = READS_BF16_PAGES
TABLE.attention = attention
TABLE.score = score
TABLE.weigh = weigh
TABLE.causal_conv = causal_conv
TABLE.delta_rule = delta_rule
TABLE.ssm_scan = ssm_scan
TABLE.selective_scan = selective_scan
TABLE.delta_blocks = delta_blocks
TABLE.ssm_blocks = ssm_blocks
TABLE.selective_blocks = selective_blocks
TABLE.unary = UNARY
TABLE.binary = BINARY
TABLE.sigmoid_gate = sigmoid_gate
TABLE.mix = mix

table = PyCapsule_New(&TABLE, "llamacy.kernel_table", NULL)
"""A capsule around this level's kernel_table."""

verbs = PyCapsule_New(<void*>&VERB_TABLE, "llamacy.verb_table", NULL)
"""A capsule around the level's verbs as functions on memory, for tests."""
