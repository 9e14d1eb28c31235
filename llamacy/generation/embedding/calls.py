"""The calls that embed texts, whole or row by row, in a thread or in a task."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.arguments import check_callback
from llamacy.errors import CancelledError, LlamacyError, ModelOutputError, placed
from llamacy.generation.cancelling import CancelToken, check_cancel
from llamacy.generation.embedding.forms import Form
from llamacy.generation.embedding.packing import packed
from llamacy.generation.embedding.reading import ReadsTexts, Tokens
from llamacy.generation.embedding.vectors import Embeddings, finished
from llamacy.generation.engine import Engine
from llamacy.generation.gather import gather, gather_async, made_in_thread
from llamacy.generation.goals.embed import Embed
from llamacy.generation.jobs import Job
from llamacy.generation.prompts import Given
from llamacy.generation.request import AnyRequest, Request
from llamacy.generation.tally import OnProgress
from llamacy.ops.batch import TextBatch

Array: TypeAlias = NDArray[np.float32]

WINDOW: Final = 1024
"""Texts that are in memory as tokens."""

_N_IN_FLIGHT: Final = 2  # passes, so that other calls wait for no more


class _Window(NamedTuple):
    """Some of a call's texts."""

    first: int  # index of the first of them
    tokens: list[Tokens]
    requests: dict[AnyRequest, list[int]]  # with the places of their texts in `tokens`


class EmbeddingCall:
    """The texts of one call on their way to vectors.

    Parameters
    ----------
    engine : Engine
        Runs the passes.
    given : Given
        The texts, which are taken from their iterable a window at a time.
    reader : ReadsTexts
        Makes tokens of them.
    form : Form
        The form of the result.
    cancel : CancelToken or None
        Ends the call once it is set.
    progress : callable or None
        Called with the share of the texts that is done.

    Raises
    ------
    ArgumentError
        A bad `cancel` or `progress`.
    """

    def __init__(
        self,
        engine: Engine,
        given: Given,
        reader: ReadsTexts,
        form: Form,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
    ) -> None:
        check_cancel(cancel)
        check_callback("progress", progress)
        self._engine = engine
        self._given = given
        self._texts = iter(given.items)
        self._reader = reader
        self._form = form
        self._cancel = cancel
        self._progress = progress
        self._window = _Window(0, [], {})
        self._n_rows_done = 0  # of the window
        self._counts: list[tuple[int, int]] = []  # tokens read and cut, a text each
        self._rows: list[Array] = []  # of each text, without pooling
        n = 0 if form.pooling == "none" else given.n or 0
        self._vectors = np.empty((n, form.n_dim), np.float32)

    def run(self) -> Any:
        """Embed all texts; Ctrl-C ends it after the pass at hand."""
        while texts := self._take():
            requests = self._begin(texts)
            gather(self._engine.worker, requests, None, self._end, _N_IN_FLIGHT)
        return self._result()

    def job(self) -> Job[Any]:
        """Return the job that embeds all texts at once: thousands at most.

        Raises
        ------
        LlamacyError
            A text is invalid or too long.
        """
        requests = self._begin(list(self._texts))

        def finish() -> Any:
            for request in requests:
                self._end(request)
            return self._result()

        return Job(requests, finish)

    async def run_async(self) -> Any:
        """Embed all texts without blocking the event loop."""
        worker = self._engine.worker
        while texts := self._take():
            requests = await made_in_thread(partial(self._begin, texts))
            await gather_async(worker, requests, None, self._end, _N_IN_FLIGHT)
        return self._result()

    def _take(self) -> list[Any]:
        """Take the texts of the next window from their iterable."""
        return list(islice(self._texts, WINDOW))

    def _begin(self, texts: Sequence[Any]) -> list[AnyRequest]:
        """Make the requests of a window's texts."""
        first = len(self._counts)
        tokens = [self._read(first + i, text) for i, text in enumerate(texts)]
        self._counts += [(len(each.ids), each.n_cut) for each in tokens]
        lengths = [len(each.ids) for each in tokens]
        groups = packed(lengths, self._engine.executor.n_batch)
        requests = {self._request(tokens, group): group for group in groups}
        self._window, self._n_rows_done = _Window(first, tokens, requests), 0
        if self._form.pooling == "none":
            self._rows += [np.empty((0, 0), np.float32)] * len(texts)
        else:
            self._make_room(first + len(texts))
        return list(requests)

    def _read(self, index: int, text: Any) -> Tokens:
        try:
            return self._reader.read(text, self._given.place(index))
        except LlamacyError as error:
            raise self._located(error, index) from error.__cause__

    def _request(self, tokens: Sequence[Tokens], group: Sequence[int]) -> AnyRequest:
        chosen = [tokens[i] for i in group]
        types = None
        if any(each.types is not None for each in chosen):
            types = [each.types or [0] * len(each.ids) for each in chosen]
        batch = TextBatch.of([each.ids for each in chosen], types)
        return Request(Embed(batch, self._form.pooling), cancel=self._cancel)

    def _make_room(self, n: int) -> None:
        """Have a place for `n` vectors."""
        old = self._vectors
        if len(old) < n:
            self._vectors = np.empty((max(n, 2 * len(old)), old.shape[1]), np.float32)
            self._vectors[: len(old)] = old

    def _end(self, request: AnyRequest) -> None:
        """Take a request's rows, which become the results of its texts."""
        request.raise_error()
        goal = request.goal
        assert isinstance(goal, Embed)
        if goal.rows is None:
            raise CancelledError("the call was cancelled")
        first, tokens, requests = self._window
        rows, goal.rows = goal.rows, None
        places = [first + i for i in requests[request]]
        if self._form.pooling == "none":
            self._keep_rows(rows, places, goal.texts.lengths)
        else:
            self._check(rows, places)
            self._vectors[places] = self._finished(rows)
        self._n_rows_done += len(goal.texts.tokens)
        self._tell(first, tokens)

    def _keep_rows(
        self, rows: Array, places: Sequence[int], lengths: NDArray[np.int32]
    ) -> None:
        for place, each in zip(
            places, np.split(rows, np.cumsum(lengths)[:-1]), strict=True
        ):
            self._check(each, [place] * len(each))
            self._rows[place] = self._finished(each).copy()  # of no joint array

    def _finished(self, rows: Array) -> Array:
        form = self._form
        return finished(rows, form.n_dim, normalize=form.normalize)

    def _check(self, rows: Array, places: Sequence[int]) -> None:
        """Check that all numbers are finite."""
        is_sound = np.isfinite(rows).all(axis=1)
        if not is_sound.all():
            error = ModelOutputError(
                "an embedding is not finite: the weights are broken"
            )
            raise self._located(error, places[int(np.argmin(is_sound))])

    def _located(self, error: LlamacyError, index: int) -> LlamacyError:
        if self._given.is_one:
            return placed(error, "", None)
        return placed(error, self._given.place(index), index)

    def _tell(self, first: int, tokens: Sequence[Tokens]) -> None:
        """Tell the share of the texts that is done; of a window's, by their tokens."""
        if self._progress is not None and self._given.n:
            share = self._n_rows_done / sum(len(each.ids) for each in tokens)
            self._progress((first + share * len(tokens)) / self._given.n)

    def _result(self) -> Any:
        if self._progress is not None and not self._given.n:
            self._progress(1.0)
        is_one = self._given.is_one
        if self._form.pooling == "none":
            return self._rows[0] if is_one else self._rows
        n = len(self._counts)
        vectors = self._vectors
        if len(vectors) > n:  # the end of an iterable of unknown length
            vectors = vectors[:n].copy()
        token_counts, cut_counts = (
            tuple(each[i] for each in self._counts) for i in range(2)
        )
        return Embeddings(vectors[0] if is_one else vectors, token_counts, cut_counts)
