# The kernels of one level, written once in the verbs of verbs.h.
#
# A level's .pyx includes its header of verbs and then this file, and is compiled with
# the level's flags. The functions below make up the kernel_table of interface.h, which
# says what each of them does; the matrix and attention microkernels are in tile.h and
# attention.h. Nothing here starts a thread or takes the GIL.

from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport cosf, sinf, sqrtf
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint16_t
from libc.string cimport memcpy

from llamacy.kernels.interface cimport (
    EPILOGUE_ADD, EPILOGUE_SWIGLU, KV_F16, KV_F32, PAGE_TOKENS, PANEL_ROWS, TILE_ROWS,
    UNIT_COLS, fine_unit, is_float_pack, kernel_table, kv_layout, linear_args,
    packed_matrix, peak_product, quant_unit, row_run,
)


cdef extern from *:
    const char* LEVEL_NAME
    enum:
        TOKENS_MAX

    ctypedef struct vf:
        pass

    const float FINE
    vf f_zero() noexcept nogil
    vf f_set1(float x) noexcept nogil
    vf f_load(const float* p) noexcept nogil
    void f_store(float* p, vf x) noexcept nogil
    void f_store_f16(void* p, vf x) noexcept nogil
    void f_store_i8(int8_t* p, vf x) noexcept nogil
    vf f_add(vf a, vf b) noexcept nogil
    vf f_sub(vf a, vf b) noexcept nogil
    vf f_mul(vf a, vf b) noexcept nogil
    vf f_max(vf a, vf b) noexcept nogil
    vf f_abs(vf a) noexcept nogil
    vf f_fma(vf a, vf b, vf c) noexcept nogil
    vf f_round(vf a) noexcept nogil
    float f_sum(vf a) noexcept nogil
    float f_hmax(vf a) noexcept nogil
    vf f_swap_pairs(vf a) noexcept nogil


cdef extern from "vector_math.h":
    vf f_silu(vf x) noexcept nogil


cdef extern from "tile.h":
    enum:
        STREAMS

    ctypedef struct tile_rows:
        const quant_unit* units
        const fine_unit* fine
        size_t step
        const float* floats
        size_t ld

    ctypedef void (*tile_kernel)(
        const packed_matrix* w, int64_t panel, const tile_rows* rows, float* out
    ) noexcept nogil
    tile_kernel TILE_KERNELS[16][6]


cdef extern from "decode_row.h":
    void decode_row(const packed_matrix* w, int64_t row, float* y) noexcept nogil


cdef extern from "attention.h":
    ctypedef struct kv_head:
        uint8_t* keys
        uint8_t* values
        float* key_scales
        float* value_scales

    kv_head page_head(
        const kv_layout* kv, uint8_t* page, size_t offset, int head) noexcept nogil
    size_t attention_scratch_bytes(int head_dim) noexcept nogil
    void attend_run(
        const kv_layout* kv, size_t offset, const row_run* run, int head,
        int first_head, int group, float scale, const float* q, size_t ldq, float* y,
        size_t ldy, void* scratch) noexcept nogil


# Rows.

cdef void embedding(
    const packed_matrix* w, const int32_t* tokens, float* y, size_t ldy,
    int begin, int end, void* scratch,
) noexcept nogil:
    cdef int m
    for m in range(begin, end):
        decode_row(w, tokens[m], y + m * ldy)


cdef void rms_norm(
    const float* x, size_t ldx, const float* w, float eps, int k, float* y, size_t ldy,
    int begin, int end,
) noexcept nogil:
    cdef int m, i, whole = k // 16 * 16
    cdef float total, scale
    cdef const float* row
    cdef float* out
    cdef vf squares
    for m in range(begin, end):
        row = x + m * ldx
        out = y + m * ldy
        squares = f_zero()
        for i in range(0, whole, 16):
            squares = f_fma(f_load(row + i), f_load(row + i), squares)
        total = f_sum(squares)
        for i in range(whole, k):
            total += row[i] * row[i]
        scale = 1 / sqrtf(total / k + eps)
        for i in range(0, whole, 16):
            f_store(
                out + i, f_mul(f_mul(f_load(row + i), f_set1(scale)), f_load(w + i)))
        for i in range(whole, k):
            out[i] = row[i] * scale * w[i]


cdef void add(
    const float* x, const float* y, float* z, size_t ld, int n, int begin, int end,
) noexcept nogil:
    cdef int m, i
    cdef size_t at
    for m in range(begin, end):
        for i in range(n):
            at = m * ld + i
            z[at] = x[at] + y[at]


cdef void silu_mul(
    const float* x, const float* y, float* z, size_t ld, int n, int begin, int end,
) noexcept nogil:
    cdef int m
    for m in range(begin, end):
        silu_mul_row(x + m * ld, y + m * ld, z + m * ld, n)


cdef inline void silu_mul_row(
    const float* x, const float* y, float* z, int n
) noexcept nogil:
    cdef int i, rest = n % 16
    cdef float gate[16]
    cdef float up[16]
    for i in range(0, n - rest, 16):
        f_store(z + i, f_mul(f_silu(f_load(x + i)), f_load(y + i)))
    if rest:
        memcpy(gate, x + n - rest, rest * sizeof(float))
        memcpy(up, y + n - rest, rest * sizeof(float))
        f_store(gate, f_mul(f_silu(f_load(gate)), f_load(up)))
        memcpy(z + n - rest, gate, rest * sizeof(float))


# Rotary positions. A row's table is head_dim cosines, each for both dimensions of its
# pair, then head_dim sines, negative for the first of a pair, so that
# y = x * cos + swap(x) * sin.

cdef void rope_table(
    const float* angles, int n_dims, int head_dim, float magnitude,
    const int32_t* positions, float* table, int begin, int end,
) noexcept nogil:
    cdef int m, i
    cdef float theta, sine
    cdef float* cosines
    cdef float* sines
    for m in range(begin, end):
        cosines = table + <size_t>m * 2 * head_dim
        sines = cosines + head_dim
        for i in range(0, head_dim, 2):
            if i < n_dims:
                theta = positions[m] * angles[i // 2]
                cosines[i] = cosf(theta) * magnitude
                sine = sinf(theta) * magnitude
            else:
                cosines[i] = 1
                sine = 0
            sines[i] = -sine
            if i + 1 < head_dim:
                cosines[i + 1] = cosines[i]
                sines[i + 1] = sine


cdef void rope(
    float* x, size_t ldx, int n_head, int head_dim, const float* table,
    int begin, int end,
) noexcept nogil:
    cdef int m, head, i, whole = head_dim // 16 * 16
    cdef float first, second
    cdef float* p
    cdef const float* cosines
    cdef const float* sines
    for m in range(begin, end):
        cosines = table + <size_t>m * 2 * head_dim
        sines = cosines + head_dim
        for head in range(n_head):
            p = x + m * ldx + head * head_dim
            for i in range(0, whole, 16):
                f_store(p + i, f_fma(
                    f_swap_pairs(f_load(p + i)), f_load(sines + i),
                    f_mul(f_load(p + i), f_load(cosines + i))))
            for i in range(whole, head_dim - 1, 2):
                first = p[i]
                second = p[i + 1]
                p[i] = first * cosines[i] + second * sines[i]
                p[i + 1] = second * cosines[i + 1] + first * sines[i + 1]


# Matrices.

cdef inline void quantize_unit(
    const float* x, quant_unit* unit, fine_unit* fine
) noexcept nogil:
    cdef vf low = f_load(x), high = f_load(x + 16), whole_low, whole_high
    cdef float peak = f_hmax(f_max(f_abs(low), f_abs(high)))
    # a zero or subnormal peak would make the inverse infinite
    cdef vf inverse = f_set1(127 / peak if peak > 1e-30 else 0)
    low = f_mul(low, inverse)
    high = f_mul(high, inverse)
    whole_low = f_round(low)
    whole_high = f_round(high)
    f_store_i8(unit.q, whole_low)
    f_store_i8(unit.q + 16, whole_high)
    low = f_round(f_mul(f_sub(low, whole_low), f_set1(FINE)))
    high = f_round(f_mul(f_sub(high, whole_high), f_set1(FINE)))
    f_store_i8(fine.q, low)
    f_store_i8(fine.q + 16, high)
    unit.scale = peak / 127
    unit.sums[0] = f_sum(whole_low) * unit.scale
    unit.sums[1] = f_sum(whole_high) * unit.scale
    unit.sum = unit.sums[0] + unit.sums[1]
    fine.sum = unit.sum + f_sum(f_add(low, high)) * unit.scale / FINE


cdef inline size_t unit_bytes(int k, int m) noexcept nogil:
    return <size_t>m * (k // UNIT_COLS) * sizeof(quant_unit)


cdef size_t quantized_bytes(int k, int m) noexcept nogil:
    return unit_bytes(k, m) + <size_t>m * (k // UNIT_COLS) * sizeof(fine_unit)


cdef void quantize(
    const float* x, size_t ldx, int k, int m, void* prepared, int begin, int end,
) noexcept nogil:
    cdef int row, u, units = k // UNIT_COLS
    cdef tile_rows at
    for row in range(begin, end):
        at = prepared_rows(prepared, k, m, row)
        for u in range(units):
            quantize_unit(
                x + row * ldx + u * UNIT_COLS, <quant_unit*>at.units + u * at.step,
                <fine_unit*>at.fine + u * at.step)


cdef bint reads_prepared(const packed_matrix* w) noexcept nogil:
    return not is_float_pack(w.type)


cdef inline tile_rows prepared_rows(
    const void* prepared, int k, int m, int row
) noexcept nogil:
    """Where the units of `row` and of those after it in its tile are."""
    cdef tile_rows at
    cdef int tile = row // TILE_ROWS * TILE_ROWS
    cdef size_t first = <size_t>tile * (k // UNIT_COLS) + row - tile
    at.step = min(TILE_ROWS, m - tile)
    at.units = <const quant_unit*>prepared + first
    at.fine = <const fine_unit*>(<const uint8_t*>prepared + unit_bytes(k, m)) + first
    at.floats = NULL
    at.ld = 0
    return at


cdef inline tile_rows rows_for(
    const packed_matrix* w, const linear_args* a, int row
) noexcept nogil:
    """Rows of the activations from `row` on, in the form that `w` reads."""
    cdef tile_rows at
    if not is_float_pack(w.type):
        return prepared_rows(a.prepared, <int>w.k, a.m, row)
    at.units = NULL
    at.fine = NULL
    at.step = 0
    at.floats = a.x + row * a.ldx
    at.ld = a.ldx
    return at


cdef void panel_tokens(
    const packed_matrix* w, int64_t panel, const linear_args* a, int tile, int rows,
    float* out,
) noexcept nogil:
    """One panel of `w` for rows tile .. tile + rows of x: out is [rows][16]."""
    cdef int t = 0, tokens, log2
    cdef tile_rows at
    while t < rows:
        tokens = TOKENS_MAX
        log2 = 0
        while tokens > rows - t:
            tokens //= 2
        while 1 << log2 < tokens:
            log2 += 1
        at = rows_for(w, a, tile + t)
        TILE_KERNELS[<int>w.type][1 + log2](w, panel, &at, out + t * PANEL_ROWS)
        t += tokens


cdef void finish_tile(
    const linear_args* a, int64_t panel, int tile, int rows, float* out, float* out2,
) noexcept nogil:
    """Biases, the epilogue, and the way from [rows][16] to rows of y."""
    cdef int t, i, n = min(PANEL_ROWS, a.w.n - panel * PANEL_ROWS)
    cdef float* y
    cdef float* tokens
    for t in range(rows):
        tokens = out + t * PANEL_ROWS
        y = a.y + (tile + t) * a.ldy + panel * PANEL_ROWS
        if a.bias:
            for i in range(n):
                tokens[i] += a.bias[panel * PANEL_ROWS + i]
        if a.form == EPILOGUE_SWIGLU:
            if a.bias2:
                for i in range(n):
                    out2[t * PANEL_ROWS + i] += a.bias2[panel * PANEL_ROWS + i]
            silu_mul_row(tokens, out2 + t * PANEL_ROWS, tokens, PANEL_ROWS)
        if n < PANEL_ROWS:
            for i in range(n):
                y[i] = tokens[i] + (y[i] if a.form == EPILOGUE_ADD else 0)
        elif a.form == EPILOGUE_ADD:
            f_store(y, f_add(f_load(tokens), f_load(y)))
        else:
            f_store(y, f_load(tokens))


cdef void linear_panels(
    const linear_args* a, int begin, int end, void* scratch
) noexcept nogil:
    cdef float* out = <float*>scratch
    cdef float* out2 = out + STREAMS * TILE_ROWS * PANEL_ROWS
    cdef int panel = begin, tile, rows, i, n_tiles = (a.m + TILE_ROWS - 1) // TILE_ROWS
    cdef tile_rows row
    if a.m == 1:
        while panel + STREAMS <= end:
            row = rows_for(&a.w, a, 0)
            TILE_KERNELS[<int>a.w.type][0](&a.w, panel, &row, out)
            if a.form == EPILOGUE_SWIGLU:
                row = rows_for(&a.w2, a, 0)
                TILE_KERNELS[<int>a.w2.type][0](&a.w2, panel, &row, out2)
            for i in range(STREAMS):
                finish_tile(
                    a, panel + i, 0, 1, out + i * PANEL_ROWS, out2 + i * PANEL_ROWS)
            panel += STREAMS
    for panel in range(panel, end):
        for i in range(n_tiles):
            tile = i * TILE_ROWS
            rows = min(TILE_ROWS, a.m - tile)
            panel_tokens(&a.w, panel, a, tile, rows, out)
            if a.form == EPILOGUE_SWIGLU:
                panel_tokens(&a.w2, panel, a, tile, rows, out2)
            finish_tile(a, panel, tile, rows, out, out2)


# Attention.

cdef void append(
    const kv_layout* kv, size_t offset, const row_run* runs, const float* k, size_t ldk,
    const float* v, size_t ldv, int begin, int end,
) noexcept nogil:
    cdef int run, row, head, position
    cdef size_t at
    cdef kv_head h
    for run in range(begin, end):
        for row in range(runs[run].n_rows):
            position = runs[run].position + row
            for head in range(kv.n_head_kv):
                h = page_head(
                    kv, runs[run].pages[position // PAGE_TOKENS], offset, head)
                at = <size_t>(runs[run].row + row)
                append_key(
                    kv, &h, position % PAGE_TOKENS, k + at * ldk + head * kv.head_dim)
                append_value(
                    kv, &h, position % PAGE_TOKENS, v + at * ldv + head * kv.head_dim)


cdef extern from "kv_store.h":
    void append_key(
        const kv_layout* kv, const kv_head* h, int slot, const float* k) noexcept nogil
    void append_value(
        const kv_layout* kv, const kv_head* h, int slot, const float* v) noexcept nogil


cdef void attention(
    const kv_layout* kv, size_t offset, const row_run* runs, int n_runs, float scale,
    const float* q, size_t ldq, float* y, size_t ldy, int begin, int end, void* scratch,
) noexcept nogil:
    cdef int item, head, first, group = kv.n_head // kv.n_head_kv
    for item in range(begin, end):
        head = item // n_runs
        first = 0
        while first < group:
            attend_run(
                kv, offset, &runs[item % n_runs], head, head * group + first,
                min(group - first, TILE_ROWS), scale, q, ldq, y, ldy, scratch)
            first += TILE_ROWS


cdef extern from "peak.h":
    const peak_product* PEAKS


cdef size_t scratch_bytes(int head_dim) noexcept nogil:
    return max(
        attention_scratch_bytes(head_dim),
        2 * STREAMS * TILE_ROWS * PANEL_ROWS * sizeof(float))


cdef void no_thread_state() noexcept nogil:
    pass


cdef kernel_table TABLE

TABLE.level = LEVEL_NAME
TABLE.peaks = PEAKS
TABLE.scratch_bytes = scratch_bytes
TABLE.enter_thread = no_thread_state
TABLE.leave_thread = no_thread_state
TABLE.embedding = embedding
TABLE.rope_table = rope_table
TABLE.rms_norm = rms_norm
TABLE.prepare = quantize
TABLE.prepared_bytes = quantized_bytes
TABLE.reads_prepared = reads_prepared
TABLE.linear = linear_panels
TABLE.rope = rope
TABLE.append = append
TABLE.attention = attention
TABLE.add = add
TABLE.silu_mul = silu_mul

table = PyCapsule_New(&TABLE, "llamacy.kernel_table", NULL)
"""A capsule around this level's kernel_table."""
