"""Leaving out the oldest turns of a conversation that no longer fits."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any, Literal

Overflow = Literal["error", "truncate"]
"""What to do with a conversation that is too long."""

_SYSTEM = ("system", "developer")

Tokenized = Callable[[list[dict[str, Any]]], list[int]]


def truncated(
    messages: list[dict[str, Any]], tokenized: Tokenized, n_most: int
) -> tuple[list[int], int]:
    """Leave the oldest messages out if there are too many.

    What the system says at the beginning stays, and so does the user's last message;
    what is left begins with a message of the user. Half of the room is made free at a
    time: the next turns then begin where this one does, and find most of their prompt
    in the cache, where otherwise each would have to be read from the beginning.

    Parameters
    ----------
    messages : the conversation.
    tokenized : makes the prompt of one.
    n_most : tokens that the prompt may have.

    Returns
    -------
    The prompt, which is too long if the last message alone is, and how many messages
    were left out.
    """
    roles = [message["role"] for message in messages]
    n_system = next((i for i, role in enumerate(roles) if role not in _SYSTEM), 0)
    # where the rest may begin
    starts = [i for i in range(n_system + 1, len(roles)) if roles[i] == "user"]
    starts.insert(0, n_system)

    def prompt(start: int) -> list[int]:
        return tokenized(messages[:n_system] + messages[start:])

    whole = prompt(n_system)
    if len(whole) <= n_most:
        return whole, 0
    # Counted from the beginning of the conversation, which stays where it is.
    step = max(n_most // 2, 1)
    n_least = -(-(len(whole) - n_most) // step) * step
    n_left = len(whole) - n_least
    # the later it begins, the shorter it is
    at = bisect_left(starts, True, key=lambda start: len(prompt(start)) <= n_left)
    start = starts[min(at, len(starts) - 1)]
    return prompt(start), start - n_system
