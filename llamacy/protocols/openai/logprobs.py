"""Log-probabilities of tokens, each with its text and bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llamacy.results import TokenLogprob


def entries(
    logprobs: Iterable[TokenLogprob], token_bytes: Callable[[int], bytes]
) -> list[dict[str, Any]]:
    """Return an entry for each token, with the likeliest tokens in its place.

    Parameters
    ----------
    logprobs : iterable of TokenLogprob
        Log-probabilities.
    token_bytes : callable
        Returns the bytes of a token id.
    """

    def named(token: int, logprob: float) -> dict[str, Any]:
        data = token_bytes(token)
        text = data.decode(errors="ignore")
        return {"token": text, "logprob": logprob, "bytes": list(data)}

    return [
        {
            **named(one.token, one.logprob),
            "top_logprobs": [named(*each) for each in one.top],
        }
        for one in logprobs
    ]
