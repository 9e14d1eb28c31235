"""Matrices packed into panels: from GGUF's rows to the layout of packed.h."""

from cython.parallel cimport prange

from libc.stdint cimport int64_t, uint8_t

from llamacy.ggml.codebooks import codebook
from llamacy.kernels.interface cimport PANEL_ROWS, pack_type, panel_bytes


cdef extern from "packing/packing.h" nogil:
    ctypedef enum ggml_type:
        GGML_TYPE_COUNT

    ctypedef struct ggml_type_traits:
        const char* name
        int columns
        int bytes
        pack_type form

    const ggml_type_traits* GGML_TYPES
    bint has_codebook(ggml_type type)
    size_t ggml_row_bytes(ggml_type type, size_t k)
    void pack_panel(
        ggml_type type, const uint8_t* codebook, const uint8_t* src, int n_rows,
        size_t k, uint8_t* panel)
    void pack_mapped_row(const mapped_rows* rows, int64_t row, uint8_t* panel)


TYPE_NAMES = tuple(GGML_TYPES[i].name.decode() for i in range(<int>GGML_TYPE_COUNT))


cdef ggml_type type_of(type_name) except *:
    return <ggml_type><int>TYPE_NAMES.index(type_name)


cdef class PackedMatrix:
    """A weight matrix (n, k) in panels; immutable.

    Parameters
    ----------
    type_name : str
        ggml's name of the type that the matrix has in its file.
    n, k : int
        Rows and columns.
    panels : uint8, (packed_bytes(type_name, n, k),)
        The packed weights, which the matrix keeps alive.
    """

    def __cinit__(self, type_name, int64_t n, int64_t k, uint8_t[::1] panels):
        self.type_name = type_name
        self.matrix.type = GGML_TYPES[<int>type_of(type_name)].form
        self.matrix.n = n
        self.matrix.k = k
        self.matrix.panel = panel_bytes(self.matrix.type, k)
        self.matrix.data = &panels[0]
        self._panels = panels

    @property
    def shape(self):
        return (self.matrix.n, self.matrix.k)

    @property
    def nbytes(self):
        return self._panels.nbytes


cdef class PackedExperts:
    """Matrices of one shape and type, (n_expert, n, k), one after another in panels.

    Parameters
    ----------
    type_name : str
        ggml's name of the type that the matrices have in their file.
    n_expert, n, k : int
        Experts, and rows and columns of each.
    panels : uint8, (n_expert * packed_bytes(type_name, n, k),)
        The packed weights, which the object keeps alive.

    Raises
    ------
    ValueError
        `panels` has another size.
    """

    def __cinit__(self, type_name, int n_expert, int64_t n, int64_t k,
                  uint8_t[::1] panels):
        cdef PackedMatrix first = PackedMatrix(type_name, n, k, panels)
        self.type_name = type_name
        self.matrix = first.matrix
        self.stride = packed_bytes(type_name, n, k)
        self.n_expert = n_expert
        self._panels = panels
        if <size_t>panels.nbytes != self.stride * n_expert:
            raise ValueError(
                f"{n_expert} matrices {type_name} ({n}, {k}): wanted "
                f"{self.stride * n_expert} bytes, found {panels.nbytes}")

    @property
    def shape(self):
        return (self.n_expert, self.matrix.n, self.matrix.k)

    @property
    def nbytes(self):
        return self._panels.nbytes


cdef class MappedMatrix:
    """A matrix (n, k) that stays where it is, in a mapped file: for looking up rows.

    Parameters
    ----------
    type_name : str
        ggml's name of its type.
    n, k : int
        Rows and columns.
    data : uint8, (n_bytes,)
        Its rows as the file has them, which the matrix keeps alive.

    Raises
    ------
    ValueError
        The matrix is empty or has parts of blocks, or `data` has another size.
    """

    def __cinit__(self, type_name, int64_t n, int64_t k, const uint8_t[::1] data):
        cdef ggml_type type = type_of(type_name)
        cdef ggml_type_traits traits = GGML_TYPES[<int>type]
        if n < 1 or k < 1 or k % traits.columns:
            raise ValueError(
                f"{type_name} ({n}, {k}): wanted one row or more of whole blocks of "
                f"{traits.columns} columns")
        self.rows.row_bytes = ggml_row_bytes(type, k)
        if <size_t>data.nbytes != n * self.rows.row_bytes:
            raise ValueError(
                f"{type_name} ({n}, {k}): wanted {n * self.rows.row_bytes} bytes, "
                f"found {data.nbytes}")
        self.type_name = type_name
        self.row.type = traits.form
        self.row.n = 1
        self.row.k = k
        self.row.panel = panel_bytes(traits.form, k)
        self.rows.data = &data[0]
        self.rows.k = k
        self.rows.type = <int>type
        self.rows.codebook = NULL
        if has_codebook(type):
            self._codebook = codebook(type_name)
            self.rows.codebook = &self._codebook[0, 0]
        self.rows.pack = pack_mapped_row
        self._n = n
        self._data = data

    @property
    def shape(self):
        return (self._n, self.row.k)

    @property
    def nbytes(self):
        return self._data.nbytes


def packed_bytes(type_name, int64_t n, int64_t k):
    """Return the bytes that an (n, k) matrix takes when packed."""
    cdef pack_type form = GGML_TYPES[<int>type_of(type_name)].form
    return (n + PANEL_ROWS - 1) // PANEL_ROWS * panel_bytes(form, k)


def pack(type_name, const uint8_t[::1] data, int64_t n, int64_t k, uint8_t[::1] out,
         int n_threads=1):
    """Pack the rows of a GGUF tensor into `out`, in parallel.

    Parameters
    ----------
    type_name : str
        ggml's name of the tensor's type.
    data : uint8, (n_bytes,)
        The tensor as the file has it.
    n, k : int
        Rows and columns.
    out : uint8, (packed_bytes(type_name, n, k),)
        Memory for the panels, at an address divisible by 64.
    n_threads : int
        Threads to use.

    Returns
    -------
    PackedMatrix
        The matrix in `out`.

    Raises
    ------
    ValueError
        The tensor is empty or has parts of blocks, or a buffer has another size or
        alignment.
    """
    cdef ggml_type type = type_of(type_name)
    cdef ggml_type_traits traits = GGML_TYPES[<int>type]
    cdef size_t row_bytes = ggml_row_bytes(type, k), panel = panel_bytes(traits.form, k)
    cdef int64_t i, n_panels = (n + PANEL_ROWS - 1) // PANEL_ROWS
    cdef const uint8_t[:, ::1] points
    cdef const uint8_t* first_point = NULL
    if n < 1 or k < 1 or k % traits.columns:
        raise ValueError(
            f"{type_name} ({n}, {k}): wanted one row or more of whole blocks of "
            f"{traits.columns} columns")
    if data.nbytes != n * row_bytes or out.nbytes != n_panels * panel:
        raise ValueError(
            f"{type_name} ({n}, {k}): wanted {n * row_bytes} bytes in and "
            f"{n_panels * panel} out, found {data.nbytes} and {out.nbytes}")
    if <size_t>&out[0] % 64:
        raise ValueError("packed panels must begin at a multiple of 64 bytes")
    if has_codebook(type):
        points = codebook(type_name)
        first_point = &points[0, 0]
    # Guided: a thread that loses its core for a while does not hold up the others, and
    # most chunks are larger than a page of 2 MiB, which two threads at once would both
    # fill with zeros.
    for i in prange(n_panels, num_threads=n_threads, schedule="guided", nogil=True):
        pack_panel(
            type, first_point, &data[i * PANEL_ROWS * row_bytes],
            <int>min(<int64_t>PANEL_ROWS, n - i * PANEL_ROWS), k, &out[i * panel])
    return PackedMatrix(type_name, n, k, out)


def pack_experts(type_name, const uint8_t[::1] data, int n_expert, int64_t n, int64_t k,
                 uint8_t[::1] out, int n_threads=1):
    """Pack an (n_expert, n, k) tensor, each expert as `pack` does.

    Parameters
    ----------
    type_name : str
        ggml's name of the tensor's type.
    data : uint8, (n_bytes,)
        The tensor as the file has it, expert after expert.
    n_expert, n, k : int
        Experts, and rows and columns of each.
    out : uint8, (n_expert * packed_bytes(type_name, n, k),)
        Memory for the panels, at an address divisible by 64.
    n_threads : int
        Threads to use.

    Returns
    -------
    PackedExperts
        The matrices in `out`.

    Raises
    ------
    ValueError
        As `pack` does, or the tensor has no experts or parts of them.
    """
    cdef int64_t size = packed_bytes(type_name, n, k), source = 0
    cdef int expert
    if n_expert < 1 or data.nbytes % n_expert or out.nbytes != n_expert * size:
        raise ValueError(
            f"{type_name} ({n_expert}, {n}, {k}): wanted {n_expert * size} bytes out, "
            f"found {out.nbytes} and {data.nbytes} in")
    source = data.nbytes // n_expert
    for expert in range(n_expert):
        pack(type_name, data[expert * source:(expert + 1) * source], n, k,
             out[expert * size:(expert + 1) * size], n_threads)
    return PackedExperts(type_name, n_expert, n, k, out)
