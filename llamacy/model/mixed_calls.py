"""Any number of calls of one model, of all kinds, each with options of its own.

`generate_each` and `chat_each` have one set of options for all prompts. The rows of a
job in OpenAI's form, or with seeds of their own, have one each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from llamacy.chat.calls import Question, answers_job
from llamacy.chat.results import ChatCompletion
from llamacy.errors import LlamacyError
from llamacy.generation.calls import texts_job
from llamacy.generation.cancelling import CancelToken, check_cancel
from llamacy.generation.each import Each
from llamacy.generation.embedding.vectors import Embeddings, vector_of_each
from llamacy.generation.jobs import Job, Jobs
from llamacy.generation.prompts import Given, Kind
from llamacy.model.embeddings import EmbedOptions
from llamacy.model.lengths import check_length, texts_of
from llamacy.model.model import Model
from llamacy.model.prompt_ids import prompt_ids


@dataclass(frozen=True, slots=True)
class TextCall:
    """Prompts to continue.

    Attributes
    ----------
    prompts : sequence of str, or of sequences of int
        Texts, or their token ids.
    options : sequence of mappings
        Fields of `SamplingParams`: those of each text that is wanted of a prompt.
    has_marks : bool, default False
        Whether names of control tokens in a text are those tokens.
    """

    prompts: Sequence[str | Sequence[int]]
    options: Sequence[Mapping[str, Any]]
    has_marks: bool = False

    @property
    def beginning(self) -> str:
        """A text that begins as the prompts do, to find calls that begin alike."""
        first = self.prompts[0] if self.prompts else ""
        return first if isinstance(first, str) else " ".join(map(str, first))


@dataclass(frozen=True, slots=True)
class AnswerCall:
    """A conversation to answer.

    Attributes
    ----------
    messages : sequence of dict
        The conversation.
    options : sequence of mappings
        Options of `Model.chat`: those of each answer that is wanted.
    """

    messages: Sequence[Mapping[str, Any]]
    options: Sequence[Mapping[str, Any]]

    @property
    def beginning(self) -> str:
        """A text that begins as the prompt does."""
        return "\n".join(texts_of(self.messages))


@dataclass(frozen=True, slots=True)
class EmbeddingCall:
    """Texts to embed.

    Attributes
    ----------
    texts : sequence of str
        At least one.
    options : EmbedOptions
        Options of `Model.embed`.
    """

    texts: Sequence[str]
    options: EmbedOptions

    @property
    def beginning(self) -> str:
        """The first text."""
        return self.texts[0] if self.texts else ""


Call: TypeAlias = "TextCall | AnswerCall | EmbeddingCall"

Outcome: TypeAlias = "list[Any] | Embeddings"
"""The texts or answers of a call, or its vectors."""

_CALLS = Kind("call", "calls", "a call", lambda items: False)


def each_call(
    model: Model,
    calls: Iterable[Call | LlamacyError],
    cancel: CancelToken | None = None,
) -> Each[Outcome | LlamacyError]:
    """Run any number of calls, and yield the outcome of each as soon as it has ended.

    Parameters
    ----------
    model : Model
        The model.
    calls : iterable of TextCall, AnswerCall or EmbeddingCall
        They are taken as earlier ones end. An error in the place of a call is its
        outcome.
    cancel : CancelToken, optional
        Once it is set, texts end as ``"cancelled"``, and no more calls are taken.

    Returns
    -------
    iterator of Finished
        Index and outcome of each call; the outcome of one that failed is its error.
        Close it, or leave its ``with`` block, to end the rest.
    """
    check_cancel(cancel)

    def make(call: Call | LlamacyError, _: str) -> Job[Outcome]:
        if isinstance(call, LlamacyError):
            raise call
        return _job(model, call, cancel)

    # errors need no index, as those of one prompt
    given = Given(calls, _CALLS, is_one=True)
    return Each(model.engine.worker, Jobs(given, lambda: make, "return"), cancel)


def check_options(model: Model, options: Mapping[str, Any], *, answers: bool) -> None:
    """Check options as far as they do not depend on a prompt.

    Parameters
    ----------
    model : Model
        The model.
    options : mapping
        Options of `Model.chat`, or of `Model.generate`.
    answers : bool
        Whether they are for answers.

    Raises
    ------
    LlamacyError
        The model has no template for answers, or refuses an option.
    """
    if answers:
        question = Question("", None, {**options})  # type: ignore[arg-type]
        question.maker(model.engine, model._template_source).check_calls()
    else:
        model.engine.params(None, {**options})  # type: ignore[typeddict-item]


def _job(model: Model, call: Call, cancel: CancelToken | None) -> Job[Any]:
    if isinstance(call, AnswerCall):
        return _answers(model, call, cancel)
    if isinstance(call, TextCall):
        return _texts(model, call, cancel)
    if not call.options.get("truncate"):
        check_length(model, call.texts)
    job = model._embedding_job(call.texts, cancel, call.options)
    return Job(job.requests, lambda: vector_of_each(job.result))


def _answers(
    model: Model, call: AnswerCall, cancel: CancelToken | None
) -> Job[list[ChatCompletion]]:
    check_length(model, ["\n".join(texts_of(call.messages))])
    questions: list[Any] = [
        Question(call.messages, None, {**options}, cancel)  # type: ignore[arg-type]
        for options in call.options
    ]
    return answers_job(model.engine, model._template_source, questions)


def _texts(model: Model, call: TextCall, cancel: CancelToken | None) -> Job[list[Any]]:
    check_length(model, [one for one in call.prompts if isinstance(one, str)])
    prompts: list[Any] = list(call.prompts)
    if call.has_marks:
        prompts = [prompt_ids(model, prompt) for prompt in prompts]
    params = [
        model.engine.params(None, {**options})  # type: ignore[typeddict-item]
        for options in call.options
    ]
    return texts_job(model.engine, prompts, params, cancel)
