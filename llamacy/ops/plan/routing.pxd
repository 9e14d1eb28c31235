"""The arrays of experts.h, which explains them, and who owns them."""

from libc.stdint cimport int32_t


cdef extern from "plan/experts.h" nogil:
    enum:
        GROUP_ROWS

    ctypedef enum gating_kind:
        GATING_SOFTMAX
        GATING_SIGMOID
        GATING_CHOSEN
        GATING_SPARSE

    ctypedef struct expert_group:
        pass

    ctypedef struct routing:
        int n_expert
        int n_used
        bint is_normalized
        gating_kind gating
        float scale
        float most_far
        int n_parts
        int n_parts_used
        int n_best
        float* keys
        int32_t* expert
        float* weight
        int32_t* slot
        int32_t* row
        int32_t* group
        int32_t* count
        expert_group* groups

    int most_groups(const routing* r, int n_rows)


cdef class Routing:
    cdef routing routes
    cdef list _arrays
    cdef int _n_batch

    cdef int32_t* integers(self, int n) except NULL
