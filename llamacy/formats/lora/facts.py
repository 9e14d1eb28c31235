"""Facts about an adapter's files, without a model that they are for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from llamacy.formats.gguf.header import TensorInfo
from llamacy.formats.json_text import read_json
from llamacy.formats.lora.invocation import GGUF_KEY, PEFT_KEY, checked_invocation
from llamacy.formats.lora.peft import CONFIG, WEIGHTS
from llamacy.formats.mapped_file import MappedFile
from llamacy.formats.model_file import ModelFile
from llamacy.formats.safetensors.file import read_header
from llamacy.printable import shown

_B: Final = ".lora_b"


@dataclass(frozen=True)
class AdapterFacts:
    """Facts about an adapter.

    Attributes
    ----------
    kind : str
        Its kind, such as ``"lora"``, as its file has it.
    ranks : tuple of int
        The ranks of its pairs, each once, ascending.
    base : str
        The family of the models it is for; of a folder, the name of its model. Empty
        if it is not known.
    invocation : tuple of int
        Tokens from which on it acts; empty for one that acts on all tokens.
    """

    kind: str
    ranks: tuple[int, ...]
    base: str
    invocation: tuple[int, ...]


@dataclass(frozen=True)
class PeftFolder:
    """A PEFT adapter's folder: its settings, and the headers of its tensors.

    Attributes
    ----------
    path : Path
        The folder.
    metadata : Mapping of str to object
        The settings.
    tensors : Mapping of str to TensorInfo
        Headers, by Hugging Face's names.
    format : str
        Name of the format.
    """

    path: Path
    metadata: Mapping[str, Any]
    tensors: Mapping[str, TensorInfo]
    format: str = "PEFT adapter"


def is_adapter(file: ModelFile) -> bool:
    """Say whether a GGUF file holds an adapter, not a model."""
    return file.metadata.get("general.type") == "adapter"


def gguf_facts(file: ModelFile) -> AdapterFacts:
    """Return the facts of a GGUF file that holds an adapter.

    Raises
    ------
    FormatError
        Its invocation tokens are not token ids.
    """
    ranks = {
        tensor.shape[-1]
        for name, tensor in file.tensors.items()
        if name.endswith(_B) and tensor.shape
    }
    return AdapterFacts(
        shown(file.metadata.get("adapter.type", "")),
        tuple(sorted(ranks)),
        shown(file.metadata.get("general.architecture", "")),
        checked_invocation(file.path, GGUF_KEY, file.metadata.get(GGUF_KEY)),
    )


def is_peft_folder(path: Path) -> bool:
    """Say whether a path is the folder of an adapter, and of no model."""
    return (path / CONFIG).is_file() and not (path / "config.json").exists()


@contextmanager
def open_peft_folder(path: Path) -> Iterator[PeftFolder]:
    """Open the folder of an adapter, to look at its headers.

    Raises
    ------
    ModelFileError
        A file is missing, or cannot be read.
    FormatError
        A file is broken.
    UnsupportedError
        A tensor's type is not known.
    """
    settings = read_json(path / CONFIG)
    file = MappedFile(path / WEIGHTS)
    try:
        infos = {info.name: info for info in read_header(file)}
        yield PeftFolder(path, dict(_shown_settings(settings.values)), infos)
    finally:
        file.close()


def _shown_settings(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the settings that have a value, objects in them as JSON."""
    for key, value in values.items():
        if value is not None:
            is_object = isinstance(value, dict)
            yield key, json.dumps(value, ensure_ascii=False) if is_object else value


def peft_facts(folder: PeftFolder) -> AdapterFacts:
    """Return the facts of an adapter's folder; its tensors tell the ranks.

    Raises
    ------
    FormatError
        Its invocation tokens are not token ids.
    """
    ranks = set()
    for name, tensor in folder.tensors.items():
        if ".lora_A" in name or ".lora_embedding_A" in name:
            ranks.add(tensor.shape[0])
    given = folder.metadata.get
    base = given("base_model_name_or_path")
    return AdapterFacts(
        shown(given("peft_type") or "").lower(),
        tuple(sorted(ranks)),
        shown(base) if isinstance(base, str) else "",
        checked_invocation(folder.path / CONFIG, PEFT_KEY, given(PEFT_KEY)),
    )
