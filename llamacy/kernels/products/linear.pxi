# Matrix products: y = x @ w.T, few rows by few_rows.h, many by many_rows.h; epilogues.

cdef void linear(
    const linear_args* a, int begin, int end, void* scratch
) noexcept nogil:
    if wants_many(a):
        linear_many(a, begin, end, <many_scratch*>scratch)
    else:
        linear_few(a, begin, end, <float*>scratch)


cdef bint has_many_rows(const linear_args* a) noexcept nogil:
    return wants_many(a)


cdef void linear_few(
    const linear_args* a, int begin, int end, float* out
) noexcept nogil:
    cdef int panel, half, first, step = resident_rows(<int>a.w.k)
    if a.m == 1:
        for panel from begin <= panel < end by RUN_PANELS:
            multiply_row(
                a, panel, min(<int>RUN_PANELS, end - panel), <run_scratch*>out)
        return
    if reads_pairs(a):
        half = (end - begin) // 2
        for panel in range(begin, begin + half):
            multiply_rows_in_pairs(a, panel, panel + half, <pair_scratch*>out)
        begin += 2 * half
    for first from 0 <= first < a.m by step:
        for panel in range(begin, end):
            multiply_rows(a, panel, first, min(first + step, a.m), out)


cdef void multiply_row(
    const linear_args* a, int64_t panel, int n_panels, run_scratch* scratch
) noexcept nogil:
    """A single row, a run of panels at a time."""
    cdef float* out = scratch.sums[0]
    cdef float* out2 = scratch.sums[1]
    cdef int i
    multiply_run(&a.w, panel, n_panels, a, &scratch.row, out)
    if is_gated(a.form):
        multiply_run(&a.w2, panel, n_panels, a, &scratch.row, out2)
    for i in range(n_panels):
        finish_strip(
            a, panel + i, 0, 1, out + i * PANEL_ROWS, out2 + i * PANEL_ROWS)


cdef void multiply_run(
    const packed_matrix* w, int64_t panel, int n_panels, const linear_args* a,
    spread_row* row, float* out,
) noexcept nogil:
    """Panels of `w` and the single row of x: out is [n_panels][16]."""
    cdef activations x = rows_for(w, a, 0)
    cdef int i, some
    if not looks_sums_up(w):
        multiply_panels(w, panel, n_panels, &x, a.ahead, row, out)
        return
    for i from 0 <= i < n_panels by SIGN_PANELS:
        some = min(<int>SIGN_PANELS, n_panels - i)
        if some < SIGN_PANELS_MIN:
            multiply_panels(
                w, panel + i, some, &x, a.ahead, row, out + i * PANEL_ROWS)
        else:
            multiply_signs(w, panel + i, some, &x, out + i * PANEL_ROWS)


cdef void multiply_rows(
    const linear_args* a, int64_t panel, int first, int last, float* out
) noexcept nogil:
    """One panel and rows first .. last of x, strip by strip."""
    cdef float* out2 = out + STRIP_ROWS * PANEL_ROWS
    cdef int row, n_rows
    for row from first <= row < last by STRIP_ROWS:
        n_rows = min(STRIP_ROWS, last - row)
        multiply_few(&a.w, panel, a, row, n_rows, out)
        if is_gated(a.form):
            multiply_few(&a.w2, panel, a, row, n_rows, out2)
        finish_strip(a, panel, row, n_rows, out, out2)


cdef void multiply_rows_in_pairs(
    const linear_args* a, int64_t panel, int64_t other, pair_scratch* scratch
) noexcept nogil:
    """Two panels, in turn, and all rows of x, which are a strip."""
    cdef float* out = scratch.sums[0][0]
    cdef float* other_out = scratch.sums[0][1]
    cdef float* out2 = scratch.sums[1][0]
    cdef float* other_out2 = scratch.sums[1][1]
    multiply_pair(&a.w, panel, other, a, out, other_out)
    if is_gated(a.form):
        multiply_pair(&a.w2, panel, other, a, out2, other_out2)
    finish_strip(a, panel, 0, a.m, out, out2)
    finish_strip(a, other, 0, a.m, other_out, other_out2)


cdef void multiply_few(
    const packed_matrix* w, int64_t panel, const linear_args* a, int row, int n_rows,
    float* out,
) noexcept nogil:
    """One panel of `w` and the strip of x from `row` on: out is [n_rows][16].

    Zeros follow where the strip has room for more rows.
    """
    cdef int t = 0, log2
    cdef activations x
    while t < n_rows:
        x = rows_for(w, a, row + t)
        log2 = log2_rows(
            n_rows - t if reads_floats(w) else rows_with_room(n_rows - t))
        FEW_KERNELS[<int>w.type][log2](w, panel, &x, out + t * PANEL_ROWS)
        t += 1 << log2


cdef void linear_many(
    const linear_args* a, int begin, int end, many_scratch* scratch
) noexcept nogil:
    cdef int step = MANY_PANELS // 2 if is_gated(a.form) else MANY_PANELS
    cdef int panel = begin, row, n_panels, n_rows
    cdef panel_list panels
    while panel < end:
        n_panels = min(step, end - panel)
        choose_panels(a, panel, n_panels, &panels)
        row = 0
        while row < a.m:
            n_rows = min(a.m - row, <int>MANY_ROWS)
            multiply_many(&panels, a, row, n_rows, scratch)
            finish_many(a, panel, n_panels, row, n_rows, scratch)
            row += n_rows
        panel += n_panels


cdef void choose_panels(
    const linear_args* a, int panel, int n_panels, panel_list* panels
) noexcept nogil:
    """Panels of w; with a gate, pairs of a panel of w and the same one of w2."""
    cdef int i
    if is_gated(a.form):
        for i in range(n_panels):
            panels.w[2 * i] = &a.w
            panels.w[2 * i + 1] = &a.w2
            panels.panel[2 * i] = panels.panel[2 * i + 1] = panel + i
        panels.n_panels = 2 * n_panels
        return
    for i in range(n_panels + 1):
        if i < MANY_PANELS:
            panels.w[i] = &a.w if i < n_panels else NULL
            panels.panel[i] = panel + i
    panels.n_panels = (n_panels + 1) // 2 * 2


cdef void finish_many(
    const linear_args* a, int panel, int n_panels, int first_row, int n_rows,
    many_scratch* scratch,
) noexcept nogil:
    """Row by row, so that a row's outputs are written side by side."""
    cdef bint is_plain = adds_nothing(a) and (panel + n_panels) * PANEL_ROWS <= a.w.n
    cdef int row
    cdef strip_sums* sums
    for row in range(n_rows):
        sums = &scratch.sums[row // STRIP_ROWS][0]
        if is_plain:
            finish_plain_row(
                a, panel, n_panels, first_row + row, sums, row % STRIP_ROWS)
        else:
            finish_row(a, panel, n_panels, first_row + row, sums, row % STRIP_ROWS)


cdef inline bint adds_nothing(const linear_args* a) noexcept nogil:
    """Whether no scale multiplies products, and no bias is added to them."""
    return not (a.scale or a.bias or a.scale2 or a.bias2)


cdef inline void finish_plain_row(
    const linear_args* a, int panel, int n_panels, int row, const strip_sums* sums,
    int t,
) noexcept nogil:
    """finish_row() of whole panels, whose products need no scale and no bias."""
    cdef float* y = a.y + row * a.ldy + panel * PANEL_ROWS
    cdef int i
    if is_gated(a.form):
        for i in range(n_panels):
            f_store(y + i * PANEL_ROWS, gated(
                a.form, f_load(&sums[2 * i][t][0]), f_load(&sums[2 * i + 1][t][0])))
    elif a.form == EPILOGUE_ADD:
        for i in range(n_panels):
            f_store(y + i * PANEL_ROWS, f_add(
                f_load(&sums[i][t][0]), f_load(y + i * PANEL_ROWS)))
    else:
        for i in range(n_panels):
            f_store(y + i * PANEL_ROWS, f_load(&sums[i][t][0]))


cdef void finish_row(
    const linear_args* a, int panel, int n_panels, int row, strip_sums* sums, int t
) noexcept nogil:
    """Row `row` of y, from row t of the sums of a strip with some panels."""
    cdef bint has_gate = is_gated(a.form)
    cdef int i
    for i in range(n_panels):
        finish_strip(
            a, panel + i, row, 1, &sums[2 * i if has_gate else i][t][0],
            &sums[2 * i + 1][t][0] if has_gate else NULL)


cdef void finish_strip(
    const linear_args* a, int64_t panel, int row, int n_rows, float* out, float* out2,
) noexcept nogil:
    """Scale, add biases, apply the epilogue, store [n_rows][16] to rows of y."""
    cdef int t, i, n = min(PANEL_ROWS, a.w.n - panel * PANEL_ROWS)
    cdef float* y
    cdef float* sums
    for t in range(n_rows):
        sums = out + t * PANEL_ROWS
        y = a.y + (row + t) * a.ldy + panel * PANEL_ROWS
        if a.scale:
            for i in range(n):
                sums[i] *= a.scale[0]
        if a.bias:
            for i in range(n):
                sums[i] += a.bias[panel * PANEL_ROWS + i]
        if is_gated(a.form):
            if a.scale2:
                for i in range(n):
                    out2[t * PANEL_ROWS + i] *= a.scale2[0]
            if a.bias2:
                for i in range(n):
                    out2[t * PANEL_ROWS + i] += a.bias2[panel * PANEL_ROWS + i]
            gated_row(a.form, sums, out2 + t * PANEL_ROWS, sums, PANEL_ROWS)
        if n < PANEL_ROWS:
            for i in range(n):
                y[i] = sums[i] + (y[i] if a.form == EPILOGUE_ADD else 0)
        elif a.form == EPILOGUE_ADD:
            f_store(y, f_add(f_load(sums), f_load(y)))
        else:
            f_store(y, f_load(sums))
