# Rotary positions (Su et al. 2021, arXiv:2104.09864).
#
# A row's table is head_dim cosines, each for both dimensions of its pair, then head_dim
# sines, negative for the first of a pair, so that y = x * cos + swap(x) * sin.

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
