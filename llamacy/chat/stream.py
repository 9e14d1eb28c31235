"""An answer piece by piece."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING

from llamacy.chat.prompt import ChatPrompt
from llamacy.chat.results import ChatCompletion, ChatPiece
from llamacy.generation.goals.complete import Complete
from llamacy.generation.request import Request
from llamacy.generation.streams import AsyncStream, Stream
from llamacy.generation.tally import OnProgress
from llamacy.generation.worker import Worker
from llamacy.results import Completion, Piece, TokenLogprob
from llamacy.structured.parsing import with_value

if TYPE_CHECKING:
    from llamacy.chat.reply.reading import Change

MakeRequest = Callable[[], tuple[Request[Complete], ChatPrompt]]
"""Creates a request, and returns it with its prompt."""

_logger = logging.getLogger("llamacy")


class ChatStream(Stream):
    """A stream of an answer; see `llamacy.generation.streams.Stream`.

    Its pieces separate reasoning, text and tool calls; text that may turn out to be a
    call is held back. A tool call arrives whole, once it is complete, and before in
    deltas. `completion` also says how much of the conversation was left out.
    """

    def __init__(
        self,
        worker: Worker,
        request: Request[Complete],
        prompt: ChatPrompt,
        progress: OnProgress | None,
    ) -> None:
        self._prompt = prompt
        self._reading = _Reading(prompt)
        super().__init__(worker, request, progress)

    def __next__(self) -> ChatPiece:
        while True:
            try:
                piece = self._reading.read(super().__next__())
            except StopIteration:
                piece = None if self._is_closed else self._reading.rest()
                if piece is None:
                    raise
            if piece is not None:
                return piece

    @property
    def completion(self) -> ChatCompletion:
        """The answer up to the last piece taken; the whole answer after the last."""
        is_over = self._is_closed or self._reading.is_over
        return chat_completion(super().completion, self._prompt, is_over=is_over)

    def _ipython_display_(self) -> None:
        from llamacy.notebook import cards, live  # only in IPython

        live.show(self, cards.answer_html)


class AsyncChatStream(AsyncStream):
    """The same for coroutines: an `AsyncStream` of an answer."""

    def __init__(
        self, worker: Worker, make: MakeRequest, progress: OnProgress | None = None
    ) -> None:
        self._begun = _Begun(make)
        super().__init__(worker, self._begun, progress)

    async def __anext__(self) -> ChatPiece:
        while True:
            piece = None
            try:
                generated = await super().__anext__()
            except StopAsyncIteration:
                if self._begun.reading is not None and not self._is_closed:
                    piece = self._begun.reading.rest()
                if piece is None:
                    raise
            else:
                assert self._begun.reading is not None
                piece = self._begun.reading.read(generated)
            if piece is not None:
                return piece

    @property
    def completion(self) -> ChatCompletion:
        """The answer up to the last piece taken; the whole answer after the last."""
        reading = self._begun.reading
        is_over = self._is_closed or reading is None or reading.is_over
        prompt = self._begun.prompt
        return chat_completion(super().completion, prompt, is_over=is_over)


class _Begun:
    """Creates a stream's request when the stream begins, and keeps its prompt."""

    def __init__(self, make: MakeRequest) -> None:
        self._make = make
        self.prompt: ChatPrompt | None = None
        self.reading: _Reading | None = None

    def __call__(self) -> list[Request[Complete]]:
        request, self.prompt = self._make()
        self.reading = _Reading(self.prompt)
        return [request]


class _Reading:
    """Turns pieces of generated text into pieces of an answer.

    Attributes
    ----------
    is_over : bool
        Whether the answer has ended, and nothing is held back.
    """

    def __init__(self, prompt: ChatPrompt) -> None:
        self._reply = prompt.reader.begin()
        self._tokens: list[int] = []  # generated, but not part of a piece yet
        self._logprobs: list[TokenLogprob] | None = None
        self.is_over = False

    def read(self, piece: Piece) -> ChatPiece | None:
        """Return the part of the answer that can no longer change, if there is any."""
        self._tokens += piece.tokens
        if piece.logprobs is not None:
            self._logprobs = (self._logprobs or []) + piece.logprobs
        return self._piece(self._reply.push(piece.text))

    def rest(self) -> ChatPiece | None:
        """Return what was held back until the end; None on later calls."""
        if self.is_over:
            return None
        self.is_over = True
        piece = self._piece(self._reply.end())
        tell_bad_calls(self._reply.bad_calls)
        return piece

    def _piece(self, change: Change) -> ChatPiece | None:
        has_last = self.is_over and self._logprobs
        if not change and not has_last:
            return None
        tokens, self._tokens = self._tokens, []
        logprobs, self._logprobs = self._logprobs, None
        return ChatPiece(
            change.text,
            tokens,
            logprobs,
            change.reasoning,
            change.tool_calls,
            change.call_deltas,
        )


def chat_completion(
    completion: Completion, prompt: ChatPrompt | None, *, is_over: bool = True
) -> ChatCompletion:
    """Return generated text as the answer of a conversation.

    Parameters
    ----------
    completion : Completion
        The generated text.
    prompt : ChatPrompt or None
        The prompt it was generated from; None if generation has not begun.
    is_over : bool
        Whether the text has ended; else what may become a tool call is left out.

    Raises
    ------
    MismatchError
        The class that the answer was to be an instance of refuses it.
    """
    same = {field.name: getattr(completion, field.name) for field in fields(Completion)}
    if prompt is None:
        return ChatCompletion(**same)
    reply = prompt.reader.begin()
    reply.push(completion.text)
    if is_over:
        reply.end()
    same["text"] = reply.text
    if reply.tool_calls and completion.finish_reason == "stop":
        same["finish_reason"] = "tool_calls"
    answer = ChatCompletion(
        **same,
        reasoning=reply.reasoning,
        tool_calls=reply.tool_calls,
        bad_calls=reply.bad_calls,
        disabled_tools=prompt.disabled_tools,
        n_dropped=prompt.shift.n_dropped if prompt.shift else prompt.n_dropped,
        n_forgotten=prompt.shift.n_forgotten if prompt.shift else 0,
    )
    whole = prompt.reader.begun_text + reply.text
    return with_value(answer, prompt.wanted.form, whole)


def tell_bad_calls(bad_calls: tuple[str, ...]) -> None:
    """Log tool calls that could not be parsed."""
    for why in bad_calls:
        _logger.warning("a tool call could not be parsed: %s", why)
