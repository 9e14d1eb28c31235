"""Kernels in the verbs of neon_plain.h."""

cdef extern from "levels/neon_plain.h":
    pass

include "kernels.pxi"
