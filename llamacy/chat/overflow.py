"""Choosing what to leave out of a conversation that is too long for the context.

The oldest turns go first. System messages at the beginning stay, and so does the
user's last message, with everything after it.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable
from typing import Any, Literal

Overflow = Literal["error", "truncate", "shift"]
"""What to do with a conversation that is too long for the context."""

_SYSTEM = ("system", "developer")

Tokenize = Callable[[list[dict[str, Any]]], list[int]]

_logger = logging.getLogger("llamacy")


class Turns:
    """A conversation whose oldest turns can be left out.

    Parameters
    ----------
    messages : list of dict
        The whole conversation.
    tokenize : callable
        Turns a list of messages into the token ids of a prompt.
    """

    def __init__(self, messages: list[dict[str, Any]], tokenize: Tokenize) -> None:
        roles = [message["role"] for message in messages]
        first = next((i for i, role in enumerate(roles) if role not in _SYSTEM), 0)
        self._messages = messages
        self._tokenize = tokenize
        self._n_system = first
        # indices at which the remaining messages may begin
        self._starts = [i for i in range(first + 1, len(roles)) if roles[i] == "user"]
        self._starts.insert(0, first)

    def prompt(self, n_dropped: int = 0) -> list[int]:
        """Return the prompt without the `n_dropped` oldest messages."""
        first = self._n_system
        remaining = self._messages[:first] + self._messages[first + n_dropped :]
        return self._tokenize(remaining)

    def fit(self, n_most: int) -> tuple[list[int], int]:
        """Leave out as few turns as possible.

        Parameters
        ----------
        n_most : int
            Most tokens of the prompt.

        Returns
        -------
        ids : list of int
            The prompt; longer than `n_most` if the last turn alone is.
        n_dropped : int
            Messages left out.
        """

        def n_dropped(at: int) -> int:
            return self._starts[at] - self._n_system

        # bisection works because a later start gives a shorter prompt
        candidates = range(len(self._starts) - 1)
        at = bisect_left(
            candidates, True, key=lambda at: len(self.prompt(n_dropped(at))) <= n_most
        )
        return self.prompt(n_dropped(at)), n_dropped(at)


def truncate(turns: Turns, n_most: int) -> tuple[list[int], int]:
    """Leave out the oldest messages if the conversation is too long.

    Frees half of the room at a time: the following turns then start at the same
    message and find most of their prompt in the prefix cache. Dropping as little as
    possible would move the start each turn, and each prompt would be read anew.

    Parameters
    ----------
    turns : Turns
        The conversation.
    n_most : int
        Most tokens of the prompt.

    Returns
    -------
    ids : list of int
        The prompt.
    n_dropped : int
        Messages left out.
    """
    whole = turns.prompt()
    if len(whole) <= n_most:
        return whole, 0
    # Steps count from the start of the conversation, so that they fall at the same
    # messages in every turn.
    step = max(n_most // 2, 1)
    n_least = -(-(len(whole) - n_most) // step) * step
    return turns.fit(len(whole) - n_least)


class Shift:
    """Context shift: makes room in a full context, so that an answer can go on.

    Frees half of the context at a time. Once only the last turn of the conversation
    remains, the beginning of the answer itself is dropped.

    Parameters
    ----------
    turns : Turns
        The conversation.
    n_ctx : int
        Tokens that the context holds.
    n_dropped : int
        Messages already left out.

    Attributes
    ----------
    n_dropped : int
        Messages left out so far.
    n_forgotten : int
        Tokens dropped from the beginning of the answer.
    """

    def __init__(self, turns: Turns, n_ctx: int, n_dropped: int) -> None:
        self.n_dropped = n_dropped
        self.n_forgotten = 0
        self._turns = turns
        self._n_ctx = n_ctx

    def __call__(self, answer: list[int]) -> list[int] | None:
        """Return the tokens to continue from, fewer than the context holds.

        Parameters
        ----------
        answer : list of int
            Tokens generated so far.

        Returns
        -------
        list of int or None
            What remains of the conversation and of the answer; None if the last turn
            leaves less than an eighth of the context: too little for an answer.
        """
        half = self._n_ctx // 2
        n_answer = len(answer) - self.n_forgotten
        ids, self.n_dropped = self._turns.fit(half - n_answer)
        room = self._n_ctx - len(ids)
        if room < max(self._n_ctx // 8, 2):
            return None
        if len(ids) + n_answer > half:
            n_answer = min(n_answer, room // 2)
        self.n_forgotten = len(answer) - n_answer
        _logger.info(
            "the context is full: %d messages left out, and %d tokens of the answer",
            self.n_dropped,
            self.n_forgotten,
        )
        return ids + answer[self.n_forgotten :]
