"""Tensors of Hugging Face's files as a GGUF file of the same model would have them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.cursor import shown
from llamacy.formats.ggml import GGMLType, dequantize
from llamacy.formats.gguf import Tensor
from llamacy.formats.hugging_face.config import Config
from llamacy.formats.hugging_face.families import IGNORED, OUTSIDE
from llamacy.formats.model_file import SAMPLE_BYTES, ModelTensor

_IN_LAYER: Final = re.compile(r"model\.layers\.(0|[1-9][0-9]{0,8})\.(.+)")
_NAME: Final = re.compile(r"(.+)\.(weight|bias)")

Array = NDArray[Any]


class Vector:
    """A vector under GGUF's name: float32, as vectors are in all GGUF files.

    The attributes are those of :class:`~llamacy.formats.gguf.Tensor`.

    Parameters
    ----------
    values : computes them: float32, (n,).
    """

    type = GGMLType.F32

    def __init__(self, name: str, n: int, values: Callable[[], Array]) -> None:
        self.name = name
        self.shape = (n,)
        self.n_bytes = n * self.type.type_size
        self._values = values

    @property
    def data(self) -> NDArray[np.uint8]:
        """The values' bytes: uint8, (n_bytes,), a fresh array."""
        return self.dequantize().view(np.uint8)

    def sample(self) -> bytes:
        """Return its first bytes, for a fingerprint."""
        return self.data[:SAMPLE_BYTES].tobytes()

    def dequantize(self) -> NDArray[np.float32]:
        """Return the values: float32, (n,)."""
        return np.ascontiguousarray(self._values(), np.float32)

    def release(self) -> None:
        """Do nothing: what is computed anew each time takes no memory."""


class Matrix:
    """A matrix under GGUF's name, its rows in GGUF's order; its type stays.

    The attributes are those of :class:`~llamacy.formats.gguf.Tensor`.

    Parameters
    ----------
    change : puts the rows in another order: (n_out, …) to the same shape.
    """

    def __init__(
        self, name: str, source: Tensor, change: Callable[[Array], Array] | None
    ) -> None:
        self.name = name
        self.type = source.type
        self.shape = source.shape
        self.n_bytes = source.n_bytes
        self._source = source
        self._change = change

    @property
    def data(self) -> NDArray[np.uint8]:
        """The values, row after row: uint8, (n_bytes,); a copy if the order changes.

        Raises
        ------
        ClosedError : the file was closed.
        """
        data = self._source.data
        if self._change is None:
            return data
        return self._change(data.reshape(self.shape[0], -1)).reshape(-1)

    def sample(self) -> bytes:
        """Return the file's first bytes of it, for a fingerprint."""
        return self._source.sample()

    def dequantize(self) -> NDArray[np.float32]:
        """Turn the values into float32 of `shape`, a fresh array.

        Raises
        ------
        ClosedError : the file was closed.
        """
        return dequantize(self.data, self.type, self.shape)

    def release(self) -> None:
        """Take the file's pages out of memory; they are read again when needed."""
        self._source.release()


def translate(
    tensors: Mapping[str, Tensor], config: Config, path: Path
) -> dict[str, ModelTensor]:
    """Give tensors their names and forms in GGUF files.

    Parameters
    ----------
    tensors : by their names in Hugging Face's files.
    path : what to name in errors.

    Returns
    -------
    By name, in the order in which a forward pass needs them. Whether all are of the
    right shape is checked where it is known.

    Raises
    ------
    FormatError : a tensor is missing, or one that is reordered has not the shape for
        it.
    UnsupportedError : a tensor that the family is not known to have.
    """
    made: dict[str, ModelTensor] = {}
    places: dict[str, tuple[int, int]] = {}
    for name, tensor in tensors.items():
        if name.endswith(IGNORED) or (config.is_tied and name == "lm_head.weight"):
            continue
        layer, part, suffix = _translated(name, config, path)
        ours = f"{part}.{suffix}" if layer is None else f"blk.{layer}.{part}.{suffix}"
        made[ours] = _tensor(ours, part, tensor, config, path)
        places[ours] = _place(layer, part, config)
    _check_complete(made, config, path)
    for name, values in config.rope_divisors.items():
        made[name] = Vector(name, len(values), partial(np.copy, values))
        places[name] = _place(None, "token_embd", config)
    return {name: made[name] for name in sorted(made, key=lambda name: places[name])}


def _check_complete(
    made: Mapping[str, ModelTensor], config: Config, path: Path
) -> None:
    """Look for what each model of the family has, and config.json says of this one."""
    for theirs, ours in OUTSIDE.items():
        if f"{ours}.weight" not in made and not (ours == "output" and config.is_tied):
            wanted = "a tensor that the family has"
            if ours == "output":
                wanted += ", as tie_word_embeddings is not true"
            raise FormatError(path, f"tensor {theirs}.weight", wanted, "none")
    for layer, (theirs, ours) in product(
        range(config.sizes.n_layer), config.family.layer.items()
    ):
        suffixes = ["weight", "bias"] if ours in config.biased else ["weight"]
        for suffix in suffixes:
            if f"blk.{layer}.{ours}.{suffix}" not in made:
                field = f"tensor model.layers.{layer}.{theirs}.{suffix}"
                wanted = "a tensor that config.json or the family has"
                raise FormatError(path, field, wanted, "none")


def _translated(name: str, config: Config, path: Path) -> tuple[int | None, str, str]:
    """Find a tensor's layer, part and suffix in GGUF: ``(3, "attn_q", "weight")``."""
    in_layer = _IN_LAYER.fullmatch(name)
    known = config.family.layer if in_layer else OUTSIDE
    biased = config.family.biased
    match = _NAME.fullmatch(in_layer[2] if in_layer else name)
    part = known.get(match[1]) if match else None
    if not match or not part or (match[2] == "bias" and part not in biased):
        wanted = f"one that the family {config.family.architecture} has"
        raise UnsupportedError(path, "tensor", wanted, shown(name))
    layer = int(in_layer[1]) if in_layer else None
    if layer is not None and layer >= config.sizes.n_layer:
        wanted = f"a layer below {config.sizes.n_layer}, as in num_hidden_layers"
        raise FormatError(path, "tensor", wanted, shown(name))
    return layer, part, match[2]


def _place(layer: int | None, part: str, config: Config) -> tuple[int, int]:
    """Where a tensor comes in a forward pass: embeddings, layers, output."""
    if layer is not None:
        return layer, list(config.family.layer.values()).index(part)
    return -1 if part == "token_embd" else config.sizes.n_layer, part == "output"


def _tensor(
    name: str, part: str, source: Tensor, config: Config, path: Path
) -> ModelTensor:
    """Make the tensor called `name` of one in Hugging Face's files."""
    n_dims = len(source.shape)
    if not 1 <= n_dims <= 2:
        wanted = "a vector or a matrix"
        raise FormatError(path, f"tensor {shown(source.name)}", wanted, source.shape)
    reorder = None
    heads = {"attn_q": config.sizes.n_head, "attn_k": config.sizes.n_head_kv}
    if config.family.is_interleaved and part in heads:
        n_rows = heads[part] * config.sizes.head_dim
        if source.shape[0] != n_rows:
            field = f"tensor {shown(source.name)}: shape"
            raise FormatError(path, field, f"{n_rows} rows", source.shape)
        reorder = partial(interleaved, n_head=heads[part])
    if n_dims == 2:
        return Matrix(name, source, reorder)
    offset = config.family.norm_offset if part.endswith("_norm") else 0.0

    def values() -> NDArray[np.float32]:
        floats: NDArray[np.float32] = source.dequantize()
        floats = reorder(floats) if reorder is not None else floats
        return floats + np.float32(offset) if offset else floats

    return Vector(name, source.shape[0], values)


def interleaved(rows: Array, n_head: int) -> Array:
    """Put side by side what a rotation turns together.

    Hugging Face's LLaMA turns dimension i of a head with i + head_dim / 2, ggml's with
    i + 1. rows : (n_head * head_dim, …).
    """
    pairs = rows.reshape(n_head, 2, -1, *rows.shape[1:])
    return pairs.swapaxes(1, 2).reshape(rows.shape)
