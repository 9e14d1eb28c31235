# Rotary positions (Su et al. 2021, arXiv:2104.09864). Dimensions (a, b) of a head are a
# pair, and rotated by angle = position * angles[pair]:
#
#   y[a] = x[a] * cos - x[b] * sin
#   y[b] = x[b] * cos + x[a] * sin
#
# Pairs are dimensions 2i and 2i + 1, as in LLaMA (half is 0), or, in the order of
# GPT-NeoX, i and i + half. A row's table is head_dim cosines, each for both dimensions
# of its pair, then head_dim sines, negated for the first of a pair, so that
#
#   y = x * cosines + other(x) * sines          other: the other dimension of the pair

cdef void rope_table(
    const float* angles, int n_dims, int head_dim, int half, float magnitude,
    const int32_t* positions, float* table, int begin, int end,
) noexcept nogil:
    """table[m] = magnitude * (cos, sin) of positions[m] * angles; 1, 0 past n_dims."""
    cdef int m, i, first, second
    cdef float theta
    cdef float* cosines
    cdef float* sines
    for m in range(begin, end):
        cosines = table + <size_t>m * 2 * head_dim
        sines = cosines + head_dim
        for i in range(n_dims, head_dim):
            cosines[i] = 1
            sines[i] = 0
        for i in range(n_dims // 2):
            first = i if half else 2 * i
            second = first + (half if half else 1)
            theta = positions[m] * angles[i]
            cosines[first] = cosines[second] = cosf(theta) * magnitude
            sines[second] = sinf(theta) * magnitude
            sines[first] = -sines[second]


cdef void rope(
    float* x, size_t ldx, int n_head, int head_dim, int half, const float* table,
    int begin, int end,
) noexcept nogil:
    """x = x * cosines + other(x) * sines, each head of each row."""
    cdef int m, head
    cdef float* p
    cdef const float* cosines
    for m in range(begin, end):
        cosines = table + <size_t>m * 2 * head_dim
        for head in range(n_head):
            p = x + m * ldx + head * head_dim
            if half:
                turn_halves(p, half, cosines, cosines + head_dim)
            else:
                turn_pairs(p, head_dim, cosines, cosines + head_dim)


cdef inline void turn_pairs(
    float* p, int head_dim, const float* cosines, const float* sines
) noexcept nogil:
    """One head, dimensions 2i and 2i + 1."""
    cdef int i, whole = head_dim // 16 * 16
    for i in range(0, whole, 16):
        f_store(p + i, f_fma(
            f_swap_pairs(f_load(p + i)), f_load(sines + i),
            f_mul(f_load(p + i), f_load(cosines + i))))
    for i in range(whole, head_dim - 1, 2):
        turn(p, i, i + 1, cosines, sines)


cdef inline void turn_halves(
    float* p, int half, const float* cosines, const float* sines
) noexcept nogil:
    """One head, dimensions i and i + half."""
    cdef int i, whole = half // 16 * 16
    cdef vf first, second
    for i in range(0, whole, 16):
        first = f_load(p + i)
        second = f_load(p + half + i)
        f_store(p + i, f_fma(
            second, f_load(sines + i), f_mul(first, f_load(cosines + i))))
        f_store(p + half + i, f_fma(
            first, f_load(sines + half + i), f_mul(second, f_load(cosines + half + i))))
    for i in range(whole, half):
        turn(p, i, half + i, cosines, sines)


cdef inline void turn(
    float* p, int i, int j, const float* cosines, const float* sines
) noexcept nogil:
    """One pair, dimensions i and j."""
    cdef float first = p[i], second = p[j]
    p[i] = first * cosines[i] + second * sines[i]
    p[j] = second * cosines[j] + first * sines[j]
