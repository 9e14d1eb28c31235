"""Kernels in the verbs of amx.h, many rows on its matrix registers."""

cdef extern from "levels/amx.h":
    pass

include "kernels.pxi"
include "products/prepare_tiles.pxi"
