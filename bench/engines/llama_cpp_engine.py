"""llama-cpp-python, with its defaults except for the sizes.

Several texts at once have a context of their own: `Llama` has room for one.
"""

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
        self._n_threads = n_threads
        self._n_texts = self._n_past = 0
        self._context: Any = None
        self._batch: Any = None

    def read(self, tokens: list[int]) -> None:
        self._model.eval(tokens)

    def truncate(self, n: int) -> None:
        self._model.n_tokens = n  # the next eval drops the tokens after these

    def open_texts(self, n_texts: int, tokens: list[int], n_more: int) -> None:
        self._close_texts()
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = n_texts * (len(tokens) + n_more)
        params.n_batch, params.n_seq_max = N_BATCH, n_texts
        params.n_threads = params.n_threads_batch = self._n_threads
        self._context = llama_cpp.llama_init_from_model(self._model.model, params)
        self._n_texts = n_texts
        self._batch = llama_cpp.llama_batch_init(N_BATCH, 0, 1)
        self._n_past = 0
        for token in tokens:
            self.read_together(token)

    def read_together(self, token: int) -> None:
        batch = self._batch
        batch.n_tokens = self._n_texts
        for text in range(self._n_texts):
            batch.token[text], batch.pos[text] = token, self._n_past
            batch.n_seq_id[text], batch.seq_id[text][0] = 1, text
            batch.logits[text] = True
        found = llama_cpp.llama_decode(self._context, batch)
        if found:
            raise SystemExit(f"llama_decode ended with {found}")
        self._n_past += 1

    def _close_texts(self) -> None:
        if self._n_texts:
            llama_cpp.llama_batch_free(self._batch)
            llama_cpp.llama_free(self._context)


def load(job: dict[str, Any]) -> LlamaCppEngine:
    return LlamaCppEngine(job["path"], job["n_threads"])
