from libc.stdint cimport uint8_t

from llamacy.kernels.interface cimport packed_matrix


cdef class PackedMatrix:
    cdef readonly str type_name
    cdef packed_matrix matrix
    cdef uint8_t[::1] _panels
