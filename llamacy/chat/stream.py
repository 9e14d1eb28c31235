"""An answer piece by piece."""

from __future__ import annotations

from dataclasses import fields

from llamacy.generation.gather import OnProgress
from llamacy.generation.request import Request
from llamacy.generation.streams import Stream
from llamacy.generation.worker import Worker
from llamacy.results import ChatCompletion, Completion


class ChatStream(Stream):
    """A :class:`~llamacy.generation.streams.Stream` of an answer.

    Its `completion` says what was left out of the conversation.
    """

    def __init__(
        self,
        worker: Worker,
        request: Request,
        progress: OnProgress | None,
        n_dropped: int,
    ) -> None:
        super().__init__(worker, request, progress)
        self._n_dropped = n_dropped

    @property
    def completion(self) -> ChatCompletion:
        """All that was taken so far; the whole answer after the last piece."""
        return chat_completion(super().completion, self._n_dropped)


def chat_completion(completion: Completion, n_dropped: int) -> ChatCompletion:
    """Make the result of a conversation of its generated text."""
    same = {field.name: getattr(completion, field.name) for field in fields(Completion)}
    return ChatCompletion(**same, n_dropped=n_dropped)
