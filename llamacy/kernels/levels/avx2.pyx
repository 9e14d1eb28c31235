"""Kernels in the verbs of avx2.h."""

cdef extern from "levels/avx2.h":
    pass

include "kernels.pxi"
