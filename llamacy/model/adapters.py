"""LoRA adapters for a model in memory: read, checked against it, and put together.

Several adapters of one matrix become one pair of low-rank matrices, their ranks side by
side, with all scales in it: its product `b @ a` is the sum of theirs. One that sets
magnitudes (DoRA) multiplies the rows of what those before it have made of the matrix,
and its own; the norms that it divides by are those of the model's matrix with its own
update alone, as in PEFT.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.architectures import find_architecture
from llamacy.architectures.tensors import Specs
from llamacy.arguments import checked_number, checked_path, short
from llamacy.config import ModelConfig
from llamacy.errors import ArgumentError, FormatError
from llamacy.formats.lora import (
    EMBEDDING,
    OUTPUT,
    LoraFile,
    Pair,
    Saved,
    is_of_experts,
)
from llamacy.formats.lora.gguf_adapter import read_gguf_adapter
from llamacy.formats.lora.peft import read_peft_adapter
from llamacy.ops.adapters import LowRank
from llamacy.printable import shown

Lora: TypeAlias = (
    "str | os.PathLike[str] | tuple[str | os.PathLike[str], float] | "
    "Sequence[str | os.PathLike[str] | tuple[str | os.PathLike[str], float]] | None"
)
"""A path, a path and a scale, several of these, or None."""

Shapes: TypeAlias = "Mapping[str, tuple[int, ...]]"
"""Shapes of a model's weights, by name."""

Rows: TypeAlias = "Callable[[str, int, int], NDArray[np.float32]]"
"""Rows of the model's matrix of a name: given the first, and how many."""

# The score of a shared expert: a vector in the model, a matrix of one row elsewhere.
_VECTOR: Final = "ffn_gate_inp_shexp.weight"
# Experts' gate and up, merged in one tensor; and each in one of its own.
_GATE_AND_UP: Final = "ffn_gate_up_exps.weight"
_APART: Final = ("ffn_gate_exps.weight", "ffn_up_exps.weight")

_N_FLOATS: Final = 1 << 24  # of a matrix that are unpacked at once
_MAX_SCALE = 1e6  # beyond any use, and far from overflowing a float32


class Adapter(NamedTuple):
    """An adapter in use.

    Attributes
    ----------
    path : str
        Its file or folder.
    scale : float
        How strongly it acts; 1.0 is as it was trained.
    """

    path: str
    scale: float


class AdapterSet(NamedTuple):
    """Adapters that are used together.

    Attributes
    ----------
    used : tuple of Adapter
        Their paths and scales.
    files : tuple of LoraFile
        Their contents.
    """

    used: tuple[Adapter, ...]
    files: tuple[LoraFile, ...]

    def fingerprint(self) -> str:
        """Return a digest of what the adapters add; an empty string for no adapters."""
        if not self.used:
            return ""
        digest = hashlib.blake2b(digest_size=16)
        for (_, scale), file in zip(self.used, self.files, strict=True):
            digest.update(f"{scale!r};".encode())
            for name, pair in file.pairs.items():
                head = f"{name}:{pair.scale!r}{pair.a.shape}{pair.b.shape};"
                digest.update(head.encode(errors="replace"))
                digest.update(pair.a.tobytes())
                digest.update(pair.b.tobytes())
                if pair.magnitude is not None:
                    digest.update(b"magnitude")
                    digest.update(pair.magnitude.tobytes())
            for name, saved in file.saved.items():
                head = f"{name}:{saved.type.name}{saved.shape};"
                digest.update(head.encode(errors="replace"))
                digest.update(saved.data.tobytes())
        return digest.hexdigest()


def read_adapters(lora: Lora, config: ModelConfig) -> AdapterSet:
    """Read the adapters that an argument `lora` names.

    Parameters
    ----------
    lora : Lora
        The argument.
    config : ModelConfig
        Hyperparameters of the model they are for.

    Raises
    ------
    ArgumentError
        An invalid path or scale.
    ModelFileError
        A file is missing, or cannot be read.
    FormatError
        A file is broken, is not an adapter, or is for another family.
    """
    used = tuple(_asked_for(lora))
    if not used:
        return AdapterSet((), ())
    architecture = find_architecture(config.architecture, used[0].path)
    config = architecture.complete(config, used[0].path)
    specs = architecture.tensors(config)
    files = [_read(Path(each.path), config) for each in used]
    return AdapterSet(used, tuple(_unstacked(file, specs) for file in files))


def _unstacked(file: LoraFile, specs: Specs) -> LoraFile:
    """Take pairs of matrices that hold several, such as Phi-3's, apart by rows."""
    pairs: dict[str, Pair] = {}
    for name, pair in file.pairs.items():
        spec = specs.get(name)
        parts = spec.parts if spec is not None else ()
        if spec is not None and parts:
            _check_shape(file, name, pair, spec.shape)
        elif name.endswith(_GATE_AND_UP) and not pair.b.shape[1] % 2:
            prefix, n_rows = name.removesuffix(_GATE_AND_UP), pair.b.shape[1] // 2
            parts = tuple((f"{prefix}{each}", n_rows) for each in _APART)
        first = 0
        for part, n_rows in parts:
            pairs[part] = _rows_of(pair, first, first + n_rows)
            first += n_rows
        if not parts:
            pairs[name] = pair
    return replace(file, pairs=pairs)


def _rows_of(pair: Pair, first: int, after: int) -> Pair:
    """Return the pair of some of a matrix's rows, or of each expert's."""
    magnitude = pair.magnitude
    return pair._replace(
        b=pair.b[..., first:after, :],
        magnitude=None if magnitude is None else magnitude[first:after],
    )


def _read(path: Path, config: ModelConfig) -> LoraFile:
    """Read a GGUF file, or a folder that PEFT wrote."""
    file = (
        read_peft_adapter(path, config)
        if os.path.isdir(path)
        else read_gguf_adapter(path)
    )
    if file.architecture != config.architecture:
        field, found = "general.architecture", shown(file.architecture)
        raise FormatError(path, field, f"{config.architecture}, the model's", found)
    return file


def low_ranks(
    adapters: AdapterSet, shapes: Shapes, rows: Rows
) -> dict[str, LowRank[NDArray[np.float32]]]:
    """Put adapters together for a model.

    Parameters
    ----------
    adapters : AdapterSet
        The adapters, and their scales.
    shapes : dict of str to tuple of int
        Shapes of all the model's weights, by name.
    rows : callable
        Returns rows of the model's matrices, whose norms DoRA needs.

    Returns
    -------
    dict of str to LowRank
        For each matrix that adapters change, ``down`` (rank, n_in) and ``up``
        (n_out, rank), with the scales in it, and factors of its rows.

    Raises
    ------
    FormatError
        An adapter is for a matrix that the model does not have, or that has another
        shape in the model; or it sets magnitudes of rows that are 0.
    """
    joined: dict[str, LowRank[NDArray[np.float32]]] = {}
    known = _with_output(shapes)
    for (_, scale), file in zip(adapters.used, adapters.files, strict=True):
        for name, pair in file.pairs.items():
            _check_shape(file, name, pair, known.get(name))
            if not scale:
                continue
            scaled = pair._replace(scale=scale * pair.scale)
            # a model without an output matrix reads its embedding backwards
            theirs = name if name in shapes else EMBEDDING
            n_rows = known[name][0] if len(known[name]) > 1 else 1
            one = _low_rank(file, name, scaled, partial(rows, theirs), n_rows)
            joined[name] = _joined(name, joined[name], one) if name in joined else one
    return joined


def saved_tensors(adapters: AdapterSet, shapes: Shapes) -> dict[str, Saved]:
    """Return the tensors that adapters put in the place of the model's.

    They are not scaled, but an adapter with a scale of 0 has none.

    Parameters
    ----------
    adapters : AdapterSet
        The adapters, and their scales.
    shapes : dict of str to tuple of int
        Shapes of all the model's weights, by name.

    Raises
    ------
    FormatError
        The model has no such tensor, or one of another shape; or two adapters have
        the same.
    """
    tensors: dict[str, Saved] = {}
    shapes = _with_output(shapes)
    for (_, scale), file in zip(adapters.used, adapters.files, strict=True):
        for name, saved in file.saved.items():
            shape = shapes.get(name)
            if saved.shape != shape:
                wanted = "no such tensor" if shape is None else f"{shape}, the model's"
                field = f"tensor {shown(name)}: shape"
                raise FormatError(file.path, field, wanted, saved.shape)
            if name in tensors and scale:
                wanted = "one adapter that replaces it"
                raise FormatError(file.path, f"tensor {name}", wanted, "another")
            if scale:
                tensors[name] = saved
    return tensors


def _with_output(shapes: Shapes) -> Shapes:
    """Add the shape of an output matrix, which a tied model may be given."""
    embedding = shapes.get(EMBEDDING)
    return shapes if embedding is None else {OUTPUT: embedding, **shapes}


def _low_rank(
    file: LoraFile,
    name: str,
    pair: Pair,
    rows: Callable[[int, int], NDArray[np.float32]],
    n_rows: int,
) -> LowRank[NDArray[np.float32]]:
    """Return one adapter's part in a matrix, with its scale and gain in `up`."""
    down, up = pair.a, pair.b * np.float32(pair.scale)
    if pair.magnitude is None:
        return LowRank(down, up)
    squares = np.zeros(len(pair.magnitude))
    n_piece = max(1, _N_FLOATS // len(rows(0, 1)[0]))
    for first in range(0, n_rows, n_piece):
        piece = slice(first, first + n_piece)
        matrix = rows(first, n_piece)
        if name == EMBEDDING:
            matrix = matrix + down[piece] @ up.T
            squares += np.einsum("ij,ij->j", matrix, matrix)
        else:
            matrix = matrix + up[piece] @ down
            squares[piece] = np.einsum("ij,ij->i", matrix, matrix)
    if not squares.all():
        field = f"tensor {name}.lora_magnitude_vector"
        wanted = "a matrix without rows of zeros"
        found = f"zeros in row {int(np.argmin(squares))}"
        raise FormatError(file.path, field, wanted, found)
    norms = np.sqrt(squares).astype(np.float32)
    gain = pair.magnitude / norms
    return LowRank(down, up * gain[:, None], gain)


def _joined(
    name: str,
    before: LowRank[NDArray[np.float32]],
    one: LowRank[NDArray[np.float32]],
) -> LowRank[NDArray[np.float32]]:
    """Join two adapters of a matrix, their ranks side by side.

    The gain of the second is a factor of all that the first has made.
    """
    axis = 1 if name == EMBEDDING or is_of_experts(name) else 0
    up, gain = before.up, before.gain
    if one.gain is not None:
        up = up * one.gain[:, None]
        gain = one.gain if gain is None else gain * one.gain
    down = np.concatenate([before.down, one.down], axis=axis)
    return LowRank(down, np.concatenate([up, one.up], axis=-1), gain)


def _check_shape(
    file: LoraFile, name: str, pair: Pair, shape: tuple[int, ...] | None
) -> None:
    """Check a pair's sizes against those of the model's matrix, or of its experts."""
    if shape is not None and len(shape) == 1 and name.endswith(_VECTOR):
        shape = (1, *shape)  # the one row of a matrix
    if shape is None or len(shape) != (3 if is_of_experts(name) else 2):
        wanted = "the name of one of the model's matrices"
        raise FormatError(file.path, f"tensor {shown(name)}.lora_a", wanted, "another")
    *n_expert, n_out, n_in = shape
    a, b = pair.a.shape, pair.b.shape
    if name == EMBEDDING:
        n_vocab, n_embd = shape
        sizes = [("a", n_vocab, a[0]), ("b", n_embd, b[0])]
    else:
        sizes = [("a", n_in, a[-1]), ("b", n_out, b[-2])]
    if n_expert:
        sizes.append(("a", n_expert[0], a[0]))
    for letter, size, found in sizes:
        if found != size:
            field = f"tensor {shown(name)}.lora_{letter}: shape"
            wanted = f"{size}, as the model's matrix"
            raise FormatError(file.path, field, wanted, found)
    if pair.magnitude is not None and pair.magnitude.shape != b[:1]:
        field = f"tensor {shown(name)}.lora_magnitude_vector: shape"
        raise FormatError(file.path, field, b[:1], pair.magnitude.shape)


def _asked_for(lora: Any) -> Iterable[Adapter]:
    """Yield the paths and scales of an argument."""
    if lora is None:
        return
    is_one = isinstance(lora, str | os.PathLike) or _is_scaled(lora)
    if not is_one and (not isinstance(lora, Sequence) or isinstance(lora, bytes)):
        raise ArgumentError(
            f"lora: wanted a path or a list of paths, found {short(lora)}"
        )
    for one in [lora] if is_one else lora:
        path, scale = one if _is_scaled(one) else (one, 1.0)
        path = os.path.expanduser(Path(checked_path("lora", path)))
        scale = checked_number("lora: scale", scale, -_MAX_SCALE, _MAX_SCALE)
        yield Adapter(path, scale)


def _is_scaled(one: Any) -> bool:
    """Whether `one` is a path and a scale, not two paths."""
    return (
        isinstance(one, tuple)
        and len(one) == 2
        and isinstance(one[1], Real)
        and not isinstance(one[1], bool)
    )
