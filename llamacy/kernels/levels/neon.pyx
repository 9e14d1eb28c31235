"""Kernels in the verbs of neon.h."""

cdef extern from "levels/neon.h":
    pass

include "kernels.pxi"
