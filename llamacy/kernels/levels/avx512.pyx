"""Kernels in the verbs of avx512.h."""

cdef extern from "levels/avx512.h":
    pass

include "kernels.pxi"
