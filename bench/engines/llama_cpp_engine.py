"""llama-cpp-python, with its defaults except for the sizes."""

from __future__ import annotations

from typing import Any

import llama_cpp

N_BATCH = 512


class LlamaCppEngine:
    """See `serve.Engine`."""

    def __init__(self, path: str, n_threads: int) -> None:
        self.versions = {"llama-cpp-python": llama_cpp.__version__}
        self._model = llama_cpp.Llama(
            path, n_ctx=0, n_batch=N_BATCH, n_threads=n_threads,
            n_threads_batch=n_threads, verbose=False,
        )  # fmt: skip

    def read(self, tokens: list[int]) -> None:
        self._model.eval(tokens)

    def truncate(self, n: int) -> None:
        self._model.n_tokens = n  # the next eval drops the tokens after these


def load(job: dict[str, Any]) -> LlamaCppEngine:
    return LlamaCppEngine(job["path"], job["n_threads"])
