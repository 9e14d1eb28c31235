"""A model's calls about answers piece by piece."""

from __future__ import annotations

from typing import Unpack

from llamacy.arguments import checks_options
from llamacy.chat import calls
from llamacy.chat.calls import ChatOptions, Question
from llamacy.chat.formats import TemplateSource
from llamacy.chat.messages import Messages
from llamacy.chat.stream import AsyncChatStream, ChatStream
from llamacy.generation.cancelling import CancelToken
from llamacy.generation.tally import OnProgress
from llamacy.model.opened import Opened
from llamacy.sampling import SamplingParams


class ConversationStreams(Opened):
    """The part of a `Model` that answers messages piece by piece."""

    _template_source: TemplateSource

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
