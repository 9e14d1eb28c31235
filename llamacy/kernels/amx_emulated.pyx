"""Kernels in the verbs of amx_emulated.h."""

cdef extern from "amx_emulated.h":
    pass

include "kernels.pxi"
