"""llamacy, with its defaults except for the threads."""

from __future__ import annotations

from typing import Any

import llamacy
from llamacy.ops.batch import Batch, Wanted
from llamacy.ops.state.sequence import SequenceState


class LlamacyEngine:
    """See `serve.Engine`."""

    def __init__(self, path: str, n_threads: int) -> None:
        self.versions = {"llamacy": llamacy.__version__}
        self._executor = llamacy.load(path, n_threads=n_threads).executor
        self._sequence = self._executor.new_sequence()
        self._texts: list[SequenceState] = []

    def read(self, tokens: list[int]) -> None:
        self._read(self._sequence, tokens)

    def truncate(self, n: int) -> None:
        self._sequence.truncate(n)

    def open_texts(self, n_texts: int, tokens: list[int], n_more: int) -> None:
        for text in self._texts:
            text.close()
        self._texts = [self._executor.new_sequence() for _ in range(n_texts)]
        for text in self._texts:
            self._read(text, tokens)

    def read_together(self, token: int) -> None:
        wanted: Wanted = "last"
        rows = [([token], text, wanted) for text in self._texts]
        self._executor.forward(Batch.join(rows))

    def _read(self, text: SequenceState, tokens: list[int]) -> None:
        n_batch = self._executor.n_batch
        for start in range(0, len(tokens), n_batch):
            part = tokens[start : start + n_batch]
            last = start + len(part) == len(tokens)
            batch = Batch.of(part, text, "last" if last else "none")
            self._executor.forward(batch)


def load(job: dict[str, Any]) -> LlamacyEngine:
    return LlamacyEngine(job["path"], job["n_threads"])
