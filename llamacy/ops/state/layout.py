"""Where the states of all layers are: in pages, one layer's after another's.

A page holds a fixed number of consecutive tokens for all layers. Layers may differ in
heads and in dimensions, so each begins where the layers before it end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from llamacy.ops.state.specs import StateSpec
from llamacy.ops.state.windows import most_pages

ALIGNMENT: Final = 64
"""Bytes: a cache line, and the widest vector. Pages and layers begin at multiples."""


@dataclass(frozen=True, slots=True)
class StateSlot:
    """One layer's part of every page; what steps read and write of it.

    Attributes
    ----------
    spec : StateSpec
        What the layer keeps.
    kv_type : str
        Type of keys and values.
    offset : int
        Bytes from the start of a page.
    """

    spec: StateSpec
    kv_type: str
    offset: int

    def __str__(self) -> str:
        return f"state{self.spec.layer}"


class StateLayout:
    """The states of all layers of a model, side by side in a page.

    Parameters
    ----------
    specs : iterable of StateSpec
        Of all layers that keep anything, in any order; those of one layer are alike.
    kv_type : str
        ``"f32"``, ``"f16"`` or ``"q8_0"``: the type of keys and values.

    Attributes
    ----------
    specs : tuple of StateSpec
        By layer.
    kv_type : str
        As given.
    slots : dict of StateSlot
        Where each layer's state is, by the number of the layer.
    page_bytes : int
        Bytes of a page, all layers together.
    """

    def __init__(self, specs: Iterable[StateSpec], kv_type: str) -> None:
        by_layer: dict[int, StateSpec] = {}
        for spec in specs:
            if by_layer.setdefault(spec.layer, spec) != spec:
                found = f"{by_layer[spec.layer]} and {spec}"
                raise ValueError(f"specs: wanted one of layer {spec.layer}, {found=}")
        self.specs = tuple(by_layer[layer] for layer in sorted(by_layer))
        self.kv_type = kv_type
        sizes = [_aligned(spec.page_bytes(kv_type)) for spec in self.specs]
        *offsets, self.page_bytes = accumulate(sizes, initial=0)
        self.slots = {
            spec.layer: StateSlot(spec, kv_type, offset)
            for spec, offset in zip(self.specs, offsets, strict=True)
        }

    @property
    def window(self) -> int | None:
        """Tokens that the widest window of all layers sees; None if one sees all.

        A layer that keeps no tokens has no say: its pages are of other layers.
        """
        windows = [s.window for s in self.specs if s.page_bytes(self.kv_type)]
        seen = [window for window in windows if window is not None]
        return max(seen) if seen and len(seen) == len(windows) else None

    @property
    def text_bytes(self) -> int:
        """Bytes of a text that do not grow with it."""
        return sum(spec.text_bytes for spec in self.specs)

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
        return n_pages * self.page_bytes + self.text_bytes


def _aligned(n_bytes: int) -> int:
    return -(-n_bytes // ALIGNMENT) * ALIGNMENT
