"""Chunks that OpenAI's streams have in common: usage, errors, progress, and the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from llamacy.protocols.openai.common import CompletionUsage, Head
from llamacy.server.errors import Refusal
from llamacy.server.reading_progress import comment
from llamacy.server.responses import event
from llamacy.server.shapes import openai_error

DONE: Final = b"data: [DONE]\n\n"


def usage_chunk(head: Head, kind: str, usage: CompletionUsage) -> dict[str, Any]:
    """Return the last chunk of a stream that was asked for its token counts."""
    return {**_top(head, kind), "choices": [], "usage": usage}


def failure(refusal: Refusal) -> bytes:
    """Return the event of an error in a stream that has begun.

    It has no event line: OpenAI's clients raise only what data has under `error`.
    """
    return event(openai_error(refusal))


class Progress:
    """How much of a stream's prompts has been read, told while nothing else is.

    Parameters
    ----------
    n : int
        Number of texts.
    head : Head
        The fields that the stream's chunks share.
    kind : str
        The type of object that its chunks are.
    is_wanted : bool
        Whether clients asked for chunks about it; else it stands in comments.
    """

    def __init__(self, n: int, head: Head, kind: str, is_wanted: bool) -> None:
        self._shares = [0.0] * n
        self._top = _top(head, kind)
        self._is_wanted = is_wanted

    def of(self, index: int) -> Callable[[float], None]:
        """Return the function that notes the progress of one text."""

        def note(share: float) -> None:
            self._shares[index] = share

        return note

    def said(self) -> bytes:
        """Return a comment about the progress, or a chunk."""
        share = sum(self._shares) / len(self._shares)
        if self._is_wanted and share < 1:
            told = {"prompt_progress": {"share": round(share, 4)}}
            return event({**self._top, "choices": [], **told})
        return comment(share)


def _top(head: Head, kind: str) -> dict[str, Any]:
    return {
        "id": head.id,
        "object": kind,
        "created": head.created,
        "model": head.model,
    }
