"""Finds the points of a codebook that lie nearest to groups of weights.

Exhaustively: every point is compared. The error of a point p at the scale s is

    sum of w * (s * p - x) ** 2  =  s * (s * a - b) + sum of w * x ** 2

with a, the sum of w * p ** 2, and b, the sum of 2 * w * x * p, which do not depend on s
and are computed once for all scales that are tried.
"""

import numpy as np

from libc.stdint cimport uint16_t

cdef extern from "quantization/nearest_points.h" nogil:
    enum:
        LANES
        MOST_POINTS
    void find_nearest(
        const float* points, int n_points, int n_dims, const float* x, const float* w,
        const float* scales, int n_scales, size_t step, uint16_t* index)


def nearest_points(
    const float[:, ::1] points, const float[:, ::1] x, const float[:, ::1] w,
    const float[:, ::1] scales,
):
    """Find the nearest point of each group at each of several scales.

    Parameters
    ----------
    points : float32, (n_dims, n_points)
        The codebook, transposed; a multiple of 16 points, 4096 at most.
    x, w : float32, (n, n_dims)
        Weights, and what the error of each counts.
    scales : float32, (n_scales, n)
        The scales to try for each group.

    Returns
    -------
    uint16, (n_scales, n)
        The points' numbers.

    Raises
    ------
    ValueError
        The arrays do not go together.
    """
    cdef int n_dims = points.shape[0], n_points = points.shape[1]
    cdef Py_ssize_t n = x.shape[0], i
    cdef int n_scales = scales.shape[0]
    if n_points % LANES or not 0 < n_points <= MOST_POINTS:
        raise ValueError(f"points: wanted a multiple of {LANES}, found {n_points}")
    shapes = (x.shape[1], w.shape[0], w.shape[1], scales.shape[1])
    if shapes != (n_dims, n, n_dims, n):
        raise ValueError(f"x, w, scales: wanted {n} groups of {n_dims}")
    index = np.empty((n_scales, n), np.uint16)
    cdef uint16_t[:, ::1] out = index
    if n == 0 or n_scales == 0:
        return index
    # (n_points / LANES, n_dims, LANES)
    cdef float[:, :, ::1] packed = np.ascontiguousarray(
        np.asarray(points).reshape(n_dims, -1, LANES).transpose(1, 0, 2))
    with nogil:
        for i in range(n):
            find_nearest(
                &packed[0, 0, 0], n_points, n_dims, &x[i, 0], &w[i, 0],
                &scales[0, i], n_scales, n, &out[0, i])
    return index
