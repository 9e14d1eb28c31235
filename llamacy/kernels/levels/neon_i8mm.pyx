"""Kernels in the verbs of neon_i8mm.h."""

cdef extern from "levels/neon_i8mm.h":
    pass

include "kernels.pxi"
