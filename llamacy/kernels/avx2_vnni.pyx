"""Kernels in the verbs of avx2_vnni.h."""

cdef extern from "avx2_vnni.h":
    pass

include "kernels.pxi"
