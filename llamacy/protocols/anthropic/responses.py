"""Answers as the messages and events of Anthropic's API."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from llamacy.chat.results import ChatCompletion, ChatPiece, ToolCallDelta
    from llamacy.results import FinishReason, Usage

Event = dict[str, Any]

_UNSIGNED: Final = "unsigned"
"""The signature of reasoning: some clients drop a block that has none."""

_REASONS: Final = {"length": "max_tokens", "tool_calls": "tool_use"}
_DELTAS: Final = {"text": "text_delta", "thinking": "thinking_delta"}


class MessageResponse:
    """Makes the dicts of one answer: the whole, or event after event.

    Parameters
    ----------
    model : str
        The model's name, as the client knows it.
    shows_thinking : bool
        Whether the client wants to see the reasoning.
    """

    def __init__(self, model: str, shows_thinking: bool) -> None:
        self._top = {
            "id": f"msg_{uuid.uuid4().hex}",
            "type": "message",
            "role": "assistant",
            "model": model,
        }
        self._shows_thinking = shows_thinking
        self._open = ""  # the type of the block that is being written
        self._n_blocks = 0
        self._spaces = ""  # which may turn out to be the text's beginning

    def whole(self, answer: ChatCompletion, stop: str | None) -> dict[str, Any]:
        """Return the message of a finished answer.

        Parameters
        ----------
        answer : ChatCompletion
            The answer.
        stop : str or None
            The stop sequence that ended it.
        """
        blocks: list[dict[str, Any]] = []
        if answer.reasoning and self._shows_thinking:
            thought = {"thinking": answer.reasoning, "signature": _UNSIGNED}
            blocks.append({"type": "thinking", **thought})
        if answer.text.strip():
            blocks.append({"type": "text", "text": answer.text})
        blocks += [_block(one.name, one.id, one.arguments) for one in answer.tool_calls]
        return {
            **self._top,
            "content": blocks,
            **_ending(answer.finish_reason, stop),
            "usage": usage(answer.usage),
        }

    def begin(self, counted: Usage) -> Event:
        """Return the first event."""
        message: dict[str, Any] = {
            **self._top,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage(counted),
        }
        return {"type": "message_start", "message": message}

    def push(self, piece: ChatPiece) -> Iterator[Event]:
        """Yield the events of a piece."""
        if piece.reasoning and self._shows_thinking:
            yield from self._add("thinking", piece.reasoning)
        text = self._spaces + piece.text
        self._spaces = ""
        if self._open != "text" and not text.strip():
            self._spaces = text  # a block of nothing but spaces is refused by Anthropic
        elif text:
            yield from self._add("text", text)
        for delta in piece.call_deltas:
            yield from self._call(delta)

    def end(
        self, counted: Usage, reason: FinishReason, stop: str | None
    ) -> Iterator[Event]:
        """Yield the events after the last piece.

        Parameters
        ----------
        counted : Usage
            The token counts.
        reason : FinishReason
            Why the answer ended.
        stop : str or None
            The stop sequence that ended it.
        """
        yield from self._close()
        delta = _ending(reason, stop)
        yield {"type": "message_delta", "delta": delta, "usage": usage(counted)}
        yield {"type": "message_stop"}

    def _add(self, kind: str, text: str) -> Iterator[Event]:
        if self._open != kind:
            yield from self._close()
            signature = {"signature": ""} if kind == "thinking" else {}
            yield self._start({"type": kind, kind: "", **signature})
            self._open = kind
        yield self._delta(**{"type": _DELTAS[kind], kind: text})

    def _call(self, delta: ToolCallDelta) -> Iterator[Event]:
        if delta.name:
            yield from self._close()
            yield self._start(_block(delta.name, delta.id, {}))
            self._open = "tool_use"
        if delta.arguments:
            yield self._delta(type="input_json_delta", partial_json=delta.arguments)

    def _close(self) -> Iterator[Event]:
        if not self._open:
            return
        if self._open == "thinking":
            yield self._delta(type="signature_delta", signature=_UNSIGNED)
        yield {"type": "content_block_stop", "index": self._n_blocks}
        self._n_blocks += 1
        self._open = ""

    def _start(self, block: dict[str, Any]) -> Event:
        place = {"index": self._n_blocks, "content_block": block}
        return {"type": "content_block_start", **place}

    def _delta(self, **delta: str) -> Event:
        return {"type": "content_block_delta", "index": self._n_blocks, "delta": delta}


def usage(counted: Usage) -> dict[str, int]:
    """Return token counts as Anthropic has them: cached tokens count apart.

    Examples
    --------
    >>> from llamacy.results import Usage
    >>> usage(Usage(7, 3, 5))["input_tokens"]
    2
    """
    return {
        "input_tokens": counted.prompt_tokens - counted.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": counted.cached_tokens,
        "output_tokens": counted.completion_tokens,
    }


def found_stop(text: str, stops: Sequence[str]) -> str | None:
    """Return the stop sequence that comes first in a text; None if there is none.

    Parameters
    ----------
    text : str
        All that was generated, the stop sequence included.
    stops : sequence of str
        The stop sequences.

    Examples
    --------
    >>> found_stop("one two three", ["three", "two"])
    'two'
    """
    places = [(text.find(stop), stop) for stop in stops if stop in text]
    return min(places)[1] if places else None


def _ending(reason: FinishReason, stop: str | None) -> dict[str, str | None]:
    ended = "stop_sequence" if stop is not None else "end_turn"
    return {"stop_reason": _REASONS.get(reason, ended), "stop_sequence": stop}


def _block(name: str, id: str, given: dict[str, Any]) -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": name, "input": given}
