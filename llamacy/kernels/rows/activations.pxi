# Functions of single numbers, with up to four constants: activations, and the cap of
# scores and logits. y may be x.

cdef void relu(
    const float* x, size_t ldx, const float* constants, int n, float* y, size_t ldy,
    int begin, int end,
) noexcept nogil:
    """y = max(x, 0)"""
    cdef int m, i
    cdef float each
    for m in range(begin, end):
        for i in range(n):
            each = x[m * ldx + i]
            y[m * ldy + i] = 0 if each < 0 else each


cdef void clamp(
    const float* x, size_t ldx, const float* bounds, int n, float* y, size_t ldy,
    int begin, int end,
) noexcept nogil:
    """y = max(bounds[0], min(bounds[1], x))"""
    cdef int m, i
    cdef float each, least = bounds[0], most = bounds[1]
    for m in range(begin, end):
        for i in range(n):
            each = x[m * ldx + i]
            each = most if each > most else each
            y[m * ldy + i] = least if each < least else each


cdef void relu_squared(
    const float* x, size_t ldx, const float* constants, int n, float* y, size_t ldy,
    int begin, int end,
) noexcept nogil:
    """y = max(x, 0)^2"""
    cdef int m, i
    cdef float each
    for m in range(begin, end):
        for i in range(n):
            each = x[m * ldx + i]
            y[m * ldy + i] = 0 if each < 0 else each * each


# Functions that are made of exp, each of a vector of 16 floats.

ctypedef enum curve:
    CURVE_SOFTCAP
    CURVE_GELU
    CURVE_GELU_ERF
    CURVE_GELU_QUICK
    CURVE_SILU
    CURVE_SIGMOID
    CURVE_SOFTPLUS
    CURVE_XIELU


cdef inline vf curved(curve form, vf x, const float* c) noexcept nogil:
    """f(x), c being the constants."""
    if form == CURVE_SOFTCAP:
        return f_softcap(x, c[0])
    if form == CURVE_GELU:
        return f_gelu(x)
    if form == CURVE_GELU_ERF:
        return f_gelu_erf(x)
    if form == CURVE_GELU_QUICK:
        return f_gelu_quick(x)
    if form == CURVE_SILU:
        return f_silu(x)
    if form == CURVE_SIGMOID:
        return f_sigmoid(x)
    if form == CURVE_SOFTPLUS:
        return f_softplus(x)
    return xielu_16(x, c)


cdef inline void curved_rows(
    curve form, const float* x, size_t ldx, const float* constants, int n,
    float* y, size_t ldy, int begin, int end,
) noexcept nogil:
    """y = f(x)"""
    cdef int m, i, rest = n % 16
    cdef float last[16]
    cdef const float* row
    cdef float* out
    for m in range(begin, end):
        row = x + m * ldx
        out = y + m * ldy
        for i in range(0, n - rest, 16):
            f_store(out + i, curved(form, f_load(row + i), constants))
        if rest:
            memcpy(last, row + n - rest, rest * sizeof(float))
            f_store(last, curved(form, f_load(last), constants))
            memcpy(out + n - rest, last, rest * sizeof(float))


cdef void softcap(
    const float* x, size_t ldx, const float* cap, int n, float* y, size_t ldy,
    int begin, int end,
) noexcept nogil:
    """y = cap * tanh(x / cap)"""
    curved_rows(CURVE_SOFTCAP, x, ldx, cap, n, y, ldy, begin, end)


cdef void gelu(
    const float* x, size_t ldx, const float* constants, int n, float* y, size_t ldy,
    int begin, int end,
) noexcept nogil:
    """y = x * (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2"""
    curved_rows(CURVE_GELU, x, ldx, constants, n, y, ldy, begin, end)


cdef void gelu_erf(
    const float* x, size_t ldx, const float* constants, int n, float* y, size_t ldy,
    int begin, int end,
) noexcept nogil:
    """y = x * (1 + erf(x / sqrt(2))) / 2"""
    curved_rows(CURVE_GELU_ERF, x, ldx, constants, n, y, ldy, begin, end)


cdef void gelu_quick(
    const float* x, size_t ldx, const float* constants, int n, float* y, size_t ldy,
    int begin, int end,
) noexcept nogil:
    """y = x / (1 + e^(-1.702 x))"""
    curved_rows(CURVE_GELU_QUICK, x, ldx, constants, n, y, ldy, begin, end)


cdef void silu(
    const float* x, size_t ldx, const float* constants, int n, float* y, size_t ldy,
    int begin, int end,
) noexcept nogil:
    """y = x / (1 + e^-x)"""
    curved_rows(CURVE_SILU, x, ldx, constants, n, y, ldy, begin, end)


cdef void sigmoid(
    const float* x, size_t ldx, const float* constants, int n, float* y, size_t ldy,
    int begin, int end,
) noexcept nogil:
    """y = 1 / (1 + e^-x)"""
    curved_rows(CURVE_SIGMOID, x, ldx, constants, n, y, ldy, begin, end)


cdef void softplus(
    const float* x, size_t ldx, const float* constants, int n, float* y, size_t ldy,
    int begin, int end,
) noexcept nogil:
    """y = ln(1 + e^x)"""
    curved_rows(CURVE_SOFTPLUS, x, ldx, constants, n, y, ldy, begin, end)


cdef void xielu(
    const float* x, size_t ldx, const float* constants, int n, float* y, size_t ldy,
    int begin, int end,
) noexcept nogil:
    """y = alpha_p x^2 + beta x above 0, else alpha_n (e^min(x, eps) - 1 - x) + beta x

    The constants are alpha_p, alpha_n, beta and eps, in this order.
    """
    curved_rows(CURVE_XIELU, x, ldx, constants, n, y, ldy, begin, end)


cdef inline vf xielu_16(vf x, const float* c) noexcept nogil:
    """xielu of 16 elements; both sides of 0 are computed for each."""
    cdef int i
    cdef float values[16]
    cdef float below[16]
    f_store(values, x)
    f_store(below, f_sub(f_expm1(f_min(f_set1(c[3]), x)), x))
    for i in range(16):
        if values[i] > 0:
            values[i] = c[0] * values[i] * values[i] + c[2] * values[i]
        else:
            values[i] = c[1] * below[i] + c[2] * values[i]
    return f_load(values)
