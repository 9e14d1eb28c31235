from libc.stdint cimport uint8_t

from llamacy.kernels.interface cimport packed_matrix


cdef class PackedMatrix:
    cdef packed_matrix matrix
    cdef uint8_t[::1] _panels
