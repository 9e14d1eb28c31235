"""The calls that an engine serves in a conversation: answers, whole or in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias, cast

from llamacy.chat.formats import TemplateSource
from llamacy.chat.messages import Messages
from llamacy.chat.prompt import ChatPrompt, PromptMaker, PromptOptions
from llamacy.chat.results import ChatCompletion
from llamacy.chat.stream import (
    AsyncChatStream,
    ChatStream,
    chat_completion,
    tell_bad_calls,
)
from llamacy.generation.cancelling import CancelToken, check_cancel
from llamacy.generation.completions import completion
from llamacy.generation.engine import Engine
from llamacy.generation.goals.complete import Complete
from llamacy.generation.jobs import Job, Jobs, Make
from llamacy.generation.options import Raising, Returning
from llamacy.generation.prompts import Given, Kind, given
from llamacy.generation.request import Request
from llamacy.generation.tally import OnProgress
from llamacy.sampling import SamplingOptions, SamplingParams
from llamacy.system.forks import importing

Several: TypeAlias = "Iterable[str | Sequence[Mapping[str, Any]]]"
"""Several conversations, each a list of messages or a text."""

_PROMPT_OPTIONS = PromptOptions.__annotations__.keys()


class ChatOptions(SamplingOptions, PromptOptions, total=False):
    """Sampling options, and how to write a conversation as a prompt."""


class AnswerOptions(ChatOptions, Raising, total=False):
    """An answer to each conversation."""


class AnswerOrErrorOptions(ChatOptions, Returning, total=False):
    """An answer to each conversation, or its error."""


class Question(NamedTuple):
    """A conversation to be answered, as a caller gave it; nothing is checked yet.

    Attributes
    ----------
    messages : list of dict, or str
        The conversation; or several, for `answer_jobs` alone.
    params : SamplingParams or None
        How to choose tokens and when to end.
    options : dict
        Fields of `SamplingParams` and `PromptOptions`.
    cancel : CancelToken or None
        Ends the answer once it is set.
    """

    messages: Messages | Several
    params: SamplingParams | None
    options: ChatOptions | PromptOptions
    cancel: CancelToken | None = None

    def maker(self, engine: Engine, source: TemplateSource) -> PromptMaker:
        """Check everything but the messages, and return what makes prompts of them.

        Parameters
        ----------
        engine : Engine
            Knows the vocabulary and the size of the context.
        source : TemplateSource
            Where the model's chat template is found.
        """
        rest: dict[str, Any] = {**self.options}
        how: Any = {name: rest.pop(name) for name in _PROMPT_OPTIONS & rest}
        params = engine.params(self.params, cast(SamplingOptions, rest))
        tokenizer = engine.tokenizer.get()
        return PromptMaker(params, tokenizer, source, engine.n_ctx, how)

    def prompt(self, engine: Engine, source: TemplateSource) -> ChatPrompt:
        """Write the conversation as a prompt."""
        return self.maker(engine, source).make(cast(Messages, self.messages))

    def request(
        self, engine: Engine, source: TemplateSource
    ) -> tuple[Request[Complete], ChatPrompt]:
        """Make the request of an answer, and the prompt that it answers.

        Raises
        ------
        ArgumentError
            An invalid message, tool or option, or a template whose way of writing
            tool calls is not known.
        """
        maker = self.maker(engine, source)
        maker.check_calls()
        prompt = maker.make(cast(Messages, self.messages))
        return _request(engine, prompt, self.cancel)


def _is_conversation(items: Sequence[Any]) -> bool:
    """Whether the items are messages, or what a caller took for messages."""
    is_message = any(isinstance(item, Mapping) for item in items)
    return is_message or not any(isinstance(item, Sequence) for item in items or [""])


CONVERSATIONS = Kind(
    "messages", "conversations", "a list of dicts, or text", _is_conversation
)


def answer_jobs(
    engine: Engine,
    source: TemplateSource,
    question: Question,
    on_error: str,
    take: Callable[[object, Kind], Given] = given,
) -> Jobs[ChatCompletion]:
    """Return the jobs that answer a conversation, or several.

    Parameters
    ----------
    engine : Engine
        Makes the requests.
    source : TemplateSource
        Where the model's chat template is found.
    question : Question
        Its messages may be those of several conversations.
    on_error : {"raise", "return"}
        Whether the error of one conversation ends the call.
    take : callable
        `given`, or `given_several`.
    """
    conversations = take(question.messages, CONVERSATIONS)
    check_cancel(question.cancel)

    def prepare() -> Make[ChatCompletion]:
        maker = question.maker(engine, source)
        maker.check_calls()

        def make(messages: Messages, _: str) -> Job[ChatCompletion]:
            prompt = maker.make(messages)
            request, prompt = _request(engine, prompt, question.cancel)
            return Job([request], lambda: _answer(request, prompt))

        return make

    return Jobs(conversations, prepare, on_error)


def answers_job(
    engine: Engine, source: TemplateSource, questions: Sequence[Question]
) -> Job[list[ChatCompletion]]:
    """Return the job of several answers, each with options of its own.

    Raises
    ------
    LlamacyError
        An invalid message, tool or option, or a prompt that is too long.
    """
    made = [question.request(engine, source) for question in questions]
    return Job(
        [request for request, _ in made],
        lambda: [_answer(request, prompt) for request, prompt in made],
    )


def _request(
    engine: Engine, prompt: ChatPrompt, cancel: CancelToken | None
) -> tuple[Request[Complete], ChatPrompt]:
    """Make a request of a prompt; return the prompt with the tools it must not call."""
    constraint = None
    if prompt.wanted:
        # most answers are not held to anything
        with importing:
            from llamacy.chat.constrained.constraint import constrained

        tokenizer, compiler = engine.tokenizer.get(), engine.compiler
        constraint, disabled = constrained(
            prompt.wanted, prompt.reader, tokenizer, compiler
        )
        prompt = replace(prompt, disabled_tools=disabled)
    request = engine.request(
        prompt.ids,
        prompt.params,
        cancel,
        token_bytes_override=prompt.written_tokens,
        stop_scope=prompt.stop_scope,
        make_room=prompt.shift,
        constraint=constraint,
    )
    return request, prompt


def _answer(request: Request[Complete], prompt: ChatPrompt) -> ChatCompletion:
    """Return the answer, which is cut short if the request was cancelled."""
    answer = chat_completion(completion(request), prompt)
    if answer.finish_reason != "cancelled":  # else a call may just not be complete
        tell_bad_calls(answer.bad_calls)
    return answer


def stream(
    engine: Engine,
    source: TemplateSource,
    question: Question,
    progress: OnProgress | None,
) -> ChatStream:
    """Start an answer, as a stream of its pieces."""
    request, prompt = question.request(engine, source)
    return ChatStream(engine.worker, request, prompt, progress)


def stream_async(
    engine: Engine,
    source: TemplateSource,
    question: Question,
    progress: OnProgress | None,
) -> AsyncChatStream:
    """Return a stream for a task; it makes its request when it starts."""
    return AsyncChatStream(
        engine.worker, lambda: question.request(engine, source), progress
    )
