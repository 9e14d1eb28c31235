# What a level with matrix tiles does otherwise: products with many rows, for which the
# activations are prepared as tiles of bfloat16. Included after kernels.pxi.

from llamacy.kernels.interface cimport PACK_F32


cdef extern from "tile_gemm.h":
    enum:
        BLOCK_PANELS
        BLOCK_ROWS
        PAIR_ROWS
        TILES_MIN_ROWS

    ctypedef struct gemm_scratch:
        float sums[16][8][4][16][16]

    ctypedef struct panel_block:
        const packed_matrix* w[16]
        int64_t panel[16]
        int n_panels

    void t_begin() noexcept nogil
    void t_end() noexcept nogil
    size_t tiles_bytes(int k, int m) noexcept nogil
    void round_row(const float* x, int k, void* prepared, int row) noexcept nogil
    void gemm_block(
        const panel_block* block, const void* prepared, int k, int first_row,
        int n_rows, gemm_scratch* scratch) noexcept nogil


cdef bint tiles_read_prepared(const packed_matrix* w) noexcept nogil:
    return w.type != PACK_F32 and w.k % UNIT_COLS == 0


cdef void prepare_tiles(
    const float* x, size_t ldx, int k, int m, void* prepared, int begin, int end,
) noexcept nogil:
    cdef int row
    if m < TILES_MIN_ROWS:
        quantize(x, ldx, k, m, prepared, begin, end)
        return
    for row in range(begin, end):
        round_row(x + row * ldx, k, prepared, row)


cdef size_t prepared_tiles_bytes(int k, int m) noexcept nogil:
    return max(quantized_bytes(k, m), tiles_bytes(k, m))


cdef void linear_tiles(
    const linear_args* a, int begin, int end, void* scratch
) noexcept nogil:
    cdef bint is_gated = a.form == EPILOGUE_SWIGLU
    cdef int step = BLOCK_PANELS // 2 if is_gated else BLOCK_PANELS
    cdef int panel = begin, row, n_rows
    cdef panel_block block
    # what was prepared for many rows is tiles: one of two matrices that reads it takes
    # the other along, F32 or not
    cdef bint on_tiles = tiles_read_prepared(&a.w) or (
        is_gated and tiles_read_prepared(&a.w2))
    if a.m < TILES_MIN_ROWS or not on_tiles:
        linear_panels(a, begin, end, scratch)
        return
    while panel < end:
        choose_panels(a, panel, min(step, end - panel), &block)
        row = 0
        while row < a.m:
            n_rows = min(a.m - row, <int>BLOCK_ROWS)
            gemm_block(
                &block, a.prepared, <int>a.w.k, row, n_rows, <gemm_scratch*>scratch)
            finish_block(
                a, panel, min(step, end - panel), row, n_rows, <gemm_scratch*>scratch)
            row += n_rows
        panel += step


cdef void choose_panels(
    const linear_args* a, int panel, int n_panels, panel_block* block
) noexcept nogil:
    """Panels of w, or for SwiGLU in turn one of w and the same one of w2."""
    cdef int i
    if a.form == EPILOGUE_SWIGLU:
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
    cdef int i, row, rows, tile
    cdef float* out
    cdef float* out2 = NULL
    for row from 0 <= row < n_rows by TILE_ROWS:
        rows = min(TILE_ROWS, n_rows - row)
        tile = row % PAIR_ROWS // TILE_ROWS * 2
        for i in range(n_panels):
            if a.form == EPILOGUE_SWIGLU:
                out = &scratch.sums[row // PAIR_ROWS][i][tile][0][0]
                out2 = &scratch.sums[row // PAIR_ROWS][i][tile + 1][0][0]
            else:
                out = &scratch.sums[row // PAIR_ROWS][i // 2][tile + i % 2][0][0]
            finish_tile(a, panel + i, first_row + row, rows, out, out2)


cdef size_t tiles_scratch_bytes(int head_dim) noexcept nogil:
    return max(scratch_bytes(head_dim), sizeof(gemm_scratch))


TABLE.scratch_bytes = tiles_scratch_bytes
TABLE.enter_thread = t_begin
TABLE.leave_thread = t_end
TABLE.reads_prepared = tiles_read_prepared
TABLE.prepare = prepare_tiles
TABLE.prepared_bytes = prepared_tiles_bytes
TABLE.linear = linear_tiles
