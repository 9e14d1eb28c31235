"""Kernels in the verbs of avx512.h."""

cdef extern from "avx512.h":
    pass

include "kernels.pxi"
