"""What generating returns: typed, frozen, readable."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

_MAX_EXPONENT = 700.0  # of a float

FinishReason = Literal["stop", "length", "cancelled", "tool_calls"]
"""Why a text ended.

``"stop"``: an end-of-text token or a stop string. ``"length"``: `max_tokens`, or
the context is full. ``"cancelled"``: its stream was closed, or is not at its end.
``"tool_calls"``: an answer ended with calls of tools, whose results it waits for.
"""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written.

    Attributes
    ----------
    prompt_tokens : of the prompt; in a session, of all that came before as well.
    completion_tokens : generated.
    cached_tokens : of the prompt, found in the KV cache and not read again.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Both together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time went, in seconds.

    Attributes
    ----------
    n_prompt : tokens of the prompt that were read, and of those read again where an
        answer went on past the end of the context.
    prompt_seconds : forward passes that read them, and the first token's choice.
    n_generated : tokens generated after the first, each by a pass of its own.
    generation_seconds : those passes.
    time_to_first_token : from the call to the first token, waiting included.
    """

    n_prompt: int
    prompt_seconds: float
    n_generated: int
    generation_seconds: float
    time_to_first_token: float

    @property
    def prompt_tokens_per_second(self) -> float:
        """Speed of reading the prompt; 0.0 if nothing was read."""
        return self.n_prompt / self.prompt_seconds if self.n_prompt else 0.0

    @property
    def generation_tokens_per_second(self) -> float:
        """Speed of generating; 0.0 for fewer than two tokens."""
        return self.n_generated / self.generation_seconds if self.n_generated else 0.0

    def __str__(self) -> str:
        return (
            f"prompt {self.n_prompt} tokens, "
            f"{self.prompt_tokens_per_second:.1f} tokens/s; "
            f"generation {self.n_generated} tokens, "
            f"{self.generation_tokens_per_second:.1f} tokens/s; "
            f"first token after {self.time_to_first_token:.3f} s"
        )


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """How likely a token was, before any sampling option changed that.

    Attributes
    ----------
    token : its id.
    logprob : natural logarithm of its probability.
    top : the likeliest tokens there, and their logarithms, likeliest first.
    """

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """How likely a text is.

    Attributes
    ----------
    tokens : its ids.
    logprobs : natural logarithm of each one's probability after those before it;
        None for the first, which nothing comes before.
    """

    tokens: list[int]
    logprobs: list[float | None]

    @property
    def total(self) -> float:
        """Logarithm of the probability of the whole text."""
        return math.fsum(one for one in self.logprobs if one is not None)

    @property
    def perplexity(self) -> float:
        """How many tokens the model hesitates between, on average; NaN for one token.

        The exponential of the mean of the negative logarithms.
        """
        n_scored = sum(one is not None for one in self.logprobs)
        if not n_scored:
            return math.nan
        mean = -self.total / n_scored
        return math.exp(mean) if mean < _MAX_EXPONENT else math.inf

    def __repr__(self) -> str:
        return (
            f"Score(n_tokens={len(self.tokens)}, total={self.total:.4f}, "
            f"perplexity={self.perplexity:.4f})"
        )


@dataclass(frozen=True, slots=True)
class Completion:
    """A generated text.

    Attributes
    ----------
    text : what follows the prompt, without the stop string that ended it.
    tokens : ids generated, without the end-of-text token.
    finish_reason : why it ended.
    usage : tokens read and written.
    timings : where the time went.
    logprobs : how likely each of `tokens` was, if asked for.
    prompt_logprobs : how likely each token of the prompt was, if asked for; None for
        the first, which nothing comes before, and for what a session had read before.
    """

    text: str
    tokens: list[int]
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    logprobs: list[TokenLogprob] | None = None
    prompt_logprobs: list[TokenLogprob | None] | None = None

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.text!r}, "
            f"finish_reason={self.finish_reason!r}, "
            f"prompt_tokens={self.usage.prompt_tokens}, "
            f"completion_tokens={self.usage.completion_tokens})"
        )


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text while it is generated.

    Attributes
    ----------
    text : one or more whole characters.
    tokens : ids since the piece before; more than one where a character or a
        possible stop string spans tokens.
    logprobs : how likely each of them was, if asked for.
    """

    text: str
    tokens: list[int]
    logprobs: list[TokenLogprob] | None = None

    def __str__(self) -> str:
        return self.text
