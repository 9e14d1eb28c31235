"""Sessions on disk: the tokens and the state of a text, checked when loaded.

The file is an uncompressed zip archive, so that any tool can look into it:
`header.json`, the token ids as little-endian int32 in `tokens`, and the parts of the
sequence, by the names that it gives them. These parts are its pages, in the attention
kernels' layout: `pages/0`, `pages/1` and so on. The first `n_gone` pages are missing,
because no layer's window reaches them. Recurrent layers have their states in
`states/120`, after 120 tokens: those after the last one, and earlier ones, the
`snapshots`. Zip keeps a checksum of each part.
"""

from __future__ import annotations

import errno
import json
import os
import struct
import zipfile
import zlib
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from llamacy.arguments import MAX_CTX, checked_path
from llamacy.errors import (
    ArgumentError,
    ContextLengthError,
    FormatError,
    LlamacyError,
    ModelFileError,
)
from llamacy.ops.state.sequence import SavableSequence, SequenceState
from llamacy.printable import shown
from llamacy.system.whole_files import file_errors, new_file, regular_path

Path = str | os.PathLike[str]

_KIND = "llamacy session"
_VERSION = 1

_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError),
    *(ValueError, ArithmeticError, LookupError, struct.error),
)
"""Errors of `zipfile` and `json` for files that are damaged or not sessions.

Both let errors of other functions through, such as that of `seek` for an offset of
2**63, and that of `int` for a number of 5000 digits.
"""


@dataclass(frozen=True, slots=True)
class Origin:
    """The circumstances that must be the same when a session is loaded.

    Attributes
    ----------
    model : str
        The model's fingerprint.
    kv_type : str
        Type of keys and values.
    page_tokens, page_bytes : int
        Size of a page.
    """

    model: str
    kv_type: str
    page_tokens: int
    page_bytes: int

    def with_adapters(self, adapters: str) -> Origin:
        """Return the origin of sessions of the model with adapters, by fingerprint."""
        return replace(self, model=f"{self.model}+{adapters}") if adapters else self

    def of_long_text(self) -> Origin:
        """Return the origin of sessions with keys rotated as in long texts."""
        return replace(self, model=f"{self.model}-long")


def save(path: Path, origin: Origin, ids: list[int], sequence: SequenceState) -> None:
    """Write a session; the file appears whole or not at all.

    Only its owner may read it, unless it replaces a file with other permissions.

    Raises
    ------
    ArgumentError
        `path` is not a path, or the executor's sequences cannot be saved.
    ModelFileError
        It cannot be written.
    """
    checked_path("path", path)
    sequence = _savable(sequence)
    if sequence.n_long:
        origin = origin.of_long_text()
    header = {"kind": _KIND, "version": _VERSION, "n_past": sequence.n_past}
    header |= {"n_gone": sequence.n_gone} | asdict(origin)
    if sequence.n_long > 1:
        header["n_long"] = sequence.n_long
    if sequence.page_type not in (None, origin.kv_type):
        header["page_type"] = sequence.page_type
    if sequence.snapshots:
        header["snapshots"] = list(sequence.snapshots)
    with new_file(path, private=True) as draft, file_errors(path):
        with zipfile.ZipFile(draft, "w", allowZip64=True) as archive:
            archive.writestr("header.json", json.dumps(header))
            archive.writestr("tokens", np.asarray(ids, "<i4").tobytes())
            for name, data in sequence.parts():
                archive.writestr(name, data)


def load(
    path: Path,
    origin: Origin,
    n_vocab: int,
    n_ctx: int,
    sequence: SequenceState,
    *,
    has_long_texts: bool = False,
) -> list[int]:
    """Read a session's pages into `sequence`, which is empty; return its tokens.

    `has_long_texts` says whether the model rotates keys of long texts in another way.

    Raises
    ------
    ArgumentError
        `path` is not a path, or the executor's sequences cannot be saved.
    ContextLengthError
        The session has more than `n_ctx` tokens.
    ModelFileError
        The file cannot be read.
    FormatError
        It is not a session, is damaged, or belongs to another model.
    """
    checked_path("path", path)
    sequence = _savable(sequence)
    source = regular_path(path)
    try:
        with zipfile.ZipFile(source) as archive:
            header = _read_header(path, archive)
            long = origin.of_long_text() if has_long_texts else None
            n_past, n_gone, sequence.n_long = _check_header(path, header, origin, long)
            snapshots = _snapshots(path, header, n_past, sequence.most_snapshots)
            ids = _read_tokens(path, archive, n_vocab)
            if len(ids) < n_past:
                raise FormatError(path, "tokens", f"{n_past} or more", len(ids))
            if len(ids) > n_ctx:
                raise ContextLengthError(len(ids), n_ctx)
            most_gone = sequence.most_gone(n_past)
            if n_gone > most_gone:
                raise FormatError(path, "header n_gone", f"at most {most_gone}", n_gone)
            read = partial(_read, path, archive)
            page_type = _page_type(path, header, origin.kv_type, sequence)
            sequence.restore(n_past, n_gone, read, snapshots, page_type)
    except LlamacyError:
        raise
    except OSError as error:
        number, reason = error.errno or errno.EIO, error.strerror or str(error)
        raise ModelFileError(number, reason, os.fspath(path)) from error
    except _BROKEN as error:
        raise FormatError(path, "file", "a sound session file", error) from error
    return ids


def _savable(sequence: SequenceState) -> SavableSequence:
    if not isinstance(sequence, SavableSequence):
        found = type(sequence).__name__
        raise ArgumentError(f"executor: wanted sequences in pages, found {found}")
    return sequence


def _read_tokens(path: Path, archive: zipfile.ZipFile, n_vocab: int) -> list[int]:
    data = _read(path, archive, "tokens")
    if len(data) % 4:
        raise FormatError(path, "tokens", "four bytes for each", f"{len(data)} bytes")
    ids = np.frombuffer(data, "<i4")
    bad = ids[(ids < 0) | (ids >= n_vocab)]
    if len(bad):
        raise FormatError(path, "tokens", f"ids from 0 to {n_vocab - 1}", bad[0])
    tokens: list[int] = ids.tolist()
    return tokens


def _read_header(path: Path, archive: zipfile.ZipFile) -> dict[str, Any]:
    header: Any = json.loads(_read(path, archive, "header.json"))
    return header if isinstance(header, dict) else {}


def _check_header(
    path: Path, found: dict[str, Any], origin: Origin, long: Origin | None
) -> tuple[int, int, int]:
    """Compare the header with both origins; return n_past, n_gone and n_long."""
    is_long = False
    if long is not None and found.get("model") == long.model:
        origin, is_long = long, True
    wanted = {"kind": _KIND, "version": _VERSION} | asdict(origin)
    for key, value in wanted.items():
        if found.get(key) != value:
            raise FormatError(path, f"header {key}", value, repr(found.get(key))[:80])
    n_past = _count(path, found, "n_past", "tokens")
    n_long = int(is_long)
    if is_long and "n_long" in found:
        n_long = _count(path, found, "n_long", "tokens")
        if not 1 < n_long <= MAX_CTX:
            bounds = f"2 to {MAX_CTX}"
            raise FormatError(path, "header n_long", bounds, shown(n_long))
    return n_past, _count(path, found, "n_gone", "pages"), n_long


def _page_type(
    path: Path, header: dict[str, Any], kv_type: str, sequence: SavableSequence
) -> str | None:
    """Return the type of the numbers in the file's pages; None if all is as here."""
    found = header.get("page_type", kv_type)
    if sequence.page_type in (None, found):
        return None
    if not isinstance(found, str) or found not in sequence.readable_page_types:
        wanted = " or ".join(sorted(sequence.readable_page_types))
        raise FormatError(path, "header page_type", wanted, repr(found)[:80])
    return found


def _snapshots(
    path: Path, header: dict[str, Any], n_past: int, most: int
) -> tuple[int, ...]:
    """Return the lengths of the text of which the file has states."""
    lengths = header.get("snapshots", [])
    is_sound = (
        isinstance(lengths, list)
        and len(lengths) <= most
        and all(type(each) is int and 0 < each <= n_past for each in lengths)
        and lengths == sorted(set(lengths))
    )
    if not is_sound:
        wanted = f"up to {most} rising lengths, up to {n_past}"
        raise FormatError(path, "header snapshots", wanted, repr(lengths)[:80])
    return tuple(lengths)


def _count(path: Path, header: dict[str, Any], key: str, what: str) -> int:
    n = header.get(key)
    if not isinstance(n, int) or isinstance(n, bool) or n < 0:
        raise FormatError(path, f"header {key}", f"a number of {what}", repr(n)[:80])
    return n


def _read(
    path: Path, archive: zipfile.ZipFile, name: str, n_bytes: int | None = None
) -> bytes:
    """Read one part, of `n_bytes` if given; never more than the file holds."""
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise FormatError(path, name, "a part of this name", "none") from None
    if info.compress_type != zipfile.ZIP_STORED:
        raise FormatError(path, name, "data that is not compressed", "compressed data")
    if n_bytes is not None and info.file_size != n_bytes:
        raise FormatError(path, name, f"{n_bytes} bytes", info.file_size)
    return archive.read(info)
