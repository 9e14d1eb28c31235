"""Reads one file of the old formats: hyperparameters, vocabulary and tensors' places.

Every number is checked against the bytes available before it is used.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.gguf.limits import MAX_EMBD, MAX_HEADS, MAX_LAYERS
from llamacy.formats.legacy.layouts import old_type_size
from llamacy.formats.legacy.version import MAGICS, UNVERSIONED, VERSIONS, Version
from llamacy.formats.mapped_file import MappedFile
from llamacy.formats.other_formats import describe
from llamacy.ggml.types import GGMLType
from llamacy.printable import shown

# Limits beyond any real model of that time, which keep a hostile file cheap to refuse.
MAX_VOCAB: Final = 1 << 20
MAX_TOKEN: Final = 1 << 12  # bytes of a token or a tensor's name
MAX_TENSORS: Final = 1 << 16
_SIZE_LIMIT: Final = 1 << 31  # of one dimension

_REMOVED: Final = {4: "Q4_2", 5: "Q4_3"}  # types in use in April and May 2023 only
# For errors: programs for other families wrote files with the same magic.
_LLAMA: Final = "a LLaMA model (other families had files with the same first bytes)"


class Hparams(NamedTuple):
    """The hyperparameters, in the file's order."""

    n_vocab: int
    n_embd: int
    n_mult: int
    n_head: int
    n_layer: int
    n_rot: int
    ftype: int


class OldTensor(NamedTuple):
    """A tensor of one part.

    Attributes
    ----------
    name : str
        Name in the file.
    type : GGMLType
        Type of its blocks, which may have an old layout.
    shape : tuple of int
        Sizes, slowest first.
    offset : int
        Offset of its blocks from the start of the file, in bytes.
    n_bytes : int
        Size of its blocks, in bytes.
    """

    name: str
    type: GGMLType
    shape: tuple[int, ...]
    offset: int
    n_bytes: int


class Part:
    """One file, mapped into memory.

    Attributes
    ----------
    path : Path
        The file.
    version : Version
        Its format.
    hparams : Hparams
        The hyperparameters.
    tokens : list of bytes
        The vocabulary.
    scores : list of float
        Scores of the tokens; empty if the format has none.
    tensors : dict of str to OldTensor
        Tensors by name, in the file's order.

    Raises
    ------
    ModelFileError
        The file cannot be read.
    FormatError
        The file is of another kind, or broken.
    UnsupportedError
        The file's version is unknown, or a tensor's type is not supported.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = MappedFile(path)
        try:
            self._at = 0
            self.version = self._version()
            self.hparams = self._hparams()
            self.tokens, self.scores = self._vocabulary()
            self.tensors = self._tensors()
        except BaseException:
            self.file.close()
            raise

    def _version(self) -> Version:
        magic = self._raw(4, "magic")
        if magic == MAGICS[0]:
            return UNVERSIONED
        if magic not in MAGICS:
            found = describe(self.file.data[:64])
            self.fail("magic", "a file of 2023: ggml, ggmf or ggjt", found)
        number = self._number("version")
        if (magic, number) not in VERSIONS:
            known = [str(n) for each, n in VERSIONS if each == magic]
            wanted = f"one of {', '.join(known)} for {magic[::-1].decode()}"
            raise UnsupportedError(self.path, "version", wanted, number)
        return VERSIONS[magic, number]

    def _hparams(self) -> Hparams:
        hparams = Hparams(*(self._number(name) for name in Hparams._fields))
        for name, most in (
            ("n_vocab", MAX_VOCAB),
            ("n_embd", MAX_EMBD),
            ("n_head", MAX_HEADS),
            ("n_layer", MAX_LAYERS),
        ):
            found = getattr(hparams, name)
            if not 1 <= found <= most:
                self.fail(name, f"1 to {most}, in {_LLAMA}", found)
        if hparams.n_embd % hparams.n_head:
            wanted = f"a divisor of n_embd, {hparams.n_embd}, in {_LLAMA}"
            self.fail("n_head", wanted, hparams.n_head)
        return hparams

    def _vocabulary(self) -> tuple[list[bytes], list[float]]:
        tokens: list[bytes] = []
        scores: list[float] = []
        for i in range(self.hparams.n_vocab):
            tokens.append(self._text(f"token {i}", MAX_TOKEN))
            if self.version.has_scores:
                scores += struct.unpack("<f", self._raw(4, f"token {i}: score"))
        return tokens, scores

    def _tensors(self) -> dict[str, OldTensor]:
        tensors: dict[str, OldTensor] = {}
        while self._at < self.file.size:
            tensor = self._tensor(f"tensor {len(tensors)}")
            if tensor.name in tensors:
                wanted = "a name once"
                self.fail(f"tensor {len(tensors)}", wanted, shown(tensor.name))
            if len(tensors) == MAX_TENSORS:
                self.fail("tensors", f"at most {MAX_TENSORS}", "more")
            tensors[tensor.name] = tensor
        return tensors

    def _tensor(self, field: str) -> OldTensor:
        n_dims = self._number(f"{field}: n_dims")
        n_name = self._number(f"{field}: length of the name")
        type_number = self._number(f"{field}: type")
        if n_dims not in (1, 2):
            self.fail(f"{field}: n_dims", f"1 or 2, in {_LLAMA}", n_dims)
        sizes = [self._number(f"{field}: size") for _ in range(n_dims)]
        if n_name > MAX_TOKEN:
            self.fail(f"{field}: length of the name", f"at most {MAX_TOKEN}", n_name)
        try:
            name = self._raw(n_name, f"{field}: name").decode()
        except UnicodeDecodeError:
            self.fail(f"{field}: name", "UTF-8 text", "other bytes")
        field = f"tensor {shown(name)}"
        ggml_type = self._type(type_number, field)
        if not all(1 <= size < _SIZE_LIMIT for size in sizes):
            self.fail(f"{field}: shape", f"sizes from 1 to {_SIZE_LIMIT - 1}", sizes)
        if sizes[0] % ggml_type.block_size:
            wanted = f"rows of a multiple of {ggml_type.block_size} weights"
            self.fail(f"{field}: shape", wanted, sizes[0])
        n_blocks = math.prod(sizes) // ggml_type.block_size
        alignment = self.version.alignment
        self._at = -(-self._at // alignment) * alignment
        n_bytes = n_blocks * self.block_bytes(ggml_type)
        offset = self._take(n_bytes, field)
        return OldTensor(name, ggml_type, tuple(sizes[::-1]), offset, n_bytes)

    def _type(self, number: int, field: str) -> GGMLType:
        types = self.version.types
        if number not in tuple(types):
            wanted = f"one of {', '.join(each.name for each in types)}"
            found = _REMOVED.get(number, number)
            raise UnsupportedError(self.path, f"{field}: type", wanted, found)
        return GGMLType(number)

    def block_bytes(self, ggml_type: GGMLType) -> int:
        """Return the size of a block of that type in this file, in bytes."""
        return old_type_size(ggml_type, self.version.era)

    def fail(self, field: str, wanted: object, found: object) -> NoReturn:
        """Raise the error for a broken file."""
        raise FormatError(self.path, field, wanted, shown(found))

    def _number(self, field: str) -> int:
        number: int = struct.unpack("<I", self._raw(4, field))[0]
        return number

    def _text(self, field: str, most: int) -> bytes:
        length = self._number(f"{field}: length")
        if length > most:
            self.fail(f"{field}: length", f"at most {most}, in {_LLAMA}", length)
        return self._raw(length, field)

    def _raw(self, n_bytes: int, field: str) -> bytes:
        start = self._take(n_bytes, field)
        return self.file.data[start : self._at]

    def _take(self, n_bytes: int, field: str) -> int:
        """Advance past `n_bytes` bytes; return the offset of the first one."""
        start, room = self._at, max(self.file.size - self._at, 0)
        if n_bytes > room:
            self.fail(field, f"{n_bytes} bytes", f"{room} before the end of the file")
        self._at = start + n_bytes
        return start
