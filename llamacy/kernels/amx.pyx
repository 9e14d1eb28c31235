"""Kernels in the verbs of amx.h."""

cdef extern from "amx.h":
    pass

include "kernels.pxi"
