"""Kernels in the verbs of amx_emulated.h, many rows on its matrix registers."""

cdef extern from "levels/amx_emulated.h":
    pass

include "kernels.pxi"
include "products/prepare_tiles.pxi"
