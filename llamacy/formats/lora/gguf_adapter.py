"""LoRA adapters in GGUF files.

`general.type` is `"adapter"` and `adapter.type` is `"lora"`. The tensors are named
after the matrices, with `.lora_a` and `.lora_b` appended. Source:
`convert_lora_to_gguf.py` and `llama-adapter.cpp` of llama.cpp.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.gguf.file import GGUFFile, open_gguf
from llamacy.formats.lora import LoraFile, Pair, check_pair
from llamacy.formats.lora.invocation import GGUF_KEY, checked_invocation
from llamacy.printable import shown

_A, _B = ".lora_a", ".lora_b"
_ALPHA: Final = "adapter.lora.alpha"
_KEYS: Final = (
    *("adapter.type", _ALPHA, GGUF_KEY),
    # for people: no program acts on them
    *("adapter.lora.task_name", "adapter.lora.prompt_prefix"),
)
_MAX_ALPHA: Final = 1e9


def read_gguf_adapter(path: str | os.PathLike[str]) -> LoraFile:
    """Read an adapter.

    Raises
    ------
    ModelFileError
        The file cannot be read.
    FormatError
        The file is not GGUF, not an adapter, or broken.
    UnsupportedError
        The adapter is not LoRA, has keys that are not known, or changes more than
        matrices.
    """
    with open_gguf(path) as file:
        architecture = _text(file, "general.architecture")
        kind = _text(file, "general.type")
        if kind != "adapter":
            raise FormatError(path, "general.type", "adapter", shown(kind))
        kind = _text(file, "adapter.type")
        if kind != "lora":
            raise UnsupportedError(path, "adapter.type", "lora", shown(kind))
        _check_keys(file)
        invocation = checked_invocation(path, GGUF_KEY, file.metadata.get(GGUF_KEY))
        alpha = _alpha(file)
        pairs = {name: _pair(file, name, alpha) for name in _names(file)}
        return LoraFile(Path(path), architecture, pairs, invocation=invocation)


def _check_keys(file: GGUFFile) -> None:
    """Refuse keys about the adapter that may change what it computes."""
    for key in file.metadata:
        if key.startswith("adapter.") and key not in _KEYS:
            raise UnsupportedError(file.path, shown(key), "no such key", "one")


def _names(file: GGUFFile) -> list[str]:
    """List the matrices that have a pair."""
    names: dict[str, set[str]] = {}
    for name in file.tensors:
        base, ending = name[: -len(_A)], name[-len(_A) :]
        if ending not in (_A, _B) or not base:
            wanted = f"a name that ends in {_A} or {_B}"
            raise UnsupportedError(
                file.path, f"tensor {shown(name)}", wanted, "another"
            )
        names.setdefault(base, set()).add(ending)
    for base, endings in names.items():
        if len(endings) < 2:
            missing = ({_A, _B} - endings).pop()
            field = f"tensor {shown(base + missing)}"
            raise FormatError(file.path, field, "one", "no such tensor")
    if not names:
        raise FormatError(file.path, "tensors", "at least one pair", "none")
    return list(names)


def _pair(file: GGUFFile, name: str, alpha: float) -> Pair:
    tensors = [file.tensors[name + _A], file.tensors[name + _B]]
    a, b = (tensor.dequantize() for tensor in tensors)
    rank = check_pair(file.path, name, a, b)
    # without alpha the product is not scaled, as in llama.cpp
    return Pair(a, b, alpha / rank if alpha else 1.0)


def _alpha(file: GGUFFile) -> float:
    key = _ALPHA
    found = file.metadata.get(key, 0.0)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise FormatError(file.path, key, "a number", shown(found))
    if not 0 <= found <= _MAX_ALPHA:
        raise FormatError(file.path, key, f"0 to {_MAX_ALPHA:g}", shown(found))
    return float(found)


def _text(file: GGUFFile, key: str) -> str:
    found: Any = file.metadata.get(key, "none")
    if not isinstance(found, str):
        raise FormatError(file.path, key, "a string", shown(found))
    return found
