"""A model's calls that rank documents by how well they answer a query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamacy.arguments import (
    checked_choice,
    checked_flag,
    checked_integer,
    checks_options,
    short,
)
from llamacy.config import ModelConfig
from llamacy.errors import ArgumentError, CancelledError
from llamacy.generation import calls
from llamacy.generation.cancelling import CancelToken, check_cancel
from llamacy.generation.embedding.calls import EmbeddingCall
from llamacy.generation.embedding.forms import Form
from llamacy.generation.embedding.judging import (
    YES_OR_NO,
    QuestionReader,
    answer_ids,
    question_of,
)
from llamacy.generation.embedding.pairs import PairReader, has_two_ends
from llamacy.generation.embedding.ranking import Activation, Ranking, ranking_of
from llamacy.generation.goals.continuations import Continuations
from llamacy.generation.jobs import Job, Jobs
from llamacy.generation.prompts import Given, Kind, given_several
from llamacy.generation.request import Request
from llamacy.generation.tally import OnProgress
from llamacy.model.opened import Opened
from llamacy.tokenizers.token_table import check_text

_DOCUMENTS: Final = Kind("document", "documents", "a list of texts", lambda _: False)


class _Judgement(NamedTuple):
    """The result for one document."""

    number: float
    n_tokens: int
    n_cut: int


class Reranking(Opened):
    """The part of a `Model` that ranks documents."""

    path: str
    config: ModelConfig
    _metadata: Mapping[str, Any]

    @checks_options()
    def rerank(
        self,
        query: str,
        documents: Iterable[str],
        *,
        top_n: int | None = None,
        activation: Activation | None = None,
        instruction: str | None = None,
        truncate: bool = False,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
    ) -> Ranking:
        """Rank documents by how well they answer a query.

        A reranker reads the query together with each document, which takes a pass of
        its own and is better than comparing embeddings: find a hundred documents by
        those, and rerank them. Models are cross-encoders, such as BGE's rerankers, and
        Qwen's rerankers, which are asked about each document and say yes or no.

        Parameters
        ----------
        query : str
            A question, or words to search for.
        documents : iterable of str
            The texts to rank.
        top_n : int, optional
            How many of the best documents are in the result's order; by default all.
        activation : {"sigmoid", "identity"}, optional
            The function that makes scores of a classifier's numbers, or of the
            difference between the logits of yes and no. By default as the model's
            makers define it; if they do not say, the sigmoid: scores from 0 to 1.
        instruction : str, optional
            The task, for models that are told of it: by default Qwen's
            "Given a web search query, retrieve relevant passages that answer the
            query".
        truncate : bool, default False
            Whether texts that are too long are cut: the longer one of query and
            document, or of a model that is asked, the document. By default it is an
            error.
        cancel : CancelToken, optional
            Anything with ``is_set()``: ends the call after the pass at hand.
        progress : callable, optional
            Called in this thread with the share of the documents that is done.

        Returns
        -------
        Ranking
            The order of the documents, and the score of each.

        Raises
        ------
        ContextLengthError
            A query and document have more than `n_ctx` tokens; `index` says which.
        ArgumentError
            The model is no reranker, or an argument is not possible.
        ModelOutputError
            A score is not finite, because weights are broken.
        CancelledError
            `cancel` was set.

        Examples
        --------
        >>> llamacy.load("demo").rerank("Who lives there?", ["A pond.", "A boy."])
        Traceback (most recent call last):
        llamacy.errors.ArgumentError: model: wanted a reranker, found family llama
        """
        options = self._checked(top_n, activation, truncate)
        check_cancel(cancel)
        given = given_several(documents, _DOCUMENTS)
        if self._judges:
            jobs = self._questions(query, given, instruction, truncate, cancel)
            judged = calls.measure(self.engine, jobs, progress)
            return _ranked(judged, *options)
        call = self._pairs(query, given, instruction, truncate, cancel, progress)
        return self._ranked(call.run(), *options)

    @checks_options()
    async def arerank(
        self,
        query: str,
        documents: Iterable[str],
        *,
        top_n: int | None = None,
        activation: Activation | None = None,
        instruction: str | None = None,
        truncate: bool = False,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
    ) -> Ranking:
        """Rank documents without blocking the event loop.

        Parameters, result and errors are those of `rerank`. Cancelling the task ends
        the call after the pass at hand.

        Examples
        --------
        >>> async def best(model, query, documents):
        ...     ranking = await model.arerank(query, documents, top_n=1)
        ...     return documents[ranking[0].index]
        """
        options = self._checked(top_n, activation, truncate)
        check_cancel(cancel)
        given = given_several(documents, _DOCUMENTS)
        if self._judges:
            jobs = self._questions(query, given, instruction, truncate, cancel)
            judged = await calls.run_async(self.engine, jobs, progress)
            return _ranked(judged, *options)
        call = self._pairs(query, given, instruction, truncate, cancel, progress)
        return self._ranked(await call.run_async(), *options)

    def _checked(
        self, top_n: int | None, activation: str | None, truncate: bool
    ) -> tuple[Activation, int | None]:
        """Check the options, and that the model is a reranker."""
        checked_flag("truncate", truncate)
        if top_n is not None:
            top_n = checked_integer("top_n", top_n, 1)
        config = self.config.embedding
        if activation is not None:
            chosen = checked_choice("activation", activation, ("sigmoid", "identity"))
            return chosen, top_n  # type: ignore[return-value]
        if len(config.labels) < 2 and config.score_activation:
            return config.score_activation, top_n
        return "sigmoid", top_n

    @property
    def _judges(self) -> bool:
        """Whether it is a model that writes texts, and has no classifier."""
        return self.config.embedding.pooling != "rank" and self.config.is_causal

    def _reader(
        self, query: str, instruction: str | None, truncate: bool
    ) -> PairReader | QuestionReader:
        told = {} if instruction is None else {"instruction": instruction}
        for name, value in {"query": query, **told}.items():
            if not isinstance(value, str):
                raise ArgumentError(f"{name}: wanted a str, found {short(value)}")
            check_text(value, name)
        config = self.config
        if not config.is_causal:
            if instruction is not None:
                wanted = "none, as the model is told nothing"
                raise ArgumentError(f"instruction: wanted {wanted}, found one")
            has_types = config.n_token_types > 1
            two = has_two_ends(self._metadata)
            return PairReader(self.engine, query, truncate, has_types, two)
        form = question_of(self._metadata, config.architecture)
        if form is None:
            family = config.architecture
            raise ArgumentError(f"model: wanted a reranker, found family {family}")
        return QuestionReader(self.engine, form, query, instruction, truncate)

    def _pairs(
        self,
        query: str,
        given: Given,
        instruction: str | None,
        truncate: bool,
        cancel: CancelToken | None,
        progress: OnProgress | None,
    ) -> EmbeddingCall:
        """Return the call that lets the classifier score all documents."""
        labels = self.config.embedding.labels
        if self.config.embedding.pooling != "rank":
            raise ArgumentError(
                "model: wanted a reranker, found an encoder without a classifier: "
                "embed texts, and compare them"
            )
        if len(labels) > 1 and set(labels) != set(YES_OR_NO):
            wanted = "a reranker, with one score or those of yes and no"
            found = f"a classifier with {len(labels)}"
            raise ArgumentError(f"model: wanted {wanted}, found {found}")
        reader = self._reader(query, instruction, truncate)
        form = Form("rank", max(1, len(labels)), normalize=False)
        return EmbeddingCall(self.engine, given, reader, form, cancel, progress)

    def _ranked(self, found: Any, activation: Activation, top_n: int | None) -> Ranking:
        """Rank documents by a classifier's numbers."""
        labels, numbers = self.config.embedding.labels, np.asarray(found)
        if len(labels) > 1:
            yes, no = map(labels.index, YES_OR_NO)
            numbers = numbers[:, yes] - numbers[:, no]
        else:
            numbers = numbers[:, 0]
        return ranking_of(
            numbers, activation, top_n, found.token_counts, found.cut_counts
        )

    def _questions(
        self,
        query: str,
        given: Given,
        instruction: str | None,
        truncate: bool,
        cancel: CancelToken | None,
    ) -> Jobs[_Judgement]:
        """Return the jobs that ask about each document; they share its beginning."""
        engine = self.engine
        reader = self._reader(query, instruction, truncate)
        answers = answer_ids(engine.tokenizer.get(), self.path)

        def make(document: Any, name: str) -> Job[_Judgement]:
            tokens = reader.read(document, name)
            long_texts = engine.executor.long_texts
            goal = Continuations(tokens.ids, (), answers, engine.n_ctx, long_texts)
            request = Request(goal, cancel=cancel)

            def judgement() -> _Judgement:
                if goal.logprobs is None:
                    raise CancelledError("the call was cancelled")
                yes, no = goal.logprobs
                return _Judgement(yes - no, len(tokens.ids), tokens.n_cut)

            return Job([request], judgement)

        return Jobs(given, lambda: make)


def _ranked(
    judged: list[_Judgement], activation: Activation, top_n: int | None
) -> Ranking:
    numbers: NDArray[np.float32] = np.array([one.number for one in judged], np.float32)
    n_tokens = tuple(one.n_tokens for one in judged)
    n_cut = tuple(one.n_cut for one in judged)
    return ranking_of(numbers, activation, top_n, n_tokens, n_cut)
