from libc.stdint cimport uint8_t

from llamacy.kernels.interface cimport packed_matrix


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
