"""From documents to the files that llamacy reads."""

from __future__ import annotations

import atexit
import json
import math
import os
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .documents import text_of

PLACE = "FUZZ_SCRATCH"  # environment; libFuzzer ends without cleaning up
MOST = 1 << 20  # bytes of weights, which are zeros and cost no memory
_SIZES = {"F64": 8, "I64": 8, "F32": 4, "F16": 2, "BF16": 2}
# GGUF's value types, with struct's letter for each
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B"}
_SCALARS |= {10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


def memory() -> Path | None:
    """Return a folder in memory, where the system has one."""
    place = Path("/dev/shm")
    return place if place.is_dir() else None


def scratch() -> Path:
    """Return a new folder: in the one that PLACE names, or else in memory."""
    place = os.environ.get(PLACE) or memory()
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=place))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def write_folder(folder: Path, document: dict[str, Any]) -> None:
    """Write JSON files by their names, and `tensors`, if there are any.

    `tensors` are `{name: [dtype, shape]}`, for the header of `weights`.
    """
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, value in document.items():
        if name == "weights":
            continue
        if name == "tensors":
            weights = document.get("weights")
            is_name = isinstance(weights, str) and _is_plain(weights)
            path = folder / (str(weights) if is_name else "model.safetensors")
            write_safetensors(path, value)
        elif _is_plain(name):
            (folder / name).write_bytes(text_of(value))


def write_safetensors(path: Path, tensors: Any) -> None:
    """Write a file whose header has `tensors`: names, types and shapes.

    Offsets are computed; a tensor with a third item has its own.
    """
    header: Any = tensors
    at = 0
    if isinstance(tensors, dict):
        header = {}
        for name, entry in tensors.items():
            header[name] = entry
            if isinstance(entry, list) and len(entry) >= 2:
                size = _product(entry[1]) * _SIZES.get(str(entry[0]), 1)
                offsets = entry[2] if len(entry) > 2 else [at, at + size]
                header[name] = {"dtype": entry[0], "shape": entry[1]}
                header[name]["data_offsets"] = offsets
                at += size
    text = text_of(header if not isinstance(header, str) else json.dumps(header))
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + min(at, MOST))


def character_map() -> bytes:
    """Return a map that replaces a by x: 256 units, of which three are in use."""
    units = [0] * 256
    place = 1 ^ ord("a")
    units[0] = 1 << 10
    units[place] = ord("a") | 1 << 8 | (place ^ 2) << 10
    units[2] = 1 << 31
    return struct.pack("<257I", 4 * len(units), *units) + b"x\0"


def write_gguf(path: Path, document: dict[str, Any]) -> None:
    """Write keys `[name, type, value]` and tensors `[name, sizes, type, offset]`.

    Arrays are of type 9 and have the type of their items in a fourth place. Numbers
    that do not fit are written modulo their range.
    """
    keys = [each for each in _list(document.get("keys")) if len(_list(each)) >= 3]
    tensors = [each for each in _list(document.get("tensors")) if len(_list(each)) >= 4]
    counts = document.get("counts") or [len(tensors), len(keys)]
    data = b"GGUF" + _number("I", document.get("version", 3))
    data += b"".join(_number("Q", each) for each in (*_list(counts), 0, 0)[:2])
    for name, kind, value, *item in keys:
        data += _string(name) + _number("I", kind) + _value(kind, value, item)
    for name, sizes, kind, offset, *_ in tensors:
        data += _string(name) + _number("I", len(_list(sizes)))
        data += b"".join(_number("Q", each) for each in _list(sizes))
        data += _number("I", kind) + _number("Q", offset)
    size = document.get("data", 0)
    with path.open("wb") as file:
        file.write(data + bytes(-len(data) % 32))
        file.truncate(file.tell() + (min(abs(size), MOST) if _is_whole(size) else 0))


def write_session(path: Path, document: dict[str, Any]) -> None:
    """Write `header` as JSON, `tokens` as int32 and `parts` by their sizes."""
    with zipfile.ZipFile(path, "w") as archive:
        if "header" in document:
            archive.writestr("header.json", text_of(document["header"]))
        if "tokens" in document:
            tokens = document["tokens"]
            numbers = b"".join(_number("i", each) for each in _list(tokens))
            archive.writestr("tokens", numbers if isinstance(tokens, list) else b"abc")
        parts = document.get("parts")
        for name, size in parts.items() if isinstance(parts, dict) else ():
            n = min(abs(size), MOST) if _is_whole(size) else 1
            plain = ascii(name)[1:-1][:200] or "a"
            if plain not in archive.namelist():  # zipfile warns
                archive.writestr(plain, bytes(n))


def _is_plain(name: str) -> bool:
    """Whether a string is the name of a file, on every system."""
    safe = set("abcdefghijklmnopqrstuvwxyz0123456789_-.")
    return set(name) <= safe and 0 < len(name) < 100 and name.strip(".") != ""


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _product(shape: object) -> int:
    sizes: list[int] = [each for each in _list(shape) if _is_whole(each)]
    return min(abs(math.prod(sizes)), 1 << 40)


def _number(letter: str, value: Any) -> bytes:
    size = struct.calcsize("<" + letter)
    if letter in "fd":
        try:
            return bytes(struct.pack("<" + letter, value))
        except (struct.error, OverflowError):
            return b"\xff" * size
    whole = int(value) if isinstance(value, int) else 0
    return (whole % (1 << 8 * size)).to_bytes(size, "little")


def _string(value: object) -> bytes:
    text = value if isinstance(value, str) else json.dumps(value)
    data = text.encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(data)) + data


def _value(kind: object, value: Any, item: list[Any]) -> bytes:
    if kind == _ARRAY:
        inner = item[0] if item else 4
        items = _list(value)
        count = item[1] if len(item) > 1 else len(items)
        head = _number("I", inner) + _number("Q", count)
        return head + b"".join(_value(inner, each, []) for each in items)
    if kind == _STRING:
        return _string(value)
    letter = _SCALARS.get(kind) if isinstance(kind, int) else None
    return _number(letter or "I", value)


def attempts(*readers: Callable[[], object], allowed: type[Exception]) -> None:
    """Call each reader; those of its errors that are allowed end it alone."""
    for read in readers:
        try:
            read()
        except allowed:
            pass
