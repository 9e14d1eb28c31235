# A causal depthwise convolution, over rows that go on from the inputs that states keep.

cdef void causal_conv(
    const conv_args* args, const row_span* spans, int n_spans, const float* x,
    size_t ldx, float* y, size_t ldy, int begin, int end,
) noexcept nogil:
    cdef int item, span, first, n
    for item in range(begin, end):
        first = item * CONV_CHANNELS
        n = min(CONV_CHANNELS, args.n_channels - first)
        for span in range(n_spans):
            convolve(args, &spans[span], first, n, x, ldx, y, ldy)
            keep_columns(args, &spans[span], first, n, x, ldx)


cdef inline const float* input_row(
    const conv_args* args, const row_span* span, int row, const float* x, size_t ldx
) noexcept nogil:
    """Row `row` of a span; one below 0 is among those that its states keep."""
    cdef const float* kept = <const float*>(span.before + args.offset)
    if row < 0:
        return kept + <size_t>(args.n_columns + row) * args.n_channels
    return x + <size_t>(span.row + row) * ldx


cdef inline void convolve(
    const conv_args* args, const row_span* span, int first, int n, const float* x,
    size_t ldx, float* y, size_t ldy,
) noexcept nogil:
    """Channels `first` to `first + n` of a span's rows."""
    cdef int row, i, j, whole = n // 16 * 16
    cdef float total
    cdef vf sums
    cdef const float* w = args.weight + first
    cdef const float* at
    cdef float* out
    for row in range(span.n_rows):
        out = y + <size_t>(span.row + row) * ldy + first
        for i in range(0, whole, 16):
            sums = f_load(args.bias + first + i) if args.bias else f_zero()
            for j in range(args.n_columns + 1):
                at = input_row(args, span, row + j - args.n_columns, x, ldx) + first
                sums = f_fma(
                    f_load(w + <size_t>j * args.n_channels + i), f_load(at + i), sums)
            f_store(out + i, sums)
        for i in range(whole, n):
            total = args.bias[first + i] if args.bias else 0
            for j in range(args.n_columns + 1):
                at = input_row(args, span, row + j - args.n_columns, x, ldx) + first
                total += w[<size_t>j * args.n_channels + i] * at[i]
            out[i] = total


cdef inline void keep_columns(
    const conv_args* args, const row_span* span, int first, int n, const float* x,
    size_t ldx,
) noexcept nogil:
    """Leave a span's last inputs; where memory is the same, those kept move up."""
    cdef int column, row
    cdef float* kept = <float*>(span.after + args.offset) + first
    for column in range(args.n_columns):
        row = span.n_rows - args.n_columns + column
        memmove(
            kept + <size_t>column * args.n_channels,
            input_row(args, span, row, x, ldx) + first, n * sizeof(float))
