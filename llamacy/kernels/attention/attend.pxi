# Keys and values into pages, and attention over them: y = softmax(q @ k.T) @ v.

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
            at = <size_t>(runs[run].row + row)
            for head in range(kv.n_head_kv):
                h = page_head(
                    kv, runs[run].pages[position // PAGE_TOKENS], offset, head)
                append_key(
                    kv, &h, position % PAGE_TOKENS, k + at * ldk + head * kv.head_dim)
                if not kv.is_latent:
                    append_value(
                        kv, &h, position % PAGE_TOKENS,
                        v + at * ldv + head * kv.value_dim)


cdef void attention(
    const attention_args* args, const row_run* runs, int n_runs, const float* q,
    size_t ldq, float* y, size_t ldy, int begin, int end, void* scratch,
) noexcept nogil:
    """Collect strips into bands, as long as one run may follow the other."""
    cdef int item, head, first, group = args.kv.n_head // args.kv.n_head_kv
    cdef const row_run* run
    cdef query_strip* strip
    cdef query_rows rows
    cdef query_band band
    rows.q, rows.ldq, rows.y, rows.ldy = q, ldq, y, ldy
    band.n_strips = 0
    for item in range(begin, end):
        head = item // n_runs
        run = &runs[item % n_runs]
        for first from 0 <= first < group by STRIP_ROWS:
            if not continues(&band, head, run):
                attend_band(args, &band, &rows, <float*>scratch)
            band.head = head
            strip = &band.strips[band.n_strips]
            strip.run = run
            strip.first_head = head * group + first
            strip.group = min(group - first, STRIP_ROWS)
            band.n_strips += 1
    if band.n_strips:
        attend_band(args, &band, &rows, <float*>scratch)
