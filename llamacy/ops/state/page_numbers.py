"""The numbers in pages: their type, and pages that were saved with another.

Pages of float16 and of bfloat16 hold the same keys and values in different orders:
llamacy/kernels/attention/kv_page.h has both. A machine chooses one, and a session
may come from another machine.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from llamacy.ops.state.layout import StateLayout, StateSlot
from llamacy.ops.state.specs import KeyValues

_PAGE: Final = 32
_HALF: Final = 16  # tokens whose keys are side by side
_NAN: Final = 0x7FC0
_UNIT: Final = 32  # dimensions: others would take more memory than float16
_CONVERTIBLE: Final = frozenset({"f16", "bf16"})


def fits_bf16(spec: KeyValues) -> bool:
    """Whether pages in bfloat16 can have these keys and values."""
    n_odd = spec.head_dim % _UNIT + spec.value_dim % _UNIT
    return not spec.is_latent and n_odd == 0


class PageNumbers:
    """The type of a model's pages.

    Parameters
    ----------
    layout : StateLayout
        Where in a page the layers' keys and values are.
    """

    def __init__(self, layout: StateLayout) -> None:
        self._layout = layout
        self._specs = [each for each in layout.specs if isinstance(each, KeyValues)]

    @property
    def page_type(self) -> str:
        """The type of numbers: the one that was asked for, or ``"bf16"``."""
        return self._layout.kv_type

    @property
    def readable(self) -> frozenset[str]:
        """Types of pages that `read` can make pages of its own from."""
        is_convertible = all(map(fits_bf16, self._specs))
        if is_convertible and self.page_type in _CONVERTIBLE:
            return _CONVERTIBLE
        return frozenset({self.page_type})

    @property
    def are_cleared(self) -> bool:
        """Whether a page must be all 0 before anything is written to it."""
        return self.page_type == "bf16"

    def read(self, data: bytes | memoryview, page_type: str) -> NDArray[np.uint8]:
        """Return a page that has numbers of another type, or the same, in its own.

        Bfloat16 has a value that is not finite as 0, and a key of NaN with it.

        Raises
        ------
        ValueError
            A number in bfloat16 is beyond float16.
        """
        page = np.frombuffer(data, np.uint8)
        if page_type == self.page_type:
            return page
        page = page.copy()
        for spec in self._specs:
            _convert(page, self._layout.slot(spec), spec, self.page_type)
        return page


def _convert(
    page: NDArray[np.uint8], slot: StateSlot, spec: KeyValues, page_type: str
) -> None:
    n_keys, n_values = _PAGE * spec.head_dim, _PAGE * spec.value_dim
    n_bytes = 2 * spec.n_head_kv * (n_keys + n_values)
    part = page[slot.offset : slot.offset + n_bytes].view(np.uint16)
    keys, values = np.split(part.reshape(spec.n_head_kv, -1), [n_keys], axis=1)
    if page_type == "bf16":
        turned = _to_bf16(keys, values, spec.head_dim, spec.value_dim)
    else:
        turned = _to_f16(keys, values, spec.head_dim, spec.value_dim)
    keys[:], values[:] = (each.reshape(spec.n_head_kv, -1) for each in turned)


def _to_bf16(
    keys: NDArray[np.uint16], values: NDArray[np.uint16], head_dim: int, value_dim: int
) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """From [half][dim][token] and [token][dim] to pairs."""
    tokens = _rounded(values).reshape(-1, _PAGE, value_dim)
    halves = _rounded(keys).reshape(-1, 2, head_dim, _HALF)
    lost = ((tokens & 0x7F80) == 0x7F80).any(axis=2)
    tokens[lost] = 0
    is_lost = np.broadcast_to(lost.reshape(-1, 2, 1, _HALF), halves.shape)
    halves[is_lost] = _NAN
    of_keys = halves.reshape(-1, 2, head_dim // 2, 2, _HALF).swapaxes(-1, -2)
    of_values = tokens.reshape(-1, _HALF, 2, value_dim // 16, 16)
    return of_keys, of_values.transpose(0, 3, 1, 4, 2)


def _to_f16(
    keys: NDArray[np.uint16], values: NDArray[np.uint16], head_dim: int, value_dim: int
) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    halves = _shortened(keys).reshape(-1, 2, head_dim // 2, _HALF, 2).swapaxes(-1, -2)
    tokens = _shortened(values).reshape(-1, value_dim // 16, _HALF, 16, 2)
    return halves, tokens.transpose(0, 2, 4, 1, 3)


def _rounded(halves: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Round float16 to bfloat16, to the nearest, ties to even; NaN stays NaN."""
    floats = halves.view(np.float16).astype(np.float32)
    bits = floats.view(np.uint32)
    rounded = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    rounded[np.isnan(floats)] = _NAN  # some would carry into the sign
    return rounded


def _shortened(halves: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Round bfloat16 to float16, which is exact within its range, and has no other."""
    floats = (halves.astype(np.uint32) << 16).view(np.float32)
    beyond = floats[np.isfinite(floats) & (np.abs(floats) > np.finfo(np.float16).max)]
    if len(beyond):
        raise ValueError(f"a key or a value that is beyond float16: {beyond[0]:g}")
    with np.errstate(over="ignore", under="ignore"):
        return floats.astype(np.float16).view(np.uint16)
