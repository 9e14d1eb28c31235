"""The calls of an answer, with their ids, and what has been told of them."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass

from llamacy.chat.reply.parts import Call, CallBegun
from llamacy.chat.results import ToolCall, ToolCallDelta


@dataclass(slots=True, eq=False)
class _Told:
    """A call, what is known of its arguments, and how much of that has been told."""

    name: str
    id: str
    arguments: str = ""
    n_told: int = 0
    index: int | None = None  # None until it is first told

    @property
    def has_news(self) -> bool:
        return self.index is None or self.n_told < len(self.arguments)


class ToldCalls:
    """Numbers the calls of an answer, and tells of them in deltas.

    Parameters
    ----------
    salt : str
        Begins the ids of calls without one of their own.
    """

    def __init__(self, salt: str) -> None:
        self._salt = salt
        self._n_calls = 0
        self._n_indices = 0
        self._begun: deque[_Told] = deque()  # those that have not ended
        self._news: list[_Told] = []

    def begin(self, call: CallBegun) -> None:
        """Note the beginning of a call."""
        told = self._new(call.name, call.id)
        self._begun.append(told)

    def add(self, text: str) -> None:
        """Note more of the arguments of the call that has begun last."""
        told = self._begun[-1]
        told.arguments += text
        self._note(told)

    def end(self, call: Call) -> ToolCall:
        """Note a complete call; return it with its id."""
        whole = json.dumps(call.arguments, ensure_ascii=False)
        told = self._begun.popleft() if self._begun else None
        if told and told.name == call.name and whole.startswith(told.arguments):
            self._note(told)
        else:  # none that has begun has become this one
            told = self._new(call.name, call.id)
        told.arguments = whole
        return ToolCall(call.name, call.arguments, told.id)

    def drop(self) -> None:
        """Note that the calls that have begun, and have not ended, never will."""
        self._begun.clear()

    def forget(self) -> None:
        """Take what was told for untold: the calls that go on are told from the start.

        Calls that have ended are known already.
        """
        self._news = list(self._begun)
        self._n_indices = 0
        for told in self._begun:
            told.n_told, told.index = 0, None

    def deltas(self) -> tuple[ToolCallDelta, ...]:
        """Return what is new."""
        news, self._news = self._news, []
        return tuple(self._delta(told) for told in news if told.has_news)

    def _new(self, name: str, id: str | None) -> _Told:
        told = _Told(name, id or f"{self._salt}{self._n_calls:03}")
        self._n_calls += 1
        self._note(told)
        return told

    def _note(self, told: _Told) -> None:
        if told not in self._news:
            self._news.append(told)

    def _delta(self, told: _Told) -> ToolCallDelta:
        arguments = told.arguments[told.n_told :]
        told.n_told = len(told.arguments)
        if told.index is not None:
            return ToolCallDelta(told.index, arguments)
        told.index = self._n_indices
        self._n_indices += 1
        return ToolCallDelta(told.index, arguments, told.name, told.id)
