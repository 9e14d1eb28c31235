"""A file of a model's predictions on a text, which llama.cpp reads and writes too.

Little-endian: the eight bytes `_logits_`; n_ctx, n_vocab and n_chunks as int32; the
text's tokens, int32, (n_chunks, n_ctx); then, for each prediction that counts, a row of
16-bit words as in `llamacy.quality.log_softmax`. Source: llama.cpp's
`tools/perplexity/perplexity.cpp`, option `--kl-divergence-base`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import BufferedWriter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llamacy.arguments import MAX_CTX, checked_path
from llamacy.errors import FormatError
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
    """Return the offset of the first row, and the bytes of a row and of the file."""
    start = _HEAD_BYTES + 4 * n_ctx * n_chunks
    row_bytes = 2 * log_softmax.row_words(n_vocab)
    return start, row_bytes, start + n_chunks * scored_in(n_ctx) * row_bytes


class LogitsWriter:
    """Writes predictions, in any order, into a new file."""

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
        ModelFileError
            The file cannot be written.
        """
        words = log_softmax.encode(rows)
        with file_errors(self._path):
            self._file.seek(self._start + place.start * self._row_bytes)
            self._file.write(words.tobytes())


@contextmanager
def new_logits_file(
    path: PathLike, ids: NDArray[np.int32], n_vocab: int
) -> Iterator[LogitsWriter]:
    """Write a file, which appears complete at the end of the block, or not at all.

    Parameters
    ----------
    path : str or os.PathLike
        The file to write; an existing file is replaced at the end.
    ids : int32, (n_chunks, n_ctx)
        Tokens of the text.
    n_vocab : int
        Logits of a prediction.

    Raises
    ------
    ArgumentError
        `path` is not a path.
    ModelFileError
        The file cannot be written, for example for lack of disk space.
    """
    checked_path("save_logits", path)
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
    """Return the tokens per chunk of a file; raises what `LogitsFile` raises."""
    with closing(LogitsFile(path)) as file:
        return int(file.ids.shape[1])


class LogitsFile:
    """A file of predictions, whose rows stay on disk until they are used.

    Attributes
    ----------
    path : Path
        Path of the file.
    ids : int32, (n_chunks, n_ctx)
        Tokens of the text.
    n_vocab : int
        Log-probabilities of a row.

    Raises
    ------
    ArgumentError
        `path` is not a path.
    ModelFileError
        The file cannot be read.
    FormatError
        The file has another format, is incomplete, or is damaged.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(checked_path("base", path))
        self._file = MappedFile(self.path, "saved predictions")
        try:
            self._read_head()
        except BaseException:
            self._file.close()
            raise

    def rows(self, place: slice) -> NDArray[np.uint16]:
        """Return the predictions at `place`: uint16, (n, row_words(n_vocab)).

        Raises
        ------
        FormatError
            The scale or the minimum of a row is impossible.
        """
        n = place.stop - place.start
        offset = self._start + place.start * self._row_bytes
        words = self._file.view(offset, n * self._row_bytes).view("<u2").reshape(n, -1)
        heads = log_softmax.decode_heads(words)
        if not (np.isfinite(heads).all() and (heads[:, 0] >= 0).all()):
            wanted = "a scale of at least 0 and a minimum, both finite"
            bad = (~np.isfinite(heads).all(axis=1)) | ~(heads[:, 0] >= 0)
            where = place.start + int(bad.argmax())
            raise FormatError(self.path, f"row {where}", wanted, heads[bad][0])
        return words

    def release(self, place: slice) -> None:
        """Drop the rows at `place` from memory; they are read again if needed."""
        n_bytes = (place.stop - place.start) * self._row_bytes
        self._file.release(self._start + place.start * self._row_bytes, n_bytes)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read_head(self) -> None:
        head = self._file.view(0, min(_HEAD_BYTES, self._file.size)).tobytes()
        if head[:8] != _MAGIC or len(head) < _HEAD_BYTES:
            raise FormatError(self.path, "beginning", repr(_MAGIC), repr(head[:8]))
        n_ctx, n_vocab, n_chunks = (int(x) for x in np.frombuffer(head, "<i4", 3, 8))
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
