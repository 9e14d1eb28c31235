"""The calls that an engine serves in a conversation: answers, whole or in pieces."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from llamacy.chat.formats import TemplateSource
from llamacy.chat.messages import Messages
from llamacy.chat.prompt import ChatPrompt, PromptOptions, make_prompt
from llamacy.chat.results import ChatCompletion
from llamacy.chat.stream import (
    AsyncChatStream,
    ChatStream,
    chat_completion,
    tell_bad_calls,
)
from llamacy.errors import ArgumentError
from llamacy.generation.cancelling import CancelToken
from llamacy.generation.completions import completion
from llamacy.generation.engine import Engine
from llamacy.generation.gather import OnProgress, gather, gather_async, made_in_thread
from llamacy.generation.goals.complete import Complete
from llamacy.generation.request import Request
from llamacy.sampling import SamplingOptions, SamplingParams

_PROMPT_OPTIONS = PromptOptions.__annotations__.keys()


class ChatOptions(SamplingOptions, PromptOptions, total=False):
    """Sampling options, and how to write a conversation as a prompt."""


class Question(NamedTuple):
    """A conversation to be answered, as a caller gave it; nothing is checked yet.

    Attributes
    ----------
    messages : list of dict, or str
        The conversation.
    params : SamplingParams or None
        How to choose tokens and when to end.
    options : dict
        Fields of `SamplingParams` and `PromptOptions`.
    cancel : CancelToken or None
        Ends the answer once it is set.
    """

    messages: Messages
    params: SamplingParams | None
    options: ChatOptions | PromptOptions
    cancel: CancelToken | None = None

    def prompt(self, engine: Engine, source: TemplateSource) -> ChatPrompt:
        """Write the conversation as a prompt.

        Parameters
        ----------
        engine : Engine
            Knows the vocabulary and the size of the context.
        source : TemplateSource
            Where the model's chat template is found.
        """
        given: dict[str, Any] = {**self.options}
        how: Any = {name: given.pop(name) for name in _PROMPT_OPTIONS & given}
        params = engine.params(self.params, cast(SamplingOptions, given))
        tokenizer = engine.tokenizer.get()
        return make_prompt(self.messages, params, tokenizer, source, engine.n_ctx, how)

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
        prompt = self.prompt(engine, source)
        if not prompt.reader.style.is_known:
            raise ArgumentError(
                "tools: wanted a template whose tool calls llamacy can read, found one "
                "with none of the marks it knows; write the tools into a message, and "
                "read the answer's text yourself"
            )
        request = engine.request(
            prompt.ids,
            prompt.params,
            self.cancel,
            token_bytes_override=prompt.written_tokens,
            stop_scope=prompt.stop_scope,
            make_room=prompt.shift,
        )
        return request, prompt


def answer(
    engine: Engine,
    source: TemplateSource,
    question: Question,
    progress: OnProgress | None,
) -> ChatCompletion:
    """Return the whole answer."""
    request, prompt = question.request(engine, source)
    gather(engine.worker, [request], progress)
    return _finished(request, prompt)


async def answer_async(
    engine: Engine,
    source: TemplateSource,
    question: Question,
    progress: OnProgress | None,
) -> ChatCompletion:
    """Return the whole answer without blocking the event loop."""
    prompts: list[ChatPrompt] = []

    def make() -> list[Request[Complete]]:
        request, prompt = question.request(engine, source)
        prompts.append(prompt)
        return [request]

    (request,) = await made_in_thread(make)
    await gather_async(engine.worker, [request], progress)
    return _finished(request, prompts[0])


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


def _finished(request: Request[Complete], prompt: ChatPrompt) -> ChatCompletion:
    answer = chat_completion(completion(request), prompt)
    tell_bad_calls(answer.bad_calls)
    return answer
