"""Parts that all of OpenAI's responses have."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NotRequired, Self, TypedDict

from llamacy.results import Usage

if TYPE_CHECKING:
    from llamacy.results import FinishReason

OpenAIReason = Literal["stop", "length", "tool_calls"]
"""Why a text ended, in OpenAI's words."""


class PromptTokensDetails(TypedDict):
    """Tokens of the prompt that were not read again."""

    cached_tokens: int


class CompletionUsage(TypedDict):
    """Tokens read and written."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: NotRequired[PromptTokensDetails]


@dataclass(frozen=True, slots=True)
class Head:
    """The fields that all chunks of one response share.

    Attributes
    ----------
    id : str
        Identifies the response.
    created : int
        When it was begun, seconds since 1970.
    model : str
        The model's name, as the client knows it.
    """

    id: str
    created: int
    model: str

    @classmethod
    def new(cls, prefix: str, model: str) -> Self:
        """Return the head of a response that begins now.

        Parameters
        ----------
        prefix : str
            Begins the id: ``"cmpl"`` or ``"chatcmpl"``.
        model : str
            The model's name.
        """
        return cls(f"{prefix}-{uuid.uuid4()}", int(time.time()), model)


def usage(counted: Usage) -> CompletionUsage:
    """Return the dict of token counts.

    Examples
    --------
    >>> from llamacy.results import Usage
    >>> usage(Usage(prompt_tokens=5, completion_tokens=8))
    {'prompt_tokens': 5, 'completion_tokens': 8, 'total_tokens': 13}
    """
    return {
        "prompt_tokens": counted.prompt_tokens,
        "completion_tokens": counted.completion_tokens,
        "total_tokens": counted.total_tokens,
    }


def total(prompts: Iterable[Sequence[Usage]]) -> Usage:
    """Return the token counts of one response.

    Parameters
    ----------
    prompts : iterable of sequences of Usage
        The counts of each prompt's texts; the prompt counts once.

    Examples
    --------
    >>> from llamacy.results import Usage
    >>> both = total([[Usage(5, 8, 2), Usage(5, 1, 5)]])
    >>> both.prompt_tokens, both.completion_tokens, both.cached_tokens
    (5, 9, 2)
    """
    n_read = n_written = n_cached = 0
    for texts in prompts:
        n_read += texts[0].prompt_tokens
        n_cached += texts[0].cached_tokens
        n_written += sum(text.completion_tokens for text in texts)
    return Usage(n_read, n_written, n_cached)


def detailed(counted: Usage) -> CompletionUsage:
    """Return the dict of token counts, with those that were cached.

    Examples
    --------
    >>> from llamacy.results import Usage
    >>> detailed(Usage(5, 8, 2))["prompt_tokens_details"]
    {'cached_tokens': 2}
    """
    return {
        **usage(counted),
        "prompt_tokens_details": {"cached_tokens": counted.cached_tokens},
    }


def finish_reason(reason: FinishReason | None) -> OpenAIReason | None:
    """Return OpenAI's word for why a text ended; None while it goes on.

    OpenAI has no word for a text that was cancelled: to the client it has stopped.

    Examples
    --------
    >>> finish_reason("cancelled"), finish_reason("length")
    ('stop', 'length')
    """
    return "stop" if reason == "cancelled" else reason
