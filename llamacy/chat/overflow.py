"""Choosing what to leave out of a conversation that is too long for the context.

The oldest turns go first. System messages at the beginning stay, and so does the
user's last message. Where that is not enough, as in an agent's long turn, the oldest
calls after it are left out too, together with their results.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Any, Literal

Overflow = Literal["error", "truncate", "shift"]
"""How to handle a conversation that is too long for the context."""

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
        self._messages = messages
        self._tokenize = tokenize
        self._kept = list(_choices([message["role"] for message in messages]))

    def prompt(self) -> list[int]:
        """Return the prompt of the whole conversation."""
        return self._tokenize(self._messages)

    def fit(self, n_most: int) -> tuple[list[int], int]:
        """Leave out as few messages as possible.

        Parameters
        ----------
        n_most : int
            Most tokens of the prompt.

        Returns
        -------
        ids : list of int
            The prompt; longer than `n_most` if even the least that must stay is.
        n_dropped : int
            Messages left out.
        """

        def prompt(at: int) -> list[int]:
            return self._tokenize([self._messages[i] for i in self._kept[at]])

        # bisection works because a later choice gives a shorter prompt
        candidates = range(len(self._kept) - 1)
        at = bisect_left(candidates, True, key=lambda at: len(prompt(at)) <= n_most)
        return prompt(at), len(self._messages) - len(self._kept[at])


def _choices(roles: list[str]) -> Iterator[list[int]]:
    """Yield the messages that may stay, as indices: first all, then ever fewer.

    System messages at the beginning stay. Turns go first, each from one message of the
    user's to the next. Then, from the last turn, the assistant's messages go, each
    together with the results of its calls; the user's question stays, and so does the
    last of them.
    """
    n = len(roles)
    n_system = next((i for i, role in enumerate(roles) if role not in _SYSTEM), 0)
    system = list(range(n_system))
    users = [i for i in range(n_system, n) if roles[i] == "user"]
    for start in (n_system, *(i for i in users if i > n_system)):
        yield [*system, *range(start, n)]
    last = users[-1] if users else None
    question = [] if last is None else [last]
    first = n_system if last is None else last + 1
    for start in (i for i in range(first + 1, n) if roles[i] == "assistant"):
        yield [*system, *question, *range(start, n)]


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
            The rest of the conversation and of the answer; None if the last turn
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
