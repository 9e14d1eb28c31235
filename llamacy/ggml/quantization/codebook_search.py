"""Finds scales and points of codebooks for the blocks of ggml's IQ1, IQ2 and IQ3 types.

A weight is decoded as d * (2 * s + 1) * p, where d is a float16 that 256 weights share,
s a small integer of a group of 16 or 32 weights, and p a coordinate of the point of 8
or 4 weights. First, several scales are tried for each group: at each of them the
nearest points are found, and the scale that fits them best. Then the scales become odd
multiples of d: their neighbours are tried, and d is refitted to the points chosen.

The axes of arrays are those of blocks, groups, and a group's weights or points:

    x, w  : float32, (n_blocks, n_groups, group_size): weights, and what the error of
            each counts
    index : uint16, (n_blocks, n_groups, n): numbers of points
    scale : float32, (n_blocks, n_groups)
    s     : float32, (n_blocks, n_groups): integers
    d     : float32, (n_blocks,), representable as float16
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from llamacy.ggml.quantization.fitting import ratio
from llamacy.ggml.quantization.packing import Floats
from llamacy.ggml.quantization.scales import float16_unit, rounded_to_float16

Indices = NDArray[np.uint16]

_N_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Codebook:
    """The points of a type, and how its blocks scale them.

    Attributes
    ----------
    points : float32, (n_points, 8 or 4)
        As they are multiplied with d * (2 * s + 1).
    group_size : int
        Weights that share s.
    s_end : int
        Greatest s.
    steps : float32, (n,)
        The scales to try: each divides a group's farthest weight by the step times the
        greatest coordinate.
    gain : float32
        Multiplies d at last. Least squares make weights too small on the whole, and
        where errors are large, that costs more than they.
    """

    points: Floats
    group_size: int
    s_end: int
    steps: Floats
    gain: np.float32 = np.float32(1)

    def nearest(self, x: Floats, w: Floats, scales: Floats) -> Indices:
        """Find the points nearest to weights at some scales.

        Parameters
        ----------
        x, w : float32, (…, group_size)
            Weights, and what their errors count.
        scales : float32, (n, …)
            Scales of the groups.

        Returns
        -------
        uint16, (n, …, n_of_group)
            The points' numbers.
        """
        # compiled, and so imported only where it is needed
        from llamacy.ggml.quantization.nearest_points import nearest_points

        n_dims = self.points.shape[1]
        n_of_group = self.group_size // n_dims
        repeated = np.repeat(scales.reshape(len(scales), -1), n_of_group, axis=1)
        found: Indices = nearest_points(
            np.ascontiguousarray(self.points.T),
            np.ascontiguousarray(x).reshape(-1, n_dims),
            np.ascontiguousarray(w).reshape(-1, n_dims),
            np.ascontiguousarray(repeated, np.float32),
        )
        return found.reshape(*scales.shape, n_of_group)

    def coordinates(self, index: Indices) -> Floats:
        """Return the points of groups: (..., n_of_group) to (..., group_size)."""
        found: Floats = self.points[index].reshape(*index.shape[:-1], self.group_size)
        return found

    def search(self, x: Floats, w: Floats) -> tuple[Floats, Floats, Indices]:
        """Find d, s and points such that d * (2 * s + 1) * point is close to `x`.

        Returns
        -------
        d : float32, (n_blocks,)
            Units of the scales.
        s : float32, (n_blocks, n_groups)
            Integers, 0 to `s_end`.
        index : uint16, (n_blocks, n_groups, n_of_group)
            The points' numbers.
        """
        scale, _ = self.first_scales(x, w)
        d = float16_unit(scale.max(axis=1), 2 * self.s_end + 1)
        with np.errstate(all="ignore"):
            s = self._whole(ratio(scale, d[:, None]))
        for _ in range(_N_ROUNDS):
            s, index = self._nearest_scales(x, w, d, s)
            odd = 2 * s + 1
            product, square = self._sums(x, w, index)
            over, under = (odd * product).sum(axis=1), (odd * odd * square).sum(axis=1)
            refitted = rounded_to_float16(ratio(over, under))
            d = np.where(refitted > 0, refitted, d)
        index = self.nearest(x, w, (d[:, None] * (2 * s + 1))[None])[0]
        return rounded_to_float16(d * self.gain), s, index

    def first_scales(self, x: Floats, w: Floats) -> tuple[Floats, Floats]:
        """Find the best scale of each group by itself.

        Returns
        -------
        scale : float32, (n_blocks, n_groups)
            The scales, none of them negative.
        gain : float32, (n_blocks, n_groups)
            The sums of w * x ** 2 less the errors.
        """
        reach = np.abs(x).max(axis=2) / np.abs(self.points).max()
        index = self.nearest(x, w, reach / self.steps[:, None, None])
        best: Floats = np.zeros_like(reach)
        most = best
        for one in index:
            product, square = self._sums(x, w, one)
            scale = np.maximum(ratio(product, square), np.float32(0))
            gain = scale * product
            best = np.where(gain > most, scale, best)
            most = np.maximum(gain, most)
        return best, most

    def _whole(self, units: Floats) -> Floats:
        """Round multiples of d to s."""
        whole: Floats = np.clip(np.rint((units - 1) / 2), 0, self.s_end)
        return whole

    def _nearest_scales(
        self, x: Floats, w: Floats, d: Floats, s: Floats
    ) -> tuple[Floats, Indices]:
        """Choose the best among each s and its two neighbours, and its points."""
        steps = np.array([0, -1, 1], np.float32)[:, None, None]
        tried = np.clip(s + steps, 0, self.s_end)
        scales = d[:, None] * (2 * tried + 1)
        indices = self.nearest(x, w, scales)
        tries = zip(scales, indices, strict=True)
        errors = np.stack([self._errors(x, w, scale, one) for scale, one in tries])
        best = errors.argmin(axis=0)
        chosen = np.take_along_axis(indices, best[None, ..., None], axis=0)[0]
        return np.take_along_axis(tried, best[None], axis=0)[0], chosen

    def _errors(self, x: Floats, w: Floats, scale: Floats, index: Indices) -> Floats:
        off = scale[..., None] * self.coordinates(index) - x
        summed: Floats = (w * off * off).sum(axis=-1)
        return summed

    def _sums(self, x: Floats, w: Floats, index: Indices) -> tuple[Floats, Floats]:
        """Return the sums of w * p * x and w * p * p over each group."""
        p = self.coordinates(index)
        wp = w * p
        return (wp * x).sum(axis=2), (wp * p).sum(axis=2)


@dataclass(frozen=True, slots=True)
class HalvedCodebook(Codebook):
    """A codebook of which a group uses one half, the first or the second.

    Attributes
    ----------
    is_second : bool, (n_blocks, n_groups)
        Which half each group uses.
    """

    is_second: NDArray[np.bool_] = field(kw_only=True)

    @classmethod
    def chosen(cls, book: Codebook, x: Floats, w: Floats) -> HalvedCodebook:
        """Choose the half that each group is closer to."""
        fields = (book.points, book.group_size, book.s_end, book.steps, book.gain)
        gains = []
        for is_one in (False, True):
            half = cls(*fields, is_second=np.full(x.shape[:2], is_one))
            gains.append(half.first_scales(x, w)[1])
        return cls(*fields, is_second=gains[1] > gains[0])

    def nearest(self, x: Floats, w: Floats, scales: Floats) -> Indices:
        """Find the points nearest to weights, each in its group's half."""
        n = len(self.points) // 2
        n_of_group = self.group_size // self.points.shape[1]
        index = np.empty((*scales.shape, n_of_group), np.uint16)
        for first, groups in ((0, ~self.is_second), (n, self.is_second)):
            points = self.points[first : first + n]
            half = Codebook(points, self.group_size, self.s_end, self.steps)
            found = half.nearest(x[groups], w[groups], scales[:, groups])
            index[:, groups] = found + np.uint16(first)
        return index
