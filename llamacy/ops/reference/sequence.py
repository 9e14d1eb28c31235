"""The state of a sequence in the reference executor."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.ops.state.sequence import NEVER
from llamacy.ops.state.snapshots import Snapshots
from llamacy.ops.state.specs import Recurrence

Array = NDArray[np.float32]

_States: TypeAlias = "dict[tuple[str, int], Array]"
"""Columns and matrices, by which of them it is and by the number of the layer."""

_MOST_SNAPSHOTS = 32


class ReferenceSequence:
    """The state of one sequence: a few arrays for each layer, never changed in place.

    A row of keys and values is there for each token. Of columns and matrices there are
    those after the last token, and after earlier ones as snapshots of them were taken.

    Attributes
    ----------
    n_past : int
        Tokens read.
    n_long, adapted_from : int
        See `llamacy.ops.state.sequence.SequenceState`.
    keys, values : dict of int to float32 arrays
        By layer: (n_past, n_head_kv, head_dim) and (n_past, n_head_kv, value_dim).
    """

    def __init__(self) -> None:
        self.n_past = 0
        self.n_long = 0
        self.adapted_from = NEVER
        self.keys: dict[int, Array] = {}
        self.values: dict[int, Array] = {}
        self._states: _States = {}
        self._snapshots: Snapshots[_States] = Snapshots(_MOST_SNAPSHOTS)
        self._written: _States = {}  # by the pass that runs
        self._due: dict[int, _States] = {}  # snapshots that it comes by

    def columns(self, spec: Recurrence) -> Array:
        """Return the inputs that a convolution keeps: (n_columns, n_channels)."""
        return self._state("columns", spec, (spec.n_columns, spec.n_channels))

    def keep_columns(self, spec: Recurrence, n_tokens: int, columns: Array) -> None:
        """Keep these after the first `n_tokens` tokens."""
        self._keep(("columns", spec.layer), n_tokens, columns)

    def matrices(self, spec: Recurrence) -> Array:
        """Return the matrices of a scan: (n_head, key_dim, value_dim)."""
        shape = spec.n_head, spec.key_dim, spec.value_dim
        return self._state("matrices", spec, shape)

    def keep_matrices(self, spec: Recurrence, n_tokens: int, matrices: Array) -> None:
        """Keep these after the first `n_tokens` tokens."""
        self._keep(("matrices", spec.layer), n_tokens, matrices)

    def begin(self) -> None:
        """Begin a pass: forget what one that was broken off has written."""
        self._written, self._due = {}, {}

    def advance(self, n_tokens: int) -> None:
        """Count `n_tokens` as read by a pass, with the states that it has written."""
        self.n_past += n_tokens
        self._states = self._states | self._written
        for length, states in sorted(self._due.items()):
            self._snapshots.keep(length, states)
        self.begin()

    @property
    def memory(self) -> Mapping[Hashable, int]:
        """Bytes of its arrays, by their addresses."""
        snapshots = self._snapshots.by_length.values()
        groups: tuple[Mapping[Any, Array], ...]
        groups = (self.keys, self.values, self._states, *snapshots)
        arrays = [array for group in groups for array in group.values()]
        return {id(array): array.nbytes for array in arrays}

    def fork(self) -> ReferenceSequence:
        """Return a sequence with the same tokens; arrays are never changed in place."""
        twin = ReferenceSequence()
        twin.n_past, twin.n_long = self.n_past, self.n_long
        twin.adapted_from = self.adapted_from
        twin.keys, twin.values = dict(self.keys), dict(self.values)
        twin._states = self._states
        for length, states in self._snapshots.by_length.items():
            twin._snapshots.keep(length, states)
        return twin

    def mark(self, lengths: Iterable[int]) -> None:
        """Keep a snapshot of the states at these lengths, that of now or later ones."""
        if self.n_past in (lengths := set(lengths)) and self._states:
            self._snapshots.keep(self.n_past, self._states)
        self._snapshots.mark(length for length in lengths if length > self.n_past)

    def try_rows(self, n_rows: int) -> None:
        """Let the next pass, of that many rows, be taken back to any of them."""
        self.mark(range(self.n_past + 1, self.n_past + 1 + n_rows))

    def thin(self) -> bool:
        """Let the oldest snapshot go, if it is not the last; whether there was one."""
        if len(self._snapshots.by_length) < 2:
            return False
        self._snapshots.pop_oldest()
        return True

    def can_go_back(self, n: int) -> bool:
        """Whether `n` is among its tokens: it keeps even those that windows hide."""
        return self.nearest(n) == n

    def nearest(self, n: int) -> int:
        """Return the most tokens, up to `n`, that it can go back to; 0 if to none."""
        if n >= self.n_past or not self._states:
            return min(n, self.n_past)
        return self._snapshots.nearest(n)

    def truncate(self, n: int) -> None:
        """Forget all but the first `n` tokens, or what is `nearest` to them."""
        n = self.nearest(n)
        if n < self.n_past:
            self._states = self._snapshots.by_length.get(n, self._states if n else {})
            self._snapshots.cut(n)
            self.n_past = n

    def close(self) -> None:
        """Drop the arrays."""
        self.truncate(0)
        self.keys.clear()
        self.values.clear()

    def _state(self, kind: str, spec: Recurrence, shape: tuple[int, ...]) -> Array:
        key = kind, spec.layer
        states = self._written if key in self._written else self._states
        return states.get(key, np.zeros(shape, np.float32))

    def _keep(self, key: tuple[str, int], n_tokens: int, array: Array) -> None:
        """Write the state of a layer in this pass, after the first `n_tokens`.

        Layers are computed one after the other, each through all of its rows.
        """
        self._written[key] = array
        if self._snapshots.is_due(n_tokens):
            self._due.setdefault(n_tokens, {})[key] = array
