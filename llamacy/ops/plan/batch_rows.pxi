# Rows of a batch as kernels read them: runs, spans, and the wanted rows alone.

cdef class WantedRows:
    """The wanted rows of a batch, as rows of a batch of their own.

    Parameters
    ----------
    positions : int32, (n_wanted,)
        Position of each.
    runs : int32, (n_runs, 3)
        First row, number of rows and first position of each run of them.
    pages : uintptr, (n_runs,)
        Address of each run's page addresses.
    is_long : uint8, (n_wanted,), or None
        Whether each is of a long text; None if none is.
    angles : float32, (n_wanted, n_dims / 2), or None
        Angles of each, for the tables that have none of their own.
    """

    cdef batch rows
    cdef const int32_t[::1] positions
    cdef const uint8_t[::1] is_long
    cdef const float[:, ::1] angles

    def __cinit__(self, const int32_t[::1] positions, const int32_t[:, ::1] runs,
                  const uintptr_t[::1] pages, const uint8_t[::1] is_long=None,
                  const float[:, ::1] angles=None):
        self.positions, self.is_long, self.angles = positions, is_long, angles
        self.rows.runs = runs_of(runs, pages)
        self.rows.n_runs = <int>runs.shape[0]

    def __dealloc__(self):
        free(self.rows.runs)

    cdef void fill(self, const batch* b):
        """Take over from the batch what holds for all of its rows."""
        cdef row_run* runs = self.rows.runs
        cdef int n = <int>self.positions.shape[0], n_runs = self.rows.n_runs
        self.rows = b[0]
        self.rows.n_rows = n
        self.rows.runs, self.rows.n_runs = runs, n_runs
        self.rows.positions = &self.positions[0] if n else NULL
        self.rows.is_long = NULL
        if self.is_long is not None and n:
            self.rows.is_long = &self.is_long[0]
        self.rows.angles = NULL
        if self.angles is not None and n:
            self.rows.angles = &self.angles[0, 0]


cdef class NextRows:
    """The rows of passes that follow one of a single row for each sequence.

    Parameters
    ----------
    tokens, positions : int32, (n_rows,)
        Token and position of each row of that pass.
    """

    cdef int32_t[::1] tokens, positions

    def __cinit__(self, const int32_t[::1] tokens, const int32_t[::1] positions):
        self.tokens = np.array(tokens)
        self.positions = np.array(positions)

    cdef int take(self, batch* b, WantedRows of_wanted, tokens) except -1:
        """Make a batch that of the next rows, with these tokens."""
        cdef int i
        for i in range(b.n_rows):
            self.tokens[i] = tokens[i]
            self.positions[i] += 1
        b.tokens, b.positions = &self.tokens[0], &self.positions[0]
        move_on(b.runs, b.n_runs)
        if of_wanted is not None:
            of_wanted.rows.positions = b.positions
            move_on(of_wanted.rows.runs, of_wanted.rows.n_runs)
        return 0


cdef void move_on(row_run* runs, int n) noexcept:
    """Move runs of one row to the next position of their sequences."""
    cdef int i
    for i in range(n):
        runs[i].position += 1
        runs[i].n_tokens += 1


cdef row_run* runs_of(
    const int32_t[:, ::1] rows, const uintptr_t[::1] pages
) except NULL:
    """Runs as kernels read them, for the caller to free.

    The last run of a sequence ends where the sequence does.
    """
    cdef int i, n = <int>rows.shape[0]
    cdef row_run* runs = <row_run*>calloc(max(n, 1), sizeof(row_run))
    if runs is NULL:
        raise MemoryError("no memory for the rows of a forward pass")
    for i in range(n):
        runs[i].row = rows[i, 0]
        runs[i].n_rows = rows[i, 1]
        runs[i].position = rows[i, 2]
        runs[i].pages = <uint8_t**>pages[i]
        runs[i].n_tokens = rows[i, 2] + rows[i, 1]
    for i in range(n - 2, -1, -1):
        if runs[i].pages == runs[i + 1].pages:
            runs[i].n_tokens = runs[i + 1].n_tokens
    return runs


cdef row_span* spans_of(
    const int32_t[:, ::1] rows, const uintptr_t[:, ::1] states
) except NULL:
    """Spans as kernels read them, for the caller to free."""
    cdef int i, n = <int>rows.shape[0]
    cdef row_span* spans = <row_span*>calloc(n, sizeof(row_span))
    if spans is NULL:
        raise MemoryError("no memory for the rows of a forward pass")
    for i in range(n):
        spans[i].row = rows[i, 0]
        spans[i].n_rows = rows[i, 1]
        spans[i].position = rows[i, 2]
        spans[i].before = <const uint8_t*>states[i, 0]
        spans[i].after = <uint8_t*>states[i, 1]
    return spans


cdef size_t count_scores(const batch* b) noexcept:
    """Spans that runs see, if threads may share the work on each; or else 0."""
    cdef size_t n = 0
    cdef int i
    if b.n_runs >= b.n_threads:
        return 0
    for i in range(b.n_runs):
        n += after_spans(&b.runs[i], b.span_tokens)
    return n
