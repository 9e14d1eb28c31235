# Matrix products: few rows by the kernels of tile.h, blocks of many by gemm.h.

cdef void linear(
    const linear_args* a, int begin, int end, void* scratch
) noexcept nogil:
    if gemm_wants(a):
        linear_blocks(a, begin, end, <gemm_scratch*>scratch)
    else:
        linear_panels(a, begin, end, <float*>scratch)


cdef bint has_many_rows(const linear_args* a) noexcept nogil:
    return gemm_wants(a)


cdef void linear_panels(
    const linear_args* a, int begin, int end, float* out
) noexcept nogil:
    cdef int panel, first, step = resident_rows(<int>a.w.k)
    for first from 0 <= first < a.m by step:
        for panel in range(begin, end):
            panel_rows(a, panel, first, min(first + step, a.m), out)


cdef void panel_rows(
    const linear_args* a, int64_t panel, int first, int last, float* out
) noexcept nogil:
    """One panel for rows first .. last of x, tile by tile."""
    cdef float* out2 = out + TILE_ROWS * PANEL_ROWS
    cdef int tile, rows
    for tile from first <= tile < last by TILE_ROWS:
        rows = min(TILE_ROWS, last - tile)
        panel_tokens(&a.w, panel, a, tile, rows, out)
        if is_gated(a.form):
            panel_tokens(&a.w2, panel, a, tile, rows, out2)
        finish_tile(a, panel, tile, rows, out, out2)


cdef void panel_tokens(
    const packed_matrix* w, int64_t panel, const linear_args* a, int tile, int rows,
    float* out,
) noexcept nogil:
    """One panel of `w` for rows tile .. tile + rows of x: out is [rows][16]."""
    cdef int t = 0, log2
    cdef tile_rows at
    while t < rows:
        log2 = log2_tokens(rows - t)
        at = rows_for(w, a, tile + t)
        TILE_KERNELS[<int>w.type][log2](w, panel, &at, out + t * PANEL_ROWS)
        t += 1 << log2


cdef void linear_blocks(
    const linear_args* a, int begin, int end, gemm_scratch* scratch
) noexcept nogil:
    cdef int step = BLOCK_PANELS // 2 if is_gated(a.form) else BLOCK_PANELS
    cdef int panel = begin, row, n_panels, n_rows
    cdef panel_block block
    while panel < end:
        n_panels = min(step, end - panel)
        choose_panels(a, panel, n_panels, &block)
        row = 0
        while row < a.m:
            n_rows = min(a.m - row, <int>BLOCK_ROWS)
            gemm_block(&block, a, row, n_rows, scratch)
            finish_block(a, panel, n_panels, row, n_rows, scratch)
            row += n_rows
        panel += n_panels


cdef void choose_panels(
    const linear_args* a, int panel, int n_panels, panel_block* block
) noexcept nogil:
    """Panels of w, or with a gate in turn one of w and the same one of w2."""
    cdef int i
    if is_gated(a.form):
        for i in range(n_panels):
            block.w[2 * i] = &a.w
            block.w[2 * i + 1] = &a.w2
            block.panel[2 * i] = block.panel[2 * i + 1] = panel + i
        block.n_panels = 2 * n_panels
        return
    for i in range(n_panels + 1):
        if i < BLOCK_PANELS:
            block.w[i] = &a.w if i < n_panels else NULL
            block.panel[i] = panel + i
    block.n_panels = (n_panels + 1) // 2 * 2


cdef void finish_block(
    const linear_args* a, int panel, int n_panels, int first_row, int n_rows,
    gemm_scratch* scratch,
) noexcept nogil:
    cdef int i, row
    cdef bint has_gate = is_gated(a.form)
    cdef sum_tile* sums
    for row from 0 <= row < n_rows by TILE_ROWS:
        sums = &scratch.sums[row // TILE_ROWS][0]
        for i in range(n_panels):
            finish_tile(
                a, panel + i, first_row + row, min(TILE_ROWS, n_rows - row),
                &sums[2 * i if has_gate else i][0][0],
                &sums[2 * i + 1][0][0] if has_gate else NULL)


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
        if is_gated(a.form):
            if a.bias2:
                for i in range(n):
                    out2[t * PANEL_ROWS + i] += a.bias2[panel * PANEL_ROWS + i]
            gated_row(a.form, tokens, out2 + t * PANEL_ROWS, tokens, PANEL_ROWS)
        if n < PANEL_ROWS:
            for i in range(n):
                y[i] = tokens[i] + (y[i] if a.form == EPILOGUE_ADD else 0)
        elif a.form == EPILOGUE_ADD:
            f_store(y, f_add(f_load(tokens), f_load(y)))
        else:
            f_store(y, f_load(tokens))
