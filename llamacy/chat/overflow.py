"""Conversations that the context does not hold: what is left out of them.

The oldest turns go first. What the system says at the beginning stays, and so does
the user's last message, with whatever follows it.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable
from typing import Any, Literal

Overflow = Literal["error", "truncate", "shift"]
"""What to do with a conversation that is too long."""

_SYSTEM = ("system", "developer")

Tokenized = Callable[[list[dict[str, Any]]], list[int]]

_logger = logging.getLogger("llamacy")


class Turns:
    """A conversation that may begin with a later turn.

    Parameters
    ----------
    messages : the whole of it.
    tokenized : makes the prompt of one.
    """

    def __init__(self, messages: list[dict[str, Any]], tokenized: Tokenized) -> None:
        roles = [message["role"] for message in messages]
        first = next((i for i, role in enumerate(roles) if role not in _SYSTEM), 0)
        self._messages = messages
        self._tokenized = tokenized
        self._n_system = first
        # where the rest may begin
        self._starts = [i for i in range(first + 1, len(roles)) if roles[i] == "user"]
        self._starts.insert(0, first)

    def prompt(self, n_dropped: int = 0) -> list[int]:
        """Make the prompt, with `n_dropped` of the oldest messages left out."""
        first = self._n_system
        kept = self._messages[:first] + self._messages[first + n_dropped :]
        return self._tokenized(kept)

    def fitted(self, n_most: int) -> tuple[list[int], int]:
        """Leave out as few turns as will do.

        Parameters
        ----------
        n_most : tokens that the prompt may have.

        Returns
        -------
        The prompt, which is too long if the last turn alone is, and how many
        messages were left out.
        """

        def n_dropped(at: int) -> int:
            return self._starts[at] - self._n_system

        # the later it begins, the shorter it is
        candidates = range(len(self._starts) - 1)
        at = bisect_left(
            candidates, True, key=lambda at: len(self.prompt(n_dropped(at))) <= n_most
        )
        return self.prompt(n_dropped(at)), n_dropped(at)


def truncated(turns: Turns, n_most: int) -> tuple[list[int], int]:
    """Leave the oldest messages out if there are too many.

    Half of the room is made free at a time: the next turns then begin where this one
    does, and find most of their prompt in the cache, where otherwise each would have
    to be read from the beginning.

    Parameters
    ----------
    turns : the conversation.
    n_most : tokens that the prompt may have.

    Returns
    -------
    As :meth:`Turns.fitted`.
    """
    whole = turns.prompt()
    if len(whole) <= n_most:
        return whole, 0
    # Counted from the beginning of the conversation, which stays where it is.
    step = max(n_most // 2, 1)
    n_least = -(-(len(whole) - n_most) // step) * step
    return turns.fitted(len(whole) - n_least)


class Shift:
    """Makes room in a full context, so that an answer can go on.

    Half of the context is made free at a time. When nothing but the last turn is left
    of the conversation, the answer's own beginning goes.

    Parameters
    ----------
    turns : the conversation.
    n_ctx : tokens that the context holds.
    n_dropped : messages that were left out before.

    Attributes
    ----------
    n_dropped : messages left out by now.
    n_forgotten : tokens of the answer left out.
    """

    def __init__(self, turns: Turns, n_ctx: int, n_dropped: int) -> None:
        self.n_dropped = n_dropped
        self.n_forgotten = 0
        self._turns = turns
        self._n_ctx = n_ctx

    def __call__(self, answer: list[int]) -> list[int] | None:
        """Return the tokens to go on with, fewer than the context holds.

        Parameters
        ----------
        answer : tokens generated so far.

        Returns
        -------
        The conversation's and the answer's; None if the last turn alone leaves less
        room than an eighth of the context, in which no answer could go on.
        """
        half = self._n_ctx // 2
        n_answer = len(answer) - self.n_forgotten
        ids, self.n_dropped = self._turns.fitted(half - n_answer)
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
