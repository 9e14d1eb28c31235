"""Kernels in the verbs of scalar.h."""

cdef extern from "levels/scalar.h":
    pass

include "kernels.pxi"
