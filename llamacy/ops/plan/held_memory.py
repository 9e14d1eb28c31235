"""Bytes that a plan holds: its weights, and what its sequences keep of their texts."""

from __future__ import annotations

from collections.abc import Mapping

from llamacy.kernels.packing.matrices import MappedMatrix
from llamacy.ops.plan.packed_weights import Weight
from llamacy.ops.state.layout import StateLayout
from llamacy.ops.state.pages import PagePool


class HeldMemory:
    """The figures of a plan; `llamacy.ops.plan.pass_memory` has those of buffers."""

    _weights: Mapping[str, Weight]
    _layout: StateLayout
    _pool: PagePool

    @property
    def weight_bytes(self) -> int:
        """Size of the weights in memory, in bytes."""
        return sum(
            weight.nbytes
            for weight in self._weights.values()
            if not isinstance(weight, MappedMatrix)
        )

    @property
    def mapped_bytes(self) -> int:
        """Size of the weights that stay in the file, in bytes."""
        return sum(
            weight.nbytes
            for weight in self._weights.values()
            if isinstance(weight, MappedMatrix)
        )

    @property
    def page_bytes(self) -> int:
        """Bytes of a page: the keys and values of `PAGE` tokens, in all layers."""
        return self._pool.page_bytes

    @property
    def text_bytes(self) -> int:
        """Bytes of a text's states of a fixed size; 0 if no layer has any."""
        return self._layout.text_bytes

    @property
    def most_text_bytes(self) -> int:
        """Most bytes that these and their snapshots take."""
        return self._layout.most_text_bytes

    @property
    def kv_bytes_used(self) -> int:
        """Bytes of the pages and of the states that sequences hold."""
        return self._pool.bytes_used

    @property
    def n_pages_used(self) -> int:
        """Pages that sequences hold."""
        return self._pool.n_used

    @property
    def n_pages_free(self) -> int:
        """Pages that sequences gave back and can take again."""
        return self._pool.n_spare
