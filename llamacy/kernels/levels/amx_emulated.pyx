"""Kernels in the verbs of amx_emulated.h, with large products on its matrix tiles."""

cdef extern from "levels/amx_emulated.h":
    pass

include "kernels.pxi"
include "products/prepare_tiles.pxi"
