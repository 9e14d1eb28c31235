"""Kernels in the verbs of amx.h, with large products on its matrix tiles."""

cdef extern from "amx.h":
    pass

include "kernels.pxi"
include "tiles.pxi"
