"""Kernels in the verbs of amx.h, with large products on its matrix tiles."""

cdef extern from "levels/amx.h":
    pass

include "kernels.pxi"
include "products/prepare_tiles.pxi"
