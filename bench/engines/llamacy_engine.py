"""llamacy, with its defaults except for the threads."""

from __future__ import annotations

from typing import Any

import llamacy
from llamacy.ops.batch import Batch


class LlamacyEngine:
    """See `serve.Engine`."""

    def __init__(self, path: str, n_threads: int) -> None:
        self.versions = {"llamacy": llamacy.__version__}
        self._executor = llamacy.load(path, n_threads=n_threads).executor
        self._sequence = self._executor.new_sequence()

    def read(self, tokens: list[int]) -> None:
        n_batch = self._executor.n_batch
        for start in range(0, len(tokens), n_batch):
            part = tokens[start : start + n_batch]
            last = start + len(part) == len(tokens)
            batch = Batch.of(part, self._sequence, "last" if last else "none")
            self._executor.forward(batch)

    def truncate(self, n: int) -> None:
        self._sequence.truncate(n)


def load(job: dict[str, Any]) -> LlamacyEngine:
    return LlamacyEngine(job["path"], job["n_threads"])
