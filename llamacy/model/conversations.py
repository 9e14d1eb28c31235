"""A model's calls about conversations: the answer to the last message."""

from __future__ import annotations

from typing import Unpack

from llamacy.arguments import checks_options
from llamacy.chat import calls
from llamacy.chat.calls import ChatOptions, Question
from llamacy.chat.formats import TemplateSource
from llamacy.chat.messages import Messages
from llamacy.chat.prompt import PromptOptions
from llamacy.chat.results import ChatCompletion
from llamacy.chat.stream import AsyncChatStream, ChatStream
from llamacy.generation.cancelling import CancelToken
from llamacy.generation.gather import OnProgress
from llamacy.model.opened import Opened
from llamacy.sampling import SamplingParams


class Conversations(Opened):
    """The part of a `Model` that answers messages."""

    _template_source: TemplateSource

    @checks_options(ChatOptions)
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

        The conversation is written in the model's own format, by the chat template in
        its file, because it was tuned on that. Give the whole conversation each time:
        tokens read or generated before are found in the KV cache, so that each turn
        reads only the new ones. Names of control tokens in messages are plain text: no
        message can end itself and go on as the system.

        Parameters
        ----------
        messages : list of dict, or str
            Dicts with `role` (``"system"``, ``"user"``, ``"assistant"``, ``"tool"``)
            and `content`; or one text, which the user says.
        params : SamplingParams, optional
            How to choose tokens, and when to end.
        cancel, progress : optional
            As for `generate`.
        chat_format : str, optional
            One of ``llamacy.CHAT_FORMATS``, or a template in Jinja's language. By
            default it is the template in the model's file.
        overflow : {"error", "truncate", "shift"}, default "error"
            Handling of a conversation that is longer than the context. ``"error"``
            raises, because forgetting must not go unnoticed. ``"truncate"`` leaves out
            the oldest turns, but not the system's message at the beginning, and keeps
            room for the answer: `max_tokens`, at most half of the context; a quarter of
            it if that is None. ``"shift"`` keeps a quarter, and truncates again
            whenever the answer fills the context, so that only the model or
            `max_tokens` ends it.
        tools : sequence of callable or dict, optional
            Functions that the model may ask to be called, with docstrings and type
            hints, or JSON schemas as in OpenAI's API. llamacy calls none of them.
        template_arguments : dict, optional
            Other variables of the template, such as ``{"enable_thinking": False}``.
        **options : SamplingOptions
            Fields of `SamplingParams` one by one; they override `params`.

        Returns
        -------
        ChatCompletion
            The answer, its reasoning, and the tool calls that it asks for.

        Raises
        ------
        ChatTemplateError
            The model has no template, or its template fails.
        ContextLengthError
            The context does not hold the messages and an answer.
        ArgumentError
            An invalid message, tool or option.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> messages = [{"role": "user", "content": "What is 12 + 30?"}]
        >>> answer = model.chat(messages, temperature=0)
        >>> answer.text
        '42'
        >>> messages += [answer.message, {"role": "user", "content": "Why?"}]
        """
        question = Question(messages, params, options, cancel)
        return calls.answer(self.engine, self._template_source, question, progress)

    @checks_options(ChatOptions)
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

        Parameters and errors are those of `chat`, and are checked at once.

        Returns
        -------
        ChatStream
            An iterator of `ChatPiece`, which tells reasoning, text and tool calls
            apart.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> for piece in model.stream_chat("What is 12 + 30?", temperature=0):
        ...     print(piece.text, end="")
        42
        """
        question = Question(messages, params, options, cancel)
        return calls.stream(self.engine, self._template_source, question, progress)

    @checks_options(ChatOptions)
    async def achat(
        self,
        messages: Messages,
        params: SamplingParams | None = None,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        **options: Unpack[ChatOptions],
    ) -> ChatCompletion:
        """Answer the last message of a conversation without blocking the event loop.

        Parameters, result and errors are those of `chat`. Cancelling the task ends the
        answer after the pass at hand.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> asyncio.run(model.achat("What is 12 + 30?", temperature=0)).text
        '42'
        """
        question = Question(messages, params, options, cancel)
        source = self._template_source
        return await calls.answer_async(self.engine, source, question, progress)

    @checks_options(ChatOptions)
    def astream_chat(
        self,
        messages: Messages,
        params: SamplingParams | None = None,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        **options: Unpack[ChatOptions],
    ) -> AsyncChatStream:
        """Answer the last message, piece by piece, without blocking the event loop.

        Parameters and errors are those of `chat`. Messages and options are checked on
        another thread when the stream starts: by `start`, at the beginning of an
        ``async with`` block, or with the first piece.

        Returns
        -------
        AsyncChatStream
            An asynchronous iterator of `ChatPiece`.

        Examples
        --------
        >>> async def ask(text):
        ...     async with model.astream_chat(text, temperature=0) as stream:
        ...         return "".join([piece.text async for piece in stream])
        >>> model = llamacy.load("demo")
        >>> asyncio.run(ask("What is the capital of Italy?"))
        'Rome'
        """
        question = Question(messages, params, options, cancel)
        source = self._template_source
        return calls.stream_async(self.engine, source, question, progress)

    @checks_options(PromptOptions)
    def chat_prompt(
        self, messages: Messages, **options: Unpack[PromptOptions]
    ) -> list[int]:
        r"""Return the token ids of the prompt that `chat` makes of a conversation.

        See what a template makes of messages, or count tokens before you ask.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> ids = model.chat_prompt("What is 12 + 30?")
        >>> model.tokenizer.decode(ids, skip_special=False)
        '<s>### Instruction:\nWhat is 12 + 30?\n\n### Response:\n'
        """
        question = Question(messages, None, options)
        return question.prompt(self.engine, self._template_source).ids
