# Rows: embeddings, norms, elementwise functions and weighted sums. interface.h has the
# shapes; x[m] is row m. Last elements that do not fill a vector are computed one by
# one, or, where exp is needed, with padding.

cdef void embedding(
    const packed_matrix* w, const int32_t* tokens, float* y, size_t ldy,
    int begin, int end, void* scratch,
) noexcept nogil:
    """y[m] = w[tokens[m]]"""
    cdef int m
    for m in range(begin, end):
        decode_row(w, tokens[m], y + m * ldy)


cdef void rms_norm(
    const float* x, size_t ldx, const float* w, const float* bias, float eps, int k,
    float* y, size_t ldy, int begin, int end,
) noexcept nogil:
    """y = x / sqrt(mean(x^2) + eps) * w + bias"""
    cdef int m, i, whole = k // 16 * 16
    cdef float total
    cdef const float* row
    cdef vf squares
    for m in range(begin, end):
        row = x + m * ldx
        squares = f_zero()
        for i in range(0, whole, 16):
            squares = f_fma(f_load(row + i), f_load(row + i), squares)
        total = f_sum(squares)
        for i in range(whole, k):
            total += row[i] * row[i]
        finish_norm(row, 0, 1 / sqrtf(total / k + eps), w, bias, k, y + m * ldy)


cdef void layer_norm(
    const float* x, size_t ldx, const float* w, const float* bias, float eps, int k,
    float* y, size_t ldy, int begin, int end,
) noexcept nogil:
    """y = (x - mean(x)) / sqrt(mean((x - mean(x))^2) + eps) * w + bias"""
    cdef int m, i, whole = k // 16 * 16
    cdef float total, mean
    cdef const float* row
    cdef vf sums, centred
    for m in range(begin, end):
        row = x + m * ldx
        sums = f_zero()
        for i in range(0, whole, 16):
            sums = f_add(f_load(row + i), sums)
        total = f_sum(sums)
        for i in range(whole, k):
            total += row[i]
        mean = total / k
        sums = f_zero()
        for i in range(0, whole, 16):
            centred = f_sub(f_load(row + i), f_set1(mean))
            sums = f_fma(centred, centred, sums)
        total = f_sum(sums)
        for i in range(whole, k):
            total += (row[i] - mean) * (row[i] - mean)
        finish_norm(row, mean, 1 / sqrtf(total / k + eps), w, bias, k, y + m * ldy)


cdef inline void finish_norm(
    const float* x, float mean, float scale, const float* w, const float* bias, int k,
    float* y,
) noexcept nogil:
    """y = (x - mean) * scale * w + bias of k elements; w and bias may be NULL."""
    cdef int i, whole = k // 16 * 16
    cdef vf z
    for i in range(0, whole, 16):
        z = f_mul(f_sub(f_load(x + i), f_set1(mean)), f_set1(scale))
        if w:
            z = f_mul(z, f_load(w + i))
        if bias:
            z = f_add(z, f_load(bias + i))
        f_store(y + i, z)
    for i in range(whole, k):
        y[i] = (x[i] - mean) * scale
        if w:
            y[i] *= w[i]
        if bias:
            y[i] += bias[i]


cdef void add(
    const float* x, size_t ldx, const float* y, size_t ldy, int n,
    float* z, size_t ldz, int begin, int end,
) noexcept nogil:
    """z = x + y"""
    cdef int m, i
    for m in range(begin, end):
        for i in range(n):
            z[m * ldz + i] = x[m * ldx + i] + y[m * ldy + i]


cdef void mul(
    const float* x, size_t ldx, const float* y, size_t ldy, int n,
    float* z, size_t ldz, int begin, int end,
) noexcept nogil:
    """z = x * y"""
    cdef int m, i
    for m in range(begin, end):
        for i in range(n):
            z[m * ldz + i] = x[m * ldx + i] * y[m * ldy + i]


cdef void silu_mul(
    const float* x, size_t ldx, const float* y, size_t ldy, int n,
    float* z, size_t ldz, int begin, int end,
) noexcept nogil:
    """z = silu(x) * y, silu(x) = x / (1 + e^-x)"""
    cdef int m
    for m in range(begin, end):
        gated_row(
            EPILOGUE_SWIGLU, x + m * ldx, y + m * ldy, z + m * ldz, n)


cdef void gelu_mul(
    const float* x, size_t ldx, const float* y, size_t ldy, int n,
    float* z, size_t ldz, int begin, int end,
) noexcept nogil:
    """z = gelu(x) * y, gelu(x) = x * (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2"""
    cdef int m
    for m in range(begin, end):
        gated_row(
            EPILOGUE_GEGLU, x + m * ldx, y + m * ldy, z + m * ldz, n)


cdef void clamped_swiglu(
    const float* x, size_t ldx, const float* y, size_t ldy, int n,
    float* z, size_t ldz, int begin, int end,
) noexcept nogil:
    """The clamped unit of vector_math.h."""
    cdef int m
    for m in range(begin, end):
        gated_row(
            EPILOGUE_CLAMPED_SWIGLU, x + m * ldx, y + m * ldy, z + m * ldz, n)


cdef inline void gated_row(
    epilogue form, const float* x, const float* y, float* z, int n
) noexcept nogil:
    """z = gate(x) * y of n elements."""
    cdef int i, rest = n % 16
    cdef float gate[16]
    cdef float up[16]
    for i in range(0, n - rest, 16):
        f_store(z + i, gated(form, f_load(x + i), f_load(y + i)))
    if rest:
        memcpy(gate, x + n - rest, rest * sizeof(float))
        memcpy(up, y + n - rest, rest * sizeof(float))
        f_store(gate, gated(form, f_load(gate), f_load(up)))
        memcpy(z + n - rest, gate, rest * sizeof(float))


cdef inline vf gated(epilogue form, vf gate, vf up) noexcept nogil:
    """gelu(gate) * up, silu(gate) * up, or the clamped form of vector_math.h."""
    if form == EPILOGUE_GEGLU:
        return f_mul(f_gelu(gate), up)
    if form == EPILOGUE_CLAMPED_SWIGLU:
        return f_clamped_swiglu(gate, up)
    return f_mul(f_silu(gate), up)


cdef void scale(
    const float* x, size_t ldx, const float* factor, int n, float* y, size_t ldy,
    int begin, int end,
) noexcept nogil:
    """y = factor * x"""
    cdef int m, i
    for m in range(begin, end):
        for i in range(n):
            y[m * ldy + i] = factor[0] * x[m * ldx + i]


cdef inline float dot_row(const float* x, const float* w, int k) noexcept nogil:
    """sum over i < k of x[i] * w[i]"""
    cdef int i, whole = k // 16 * 16
    cdef float total
    cdef vf products = f_zero()
    for i in range(0, whole, 16):
        products = f_fma(f_load(x + i), f_load(w + i), products)
    total = f_sum(products)
    for i in range(whole, k):
        total += x[i] * w[i]
    return total


cdef void sigmoid_gate(
    const float* x, size_t ldx, const float* w, int k, const float* y, size_t ldy,
    int n, float* z, size_t ldz, int begin, int end,
) noexcept nogil:
    """z = y / (1 + e^-(x . w))"""
    cdef int m, i
    cdef float share
    for m in range(begin, end):
        share = 1 / (1 + expf(-dot_row(x + m * ldx, w, k)))
        for i in range(n):
            z[m * ldz + i] = share * y[m * ldy + i]


cdef void mix(
    const float* x, size_t ldx, const int32_t* slots, const float* weights, int n_used,
    int n, float* y, size_t ldy, int begin, int end,
) noexcept nogil:
    """y[m] = sum over i < n_used of weights[m][i] * x[slots[m][i]]"""
    cdef int m
    for m in range(begin, end):
        mix_row(
            x, ldx, slots + m * n_used, weights + m * n_used, n_used, n, y + m * ldy)


cdef inline void mix_row(
    const float* x, size_t ldx, const int32_t* slots, const float* weights, int n_used,
    int n, float* y,
) noexcept nogil:
    """y = sum over i < n_used of weights[i] * x[slots[i]]"""
    cdef int i, used, whole = n // 16 * 16
    cdef vf total
    for i in range(0, whole, 16):
        total = f_zero()
        for used in range(n_used):
            total = f_fma(
                f_set1(weights[used]), f_load(x + slots[used] * ldx + i), total)
        f_store(y + i, total)
    for i in range(whole, n):
        y[i] = 0
        for used in range(n_used):
            y[i] += weights[used] * x[slots[used] * ldx + i]


# The elementwise operations by name, and functions that steps of other operations call.
# The last row of a table stays zero: searches by name end there.

cdef unary_op UNARY[13]
UNARY[0].name, UNARY[0].f = "scale", scale
UNARY[1].name, UNARY[1].f = "softcap", softcap
UNARY[2].name, UNARY[2].f = "gelu", gelu
UNARY[3].name, UNARY[3].f = "gelu_erf", gelu_erf
UNARY[4].name, UNARY[4].f = "gelu_quick", gelu_quick
UNARY[5].name, UNARY[5].f = "silu", silu
UNARY[6].name, UNARY[6].f = "sigmoid", sigmoid
UNARY[7].name, UNARY[7].f = "relu", relu
UNARY[8].name, UNARY[8].f = "relu_squared", relu_squared
UNARY[9].name, UNARY[9].f = "xielu", xielu
UNARY[10].name, UNARY[10].f = "softplus", softplus
UNARY[11].name, UNARY[11].f = "clamp", clamp
assert UNARY[sizeof(UNARY) // sizeof(unary_op) - 1].name is NULL, "UNARY: too small"

cdef binary_op BINARY[6]
BINARY[0].name, BINARY[0].f = "add", add
BINARY[1].name, BINARY[1].f = "silu_mul", silu_mul
BINARY[2].name, BINARY[2].f = "gelu_mul", gelu_mul
BINARY[3].name, BINARY[3].f = "mul", mul
BINARY[4].name, BINARY[4].f = "clamped_swiglu", clamped_swiglu
assert BINARY[sizeof(BINARY) // sizeof(binary_op) - 1].name is NULL, "BINARY: too small"
