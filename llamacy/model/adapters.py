"""LoRA adapters that are asked for: read, and checked against the model's family."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from llamacy.architectures import find_architecture
from llamacy.architectures.other_tensors import merged_in_file, stacked_in_file
from llamacy.architectures.tensors import Specs
from llamacy.arguments import checked_number, checked_path, short
from llamacy.config import ModelConfig
from llamacy.errors import ArgumentError, FormatError
from llamacy.formats.lora import LoraFile, Pair, check_fits
from llamacy.formats.lora.gguf_adapter import read_gguf_adapter
from llamacy.generation.reading import Reading
from llamacy.printable import shown
from llamacy.system.forks import importing

Lora: TypeAlias = (
    "str | os.PathLike[str] | tuple[str | os.PathLike[str], float] | "
    "Sequence[str | os.PathLike[str] | tuple[str | os.PathLike[str], float]] | None"
)
"""A path, a path and a scale, several of these, or None."""

# Experts' gate and up, merged in one tensor; and each in one of its own.
_GATE_AND_UP: Final = "ffn_gate_up_exps.weight"
_APART: Final = ("ffn_gate_exps.weight", "ffn_up_exps.weight")

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
            if file.invocation:
                digest.update(repr(file.invocation).encode())
        return digest.hexdigest()

    @property
    def invocation(self) -> tuple[int, ...]:
        """The tokens that invoke the one adapter; empty for adapters of all rows."""
        return self.files[0].invocation if len(self.files) == 1 else ()

    def reading(self) -> Reading:
        """Return how texts are read with them."""
        if self.invocation:
            return Reading("", self.fingerprint(), self.invocation)
        return Reading(self.fingerprint())


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
    for file in files:
        _check_invocation(file, config, len(files))
    return AdapterSet(used, tuple(_unstacked(file, specs) for file in files))


def _check_invocation(file: LoraFile, config: ModelConfig, n_files: int) -> None:
    """Check that an adapter that tokens invoke is alone, and that there are such."""
    if not file.invocation:
        return
    field = "invocation tokens"
    if not config.is_causal:
        wanted = "none for an encoder, which generates no texts"
        raise FormatError(file.path, field, wanted, len(file.invocation))
    if n_files > 1:
        wanted = "one adapter alone, if tokens invoke it"
        raise FormatError(file.path, field, wanted, f"one of {n_files}")
    if max(file.invocation) >= config.n_vocab:
        wanted = f"token ids from 0 to {config.n_vocab - 1}"
        raise FormatError(file.path, field, wanted, max(file.invocation))


def _unstacked(file: LoraFile, specs: Specs) -> LoraFile:
    """Take pairs of matrices that hold several, such as Phi-3's, apart by rows."""
    pairs: dict[str, Pair] = {}
    for name, pair in file.pairs.items():
        spec = merged_in_file(name, specs, pair.b.shape[-2]) or specs.get(name)
        spec = spec or stacked_in_file(name, specs)
        parts = spec.parts if spec is not None else ()
        if spec is not None and parts:
            check_fits(file, name, pair, spec.shape)
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
    if os.path.isdir(path):
        # imported late: it takes the families of Hugging Face's folders along
        with importing:
            from llamacy.formats.lora.peft import read_peft_adapter

        file = read_peft_adapter(path, config)
    else:
        file = read_gguf_adapter(path)
    if file.architecture != config.architecture:
        field, found = "general.architecture", shown(file.architecture)
        raise FormatError(path, field, f"{config.architecture}, the model's", found)
    return file


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
