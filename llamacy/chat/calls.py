"""A model's calls about conversations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack, cast

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
from llamacy.generation.calls import Texts
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


class Conversations(Texts):
    """What a model does with conversations, too; the base of a model's class.

    Parameters
    ----------
    engine : generates.
    metadata, path : of the model's file.
    """

    def __init__(self, engine: Engine, metadata: Mapping[str, Any], path: str) -> None:
        super().__init__(engine)
        self._template_source = TemplateSource(metadata, path)

    def chat(
        self,
        messages: Messages,
        params: SamplingParams | None = None,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        **options: Unpack[ChatOptions],
    ) -> ChatCompletion:
        """Answer the last message of a conversation.

        Parameters
        ----------
        messages : all of it: dicts with `role` (``"system"``, ``"user"``,
            ``"assistant"``, ``"tool"``) and `content`; or a text, which is the user's
            only one. No name of a control token in them counts as that token.
        params : how to choose tokens and when to end.
        cancel, progress : as :meth:`generate` takes them.
        options : the fields of SamplingParams, and:

            chat_format : how to write the conversation: one of
            ``llamacy.CHAT_FORMATS``, or a template in Jinja's language; None is the
            template in the model's file.

            overflow : what to do if the context does not hold all. ``"error"``, the
            default, raises. ``"truncate"`` leaves the oldest turns out, keeping what
            the system says at the beginning and room for the answer (`max_tokens`, at
            most half of the context; a quarter if that is None). ``"shift"`` does
            that with a quarter, and again whenever the answer fills the context,
            which then is no end: with `max_tokens` None, an answer ends where the
            model ends it.

            tools : what the model may want called: functions, with a docstring and
            type hints, or JSON schemas of such as OpenAI's.

            template_arguments : other names that the template knows, as in
            ``{"enable_thinking": False}``.

        Raises
        ------
        ChatTemplateError : the model has no template, or it fails.
        ContextLengthError : the context does not hold the messages and an answer.
        ArgumentError : a message or a tool that is none, a bad option.

        Examples
        --------
        >>> messages = [{"role": "user", "content": "Why is the sky blue?"}]
        >>> answer = model.chat(messages)  # doctest: +SKIP
        >>> messages.append(answer.message)  # doctest: +SKIP
        """
        request, prompt = self._chat_request(messages, params, cancel, dict(options))
        gather(self._engine.worker, [request], progress)
        return _answer(request, prompt)

    def stream_chat(
        self,
        messages: Messages,
        params: SamplingParams | None = None,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        **options: Unpack[ChatOptions],
    ) -> ChatStream:
        """Answer the last message of a conversation, piece by piece.

        Takes what :meth:`chat` takes, and checks it at once.
        """
        request, prompt = self._chat_request(messages, params, cancel, dict(options))
        return ChatStream(self._engine.worker, request, prompt, progress)

    async def achat(
        self,
        messages: Messages,
        params: SamplingParams | None = None,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        **options: Unpack[ChatOptions],
    ) -> ChatCompletion:
        """Do what :meth:`chat` does, without blocking the event loop.

        Cancelling the task ends the generation after the pass at hand.
        """
        prompts: list[ChatPrompt] = []

        def make() -> list[Request[Complete]]:
            given = dict(options)
            request, prompt = self._chat_request(messages, params, cancel, given)
            prompts.append(prompt)
            return [request]

        (request,) = await made_in_thread(make)
        await gather_async(self._engine.worker, [request], progress)
        return _answer(request, prompts[0])

    def astream_chat(
        self,
        messages: Messages,
        params: SamplingParams | None = None,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        **options: Unpack[ChatOptions],
    ) -> AsyncChatStream:
        """Do what :meth:`stream_chat` does, without blocking the event loop.

        It begins, and its arguments are checked, by `await stream.start()`, which an
        `async with` block runs, or when the first piece is asked for.
        """
        self._check_open()
        return AsyncChatStream(
            self._engine.worker,
            lambda: self._chat_request(messages, params, cancel, dict(options)),
            progress,
        )

    def chat_prompt(
        self, messages: Messages, **options: Unpack[PromptOptions]
    ) -> list[int]:
        """Token ids of the prompt that :meth:`chat` makes of a conversation.

        ``model.tokenizer.decode(ids, skip_special=False)`` shows what was written.
        """
        return self._chat_prompt(messages, None, dict(options)).ids

    def _chat_request(
        self,
        messages: Messages,
        params: SamplingParams | None,
        cancel: CancelToken | None,
        options: dict[str, Any],
    ) -> tuple[Request[Complete], ChatPrompt]:
        prompt = self._chat_prompt(messages, params, options)
        request = self._engine.request(
            prompt.ids,
            prompt.params,
            cancel,
            token_bytes_override=prompt.written_tokens,
            make_room=prompt.shift,
        )
        return request, prompt

    def _chat_prompt(
        self,
        messages: Messages,
        params: SamplingParams | None,
        options: dict[str, Any],
    ) -> ChatPrompt:
        self._check_open()
        engine = self._engine
        how: Any = {name: options.pop(name) for name in _PROMPT_OPTIONS & options}
        checked = engine.params(params, cast(SamplingOptions, options))
        return make_prompt(
            messages,
            checked,
            engine.tokenizer.get(),
            self._template_source,
            engine.n_ctx,
            how,
        )


def _answer(request: Request[Complete], prompt: ChatPrompt) -> ChatCompletion:
    answer = chat_completion(completion(request), prompt)
    tell_bad_calls(answer.bad_calls)
    return answer
