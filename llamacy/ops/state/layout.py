"""Where the states of all layers are: one layer's after another's.

A page holds a fixed number of consecutive tokens for all layers. Layers may differ in
heads and in dimensions, so each begins where the layers before it end. States of a
fixed size are likewise side by side, in one block for each text.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, TypeAlias

from llamacy.ops.state.specs import ALIGNMENT, StateSpec, aligned
from llamacy.ops.state.windows import most_pages

_SNAPSHOT_BYTES: Final = 256 * 2**20
_LEAST_SNAPSHOTS: Final = 2
_MOST_SNAPSHOTS: Final = 32

MOST_CHECKED: Final = 16
"""Most rows of growing texts in a pass that checks drafted tokens."""

TRIED_BYTES: Final = 256 * 2**20
"""Most memory for the states after drafted rows, until some are kept."""

_Key: TypeAlias = tuple[int, type[StateSpec]]


@dataclass(frozen=True, slots=True)
class StateSlot:
    """One layer's part of every page, or of every text's block.

    It stands for what steps read and write.

    Attributes
    ----------
    spec : StateSpec
        The state that the layer keeps.
    kv_type : str
        Type of keys and values.
    offset : int
        Bytes from the start of a page, or of a block.
    """

    spec: StateSpec
    kv_type: str
    offset: int

    @property
    def memory(self) -> Hashable:
        """Tells its memory from that of other slots, some of which may share it."""
        return type(self.spec), self.offset

    def __str__(self) -> str:
        return f"state{self.spec.layer}"


class StateLayout:
    """The states of all layers of a model, side by side in pages and in blocks.

    Parameters
    ----------
    specs : iterable of StateSpec
        Of all layers that keep anything, in any order. A layer may keep states of
        several kinds; those of one kind are alike.
    kv_type : str
        ``"f32"``, ``"f16"``, ``"bf16"`` or ``"q8_0"``: the type of keys and values.
    brief : collection of StateSpec
        States in pages that nothing reads once a pass is beyond their layer: they have
        one place in all layers.

    Attributes
    ----------
    specs : tuple of StateSpec
        By layer.
    kv_type : str
        As given.
    page_bytes : int
        Bytes of a page, all layers together; a line where none keeps any tokens, so
        that every text has pages to count its tokens by.
    text_bytes : int
        Bytes of a text's block of states that do not grow with it; 0 without such.
    """

    def __init__(
        self,
        specs: Iterable[StateSpec],
        kv_type: str,
        brief: Collection[StateSpec] = (),
    ) -> None:
        by_layer: dict[_Key, StateSpec] = {}
        for spec in specs:
            if by_layer.setdefault(_key(spec), spec) != spec:
                found = f"{by_layer[_key(spec)]} and {spec}"
                raise ValueError(f"specs: wanted one of layer {spec.layer}, {found=}")
        self.specs = tuple(sorted(by_layer.values(), key=lambda spec: spec.layer))
        self.kv_type = kv_type
        self._slots: dict[_Key, StateSlot] = {}
        of_pages = {spec: spec.page_bytes(kv_type) for spec in self.specs}
        first = max((aligned(of_pages.pop(spec)) for spec in set(brief)), default=0)
        for spec in brief:
            self._slots[_key(spec)] = StateSlot(spec, kv_type, 0)
        self.page_bytes = max(self._place(of_pages, first), ALIGNMENT)
        self.text_bytes = self._place({spec: spec.text_bytes for spec in self.specs})

    def slot(self, spec: StateSpec) -> StateSlot:
        """Return where the state of this layer and kind is."""
        return self._slots[_key(spec)]

    def beside(self, specs: Iterable[StateSpec]) -> StateLayout:
        """Return the layout of some of its states, with blocks of these alone.

        In pages they are where they are here.
        """
        other = StateLayout(specs, self.kv_type)
        for spec in other.specs:
            if spec.page_bytes(self.kv_type):
                other._slots[_key(spec)] = self.slot(spec)
        other.page_bytes = self.page_bytes
        return other

    @property
    def window(self) -> int | None:
        """Tokens that the widest window of all layers sees; None if one sees all.

        A layer that keeps no tokens has no say: its pages are of other layers.
        """
        windows = [s.window for s in self.specs if s.page_bytes(self.kv_type)]
        seen = [window for window in windows if window is not None]
        return max(seen) if seen and len(seen) == len(windows) else None

    @property
    def n_snapshots(self) -> int:
        """Most snapshots of states that a text keeps: as many as memory is meant for.

        One is as large as the block.
        """
        if not self.text_bytes:
            return 0
        n_fitting = _SNAPSHOT_BYTES // self.text_bytes
        return min(max(n_fitting, _LEAST_SNAPSHOTS), _MOST_SNAPSHOTS)

    @property
    def most_text_bytes(self) -> int:
        """Most bytes that a text's states and their snapshots take."""
        return (1 + self.n_snapshots) * self.text_bytes

    @property
    def n_tried(self) -> int:
        """Most drafted rows of a pass, which leave their states; 0 without states."""
        if not self.text_bytes:
            return 0
        return min(MOST_CHECKED - 1, TRIED_BYTES // self.text_bytes)

    def most_bytes(self, n_tokens: int, n_batch: int) -> int:
        """Count the bytes that a text holds at most until it has `n_tokens`.

        Parameters
        ----------
        n_tokens : int
            Tokens of the text.
        n_batch : int
            Most rows of a pass.
        """
        from llamacy.ops.state.kv_pages import PAGE

        n_pages = most_pages(n_tokens, PAGE, self.window, n_batch)
        return n_pages * self.page_bytes + self.most_text_bytes

    def _place(self, sizes: Mapping[StateSpec, int], first: int = 0) -> int:
        """Put states of these sizes one after the other; return where they end."""
        placed = {spec: aligned(size) for spec, size in sizes.items() if size}
        *offsets, end = accumulate(placed.values(), initial=first)
        for spec, offset in zip(placed, offsets, strict=True):
            self._slots[_key(spec)] = StateSlot(spec, self.kv_type, offset)
        return end


def _key(spec: StateSpec) -> _Key:
    return spec.layer, type(spec)
