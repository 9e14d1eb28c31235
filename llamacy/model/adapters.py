"""LoRA adapters for a model in memory: read, checked against it, and put together.

Several adapters of one matrix become one pair of low-rank matrices, their ranks side by
side, with all scales in it: its product `b @ a` is the sum of theirs.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.architectures import find_architecture
from llamacy.architectures.other_tensors import merged_in_file, stacked_in_file
from llamacy.architectures.tensors import Specs
from llamacy.arguments import checked_number, checked_path, short
from llamacy.config import ModelConfig
from llamacy.errors import ArgumentError, FormatError
from llamacy.formats.lora import EMBEDDING, OUTPUT, LoraFile, Pair, Saved
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
    specs = architecture.tensors(architecture.complete(config, used[0].path))
    files = [_read(Path(each.path), config) for each in used]
    return AdapterSet(used, tuple(_unstacked(file, specs) for file in files))


def _unstacked(file: LoraFile, specs: Specs) -> LoraFile:
    """Take pairs of matrices that hold several, such as Phi-3's, apart by rows."""
    pairs: dict[str, Pair] = {}
    for name, pair in file.pairs.items():
        spec = merged_in_file(name, specs, len(pair.b)) or specs.get(name)
        spec = spec or stacked_in_file(name, specs)
        if spec is None or not spec.parts:
            pairs[name] = pair
            continue
        _check_shape(file, name, pair, spec.shape)
        first = 0
        for part, n_rows in spec.parts:
            pairs[part] = pair._replace(b=pair.b[first : first + n_rows])
            first += n_rows
    return replace(file, pairs=pairs)


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
    adapters: AdapterSet, shapes: Shapes
) -> dict[str, LowRank[NDArray[np.float32]]]:
    """Put adapters together for a model.

    Parameters
    ----------
    adapters : AdapterSet
        The adapters, and their scales.
    shapes : dict of str to tuple of int
        Shapes of all the model's weights, by name.

    Returns
    -------
    dict of str to LowRank
        For each matrix that adapters change, ``down`` (rank, n_in) and ``up``
        (n_out, rank), with the scales in it.

    Raises
    ------
    FormatError
        An adapter is for a matrix that the model does not have, or that has another
        shape in the model.
    """
    pairs: dict[str, list[Pair]] = {}
    shapes = _with_output(shapes)
    for (_, scale), file in zip(adapters.used, adapters.files, strict=True):
        for name, pair in file.pairs.items():
            _check_shape(file, name, pair, shapes.get(name))
            if scale:
                scaled = pair._replace(scale=scale * pair.scale)
                pairs.setdefault(name, []).append(scaled)
    return {name: _joined(name, each) for name, each in pairs.items()}


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


def _joined(name: str, pairs: list[Pair]) -> LowRank[NDArray[np.float32]]:
    """Join the pairs of one matrix, their ranks side by side."""
    axis = 1 if name == EMBEDDING else 0
    down = np.concatenate([pair.a for pair in pairs], axis=axis)
    up = np.concatenate([pair.b * np.float32(pair.scale) for pair in pairs], axis=1)
    return LowRank(down, up)


def _check_shape(
    file: LoraFile, name: str, pair: Pair, shape: tuple[int, ...] | None
) -> None:
    if shape is None or len(shape) != 2:
        wanted = "the name of one of the model's matrices"
        raise FormatError(file.path, f"tensor {shown(name)}.lora_a", wanted, "another")
    n_out, n_in = shape
    if name == EMBEDDING:
        n_vocab, n_embd = shape
        found = (pair.a.shape[0], pair.b.shape[0])
        sizes = (n_vocab, n_embd)
    else:
        found = (pair.a.shape[1], pair.b.shape[0])
        sizes = (n_in, n_out)
    for letter, one, size in zip("ab", found, sizes, strict=True):
        if one != size:
            field = f"tensor {shown(name)}.lora_{letter}: shape"
            raise FormatError(file.path, field, f"{size}, as the model's matrix", one)


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
