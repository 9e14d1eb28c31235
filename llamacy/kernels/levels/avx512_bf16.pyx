"""Kernels in the verbs of avx512_bf16.h."""

cdef extern from "levels/avx512_bf16.h":
    pass

include "kernels.pxi"
