# A level with matrix registers prepares the activations of large products as tiles of
# bfloat16. Included after kernels.pxi, whose table it changes.

cdef extern from "products/many_rows.h":
    enum:
        TILES_MIN_ROWS

    void t_begin() noexcept nogil
    void t_end() noexcept nogil
    bint reads_tiles(const packed_matrix* w) noexcept nogil
    size_t tiles_bytes(int k, int m) noexcept nogil
    void round_rows(
        const float* x, size_t ldx, int k, int m, void* prepared, int begin, int end
    ) noexcept nogil


cdef int tiles_digits_read(const packed_matrix* w) noexcept nogil:
    if not reads_tiles(w):
        return 0
    return max(1, digits_read(w))


cdef void prepare_tiles(
    const float* x, size_t ldx, int k, int m, int n_digits, void* prepared,
    int begin, int end,
) noexcept nogil:
    if m < TILES_MIN_ROWS:
        quantize(x, ldx, k, m, n_digits, prepared, begin, end)
    else:
        round_rows(x, ldx, k, m, prepared, begin, end)


cdef size_t prepared_tiles_bytes(int k, int m) noexcept nogil:
    return max(quantized_bytes(k, m), tiles_bytes(k, m))


TABLE.many_rows = TILES_MIN_ROWS
TABLE.many_panels = MANY_PANELS
TABLE.enter_thread = t_begin
TABLE.leave_thread = t_end
TABLE.digits_read = tiles_digits_read
TABLE.prepare = prepare_tiles
TABLE.prepared_bytes = prepared_tiles_bytes
