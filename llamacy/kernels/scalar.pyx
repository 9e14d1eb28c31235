"""Kernels in the verbs of scalar.h."""

cdef extern from "scalar.h":
    pass

include "kernels.pxi"
