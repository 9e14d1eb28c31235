from libc.stdint cimport int64_t, uint8_t

from llamacy.kernels.interface cimport packed_matrix


cdef extern from "packing/mapped_rows.h" nogil:
    ctypedef struct mapped_rows:
        const uint8_t* data
        size_t row_bytes
        size_t k
        int type
        const uint8_t* codebook
        void (*pack)(
            const mapped_rows* rows, int64_t row, uint8_t* panel) noexcept nogil


cdef class PackedMatrix:
    cdef readonly str type_name
    cdef packed_matrix matrix
    cdef uint8_t[::1] _panels


cdef class PackedExperts:
    cdef readonly str type_name
    cdef packed_matrix matrix  # the first expert's
    cdef readonly size_t stride
    cdef readonly int n_expert
    cdef uint8_t[::1] _panels


cdef class MappedMatrix:
    cdef readonly str type_name
    cdef packed_matrix row  # a matrix of one row, as it is once it is packed
    cdef mapped_rows rows
    cdef int64_t _n
    cdef const uint8_t[::1] _data
    cdef const uint8_t[:, ::1] _codebook
