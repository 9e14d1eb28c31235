"""What a model predicted of a text, in a file that llama.cpp reads and writes too.

Little-endian: the eight bytes ``_logits_``; n_ctx, n_vocab and n_chunks as int32; the
text's tokens, int32, (n_chunks, n_ctx); then for each prediction that counts a row of
16-bit words, as :mod:`~llamacy.quality.log_softmax` has them. Source: llama.cpp's
`tools/perplexity/perplexity.cpp`, whose option is ``--kl-divergence-base``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import BufferedWriter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llamacy.arguments import MAX_CTX
from llamacy.errors import ArgumentError, FormatError
from llamacy.formats.mapped_file import MappedFile
from llamacy.quality import log_softmax
from llamacy.quality.chunks import MIN_CTX, scored_in
from llamacy.quality.log_softmax import LogSoftmax
from llamacy.system.whole_files import file_errors, new_file

PathLike = str | os.PathLike[str]

_MAGIC = b"_logits_"
_HEAD_BYTES = len(_MAGIC) + 3 * 4
_MAX_VOCAB = 1 << 24


def _body(n_ctx: int, n_vocab: int, n_chunks: int) -> tuple[int, int, int]:
    """Where the rows begin, the bytes of one, and those of the whole file."""
    start = _HEAD_BYTES + 4 * n_ctx * n_chunks
    row_bytes = 2 * log_softmax.row_words(n_vocab)
    return start, row_bytes, start + n_chunks * scored_in(n_ctx) * row_bytes


class LogitsWriter:
    """Writes predictions, in any order, into a file that is not complete yet."""

    def __init__(
        self, file: BufferedWriter, path: PathLike, ids: NDArray[np.int32], n: int
    ) -> None:
        n_chunks, n_ctx = ids.shape
        self._file, self._path = file, path
        self._start, self._row_bytes, _ = _body(n_ctx, n, n_chunks)
        with file_errors(path):
            file.write(_MAGIC + np.array([n_ctx, n, n_chunks], "<i4").tobytes())
            file.write(ids.astype("<i4").tobytes())

    def write(self, place: slice, rows: LogSoftmax) -> None:
        """Write the rows of the predictions at `place`.

        Raises
        ------
        ModelFileError : they cannot be written.
        """
        words = log_softmax.encode(rows)
        with file_errors(self._path):
            self._file.seek(self._start + place.start * self._row_bytes)
            self._file.write(words.tobytes())


@contextmanager
def new_logits_file(
    path: PathLike, ids: NDArray[np.int32], n_vocab: int
) -> Iterator[LogitsWriter]:
    """Write a file, which is there whole when the block ends, or not at all.

    Parameters
    ----------
    path : is replaced at the end, if it is a file already.
    ids : int32, (n_chunks, n_ctx), the text.
    n_vocab : logits of a prediction.

    Raises
    ------
    ArgumentError : `path` is none.
    ModelFileError : it cannot be written; the disk has no room for it.
    """
    if not isinstance(path, str | os.PathLike):
        raise ArgumentError(f"save_logits: wanted a path, found {path!r}")
    n_chunks, n_ctx = ids.shape
    n_bytes = _body(n_ctx, n_vocab, n_chunks)[2]
    with new_file(path, n_bytes=n_bytes) as draft:
        with file_errors(path):
            file = open(draft, "wb")
        try:
            yield LogitsWriter(file, path, ids, n_vocab)
        finally:
            with file_errors(path):
                file.close()


def context_of(path: PathLike) -> int:
    """Tokens of a chunk in the file at `path`.

    Raises
    ------
    ModelFileError, FormatError : as :class:`LogitsFile` does.
    """
    with closing(LogitsFile(path)) as file:
        return int(file.ids.shape[1])


class LogitsFile:
    """A file of predictions, checked, whose rows stay on disk until they are read.

    Attributes
    ----------
    path : of the file.
    ids : int32, (n_chunks, n_ctx), the text.
    n_vocab : log-probabilities of a row.

    Raises
    ------
    ModelFileError : it cannot be read.
    FormatError : it is not such a file, is not complete, or is damaged.
    """

    def __init__(self, path: PathLike) -> None:
        if not isinstance(path, str | os.PathLike):
            raise ArgumentError(f"base: wanted a path, found {path!r}")
        self.path = Path(path)
        self._file = MappedFile(self.path)
        try:
            self._read_head()
        except BaseException:
            self._file.close()
            raise

    def rows(self, place: slice) -> NDArray[np.uint16]:
        """Words of the predictions at `place`: uint16, (n, row_words(n_vocab)).

        Raises
        ------
        FormatError : scale or minimum of one is not what it can be.
        """
        n = place.stop - place.start
        offset = self._start + place.start * self._row_bytes
        words = self._file.view(offset, n * self._row_bytes).view("<u2").reshape(n, -1)
        heads = log_softmax.decode_heads(words)
        if not (np.isfinite(heads).all() and (heads[:, 0] >= 0).all()):
            wanted = "a scale from 0 on and a minimum, both finite"
            bad = (~np.isfinite(heads).all(axis=1)) | ~(heads[:, 0] >= 0)
            where = place.start + int(bad.argmax())
            raise FormatError(self.path, f"row {where}", wanted, heads[bad][0])
        return words

    def release(self, place: slice) -> None:
        """Let the rows at `place` go from memory."""
        n_bytes = (place.stop - place.start) * self._row_bytes
        self._file.release(self._start + place.start * self._row_bytes, n_bytes)

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def _read_head(self) -> None:
        data = self._file.view(0, min(_HEAD_BYTES, self._file.size))
        found = data.tobytes()
        if found[:8] != _MAGIC or len(found) < _HEAD_BYTES:
            raise FormatError(self.path, "beginning", repr(_MAGIC), repr(found[:8]))
        n_ctx, n_vocab, n_chunks = (int(x) for x in np.frombuffer(found, "<i4", 3, 8))
        self._check("n_ctx", n_ctx, MIN_CTX, MAX_CTX)
        self._check("n_vocab", n_vocab, 1, _MAX_VOCAB)
        self._check("n_chunks", n_chunks, 1, MAX_CTX)
        self._start, self._row_bytes, size = _body(n_ctx, n_vocab, n_chunks)
        if self._file.size != size:
            wanted = f"{size} bytes, for {n_chunks} chunks of {n_ctx} tokens"
            raise FormatError(self.path, "size", wanted, f"{self._file.size} bytes")
        n_bytes = self._start - _HEAD_BYTES
        ids = self._file.view(_HEAD_BYTES, n_bytes).view("<i4").astype(np.int32)
        bad = ids[(ids < 0) | (ids >= n_vocab)]
        if len(bad):
            raise FormatError(self.path, "tokens", f"0 to {n_vocab - 1}", bad[0])
        self.n_vocab = n_vocab
        self.ids: NDArray[np.int32] = ids.reshape(n_chunks, n_ctx)

    def _check(self, field: str, found: int, low: int, high: int) -> None:
        if not low <= found <= high:
            raise FormatError(self.path, field, f"{low} to {high}", found)
