"""Kernels in the verbs of avx2_vnni.h."""

cdef extern from "levels/avx2_vnni.h":
    pass

include "kernels.pxi"
