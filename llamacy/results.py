"""Results of generating: typed, frozen, readable."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NamedTuple, TypeVar

ResultT_co = TypeVar("ResultT_co", covariant=True)

_MAX_EXPONENT = 700.0  # of a float

FinishReason = Literal["stop", "length", "cancelled", "tool_calls"]
"""Why a text ended.

`"stop"`: an end-of-text token or a stop string. `"length"`: `max_tokens`, or the
context is full. `"cancelled"`: its stream was closed, or is not at its end.
`"tool_calls"`: an answer ended with tool calls, whose results it waits for.
"""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and generated.

    Attributes
    ----------
    prompt_tokens : int
        Tokens of the prompt; in a session, of all that came before as well.
    completion_tokens : int
        Tokens generated.
    cached_tokens : int
        Tokens of the prompt that were in the KV cache and not read again.
    drafted_tokens : int
        Drafted tokens that the model has checked, so that passes could lead to several
        tokens each. It depends on measured times; the text does not depend on it.
    accepted_tokens : int
        The number of these that the text has.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Tokens of prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time went.

    Requests that run at the same time share forward passes, and each is charged a
    shared pass in full: sums over requests count its time more than once.

    Attributes
    ----------
    n_prompt : int
        Tokens of the prompt that passes read (prefill), including those read again
        where an answer went on past the end of the context.
    prompt_seconds : float
        Time of those passes, the choice of the first token included.
    n_generated : int
        Tokens chosen after the first (decode), including one that ends the text.
    generation_seconds : float
        Time of the passes that led to them.
    time_to_first_token : float
        Seconds from the call to the first token, waiting included.
    waited_seconds : float
        Seconds from the submission to the beginning of the first pass: for a place, and
        for another request to read what both prompts begin with. 0.0 without a pass.
    n_prompt_passes : int
        Passes that read the prompt.
    n_generation_passes : int
        Passes that led to further tokens.
    """

    n_prompt: int
    prompt_seconds: float
    n_generated: int
    generation_seconds: float
    time_to_first_token: float
    waited_seconds: float = 0.0
    n_prompt_passes: int = 0
    n_generation_passes: int = 0

    @property
    def n_passes(self) -> int:
        """Forward passes in all."""
        return self.n_prompt_passes + self.n_generation_passes

    @property
    def prompt_tokens_per_second(self) -> float:
        """Throughput of reading the prompt; 0.0 if nothing was read."""
        seconds = self.prompt_seconds  # 0.0 also while the first pass is not over
        return self.n_prompt / seconds if seconds else 0.0

    @property
    def generation_tokens_per_second(self) -> float:
        """Throughput of generating; 0.0 for fewer than two tokens."""
        seconds = self.generation_seconds
        return self.n_generated / seconds if seconds else 0.0

    def __str__(self) -> str:
        return (
            f"prompt {self.n_prompt} tokens, "
            f"{self.prompt_tokens_per_second:.1f} tokens/s; "
            f"generation {self.n_generated} tokens, "
            f"{self.generation_tokens_per_second:.1f} tokens/s; "
            f"first token after {self.time_to_first_token:.3f} s, "
            f"{self.waited_seconds:.3f} s of them waiting; {self.n_passes} passes"
        )


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """How likely a token was, before any sampling option changed that.

    Attributes
    ----------
    token : int
        Its id.
    logprob : float
        Natural logarithm of its probability.
    top : tuple of (int, float)
        Ids of the likeliest tokens in its place, and the logarithms of their
        probabilities, likeliest first.
    text : str
        Its text, with the space before it; the name of a control token. Bytes that are
        no whole characters are U+FFFD: ``model.tokenizer.token_bytes(token)`` has them.
        Empty for a model without a vocabulary.
    top_texts : tuple of str
        The texts of `top`, in the same order.
    """

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()
    text: str = ""
    top_texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """How likely a text is.

    Attributes
    ----------
    tokens : list of int
        Ids of the text.
    logprobs : list of float or None
        Natural logarithm of each token's probability after the tokens before it; None
        for the first, which nothing comes before.
    texts : list of str
        Each token's text, as in `TokenLogprob`.
    """

    tokens: list[int]
    logprobs: list[float | None]
    texts: list[str] = field(default_factory=list)

    @property
    def total(self) -> float:
        """Logarithm of the probability of the whole text."""
        return math.fsum(one for one in self.logprobs if one is not None)

    @property
    def perplexity(self) -> float:
        """The exponential of the mean negative logarithm; NaN for one token.

        As many equally likely tokens would leave the model as uncertain.
        """
        n_scored = sum(one is not None for one in self.logprobs)
        if not n_scored:
            return math.nan
        mean = -self.total / n_scored
        return math.exp(mean) if mean < _MAX_EXPONENT else math.inf

    def _repr_html_(self) -> str:
        from llamacy.notebook.cards import score_html  # only in a notebook

        texts = self.texts or [f"{token} " for token in self.tokens]
        return score_html(texts, self.logprobs, repr(self))

    def __repr__(self) -> str:
        return (
            f"Score(n_tokens={len(self.tokens)}, total={self.total:.4f}, "
            f"perplexity={self.perplexity:.4f})"
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """The likeliest of several labels after a prompt.

    Attributes
    ----------
    label : str
        The likeliest label, as it was given.
    index : int
        Its place among the labels.
    probabilities : dict of str to float
        Probability of each label among the labels; they add up to 1.
    logprobs : dict of str to float
        Natural logarithm of the probability that the prompt goes on with each label, or
        of its geometric mean for a token; `-inf` where it cannot be told from 0.
    """

    label: str
    index: int
    probabilities: dict[str, float]
    logprobs: dict[str, float]

    def _repr_html_(self) -> str:
        from llamacy.notebook.cards import choice_html  # only in a notebook

        return choice_html(self.probabilities)

    def __str__(self) -> str:
        return self.label

    def __repr__(self) -> str:
        rounded = {label: round(p, 4) for label, p in self.probabilities.items()}
        return f"Choice({self.label!r}, probabilities={rounded})"


@dataclass(frozen=True, slots=True)
class Completion:
    """A generated text.

    Attributes
    ----------
    text : str
        The text that follows the prompt, without the stop string that ended it.
    tokens : list of int
        Ids generated, without the end-of-text token.
    finish_reason : FinishReason
        Why it ended.
    usage : Usage
        Tokens read and generated.
    timings : Timings
        Where the time went.
    logprobs : list of TokenLogprob or None
        How likely each of `tokens` was, if asked for.
    prompt_logprobs : list of TokenLogprob or None
        How likely each token of the prompt was, if asked for. An item is None for the
        first token, which nothing comes before, and for tokens that a session had read
        before.
    parsed : object or None
        The value of a text that follows `json_schema` or `response_format`: an instance
        of the pydantic class that was given, or JSON's value. None for other texts, and
        for one that was cut short.
    """

    text: str
    tokens: list[int]
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    logprobs: list[TokenLogprob] | None = None
    prompt_logprobs: list[TokenLogprob | None] | None = None
    parsed: Any = None

    def _repr_html_(self) -> str:
        from llamacy.notebook.cards import text_html  # only in a notebook

        return text_html(self)

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
    text : str
        One or more whole characters; empty for a model without a vocabulary, and where
        the last tokens have no text and their log-probabilities are asked for.
    tokens : list of int
        Ids since the piece before; more than one where a character or a possible stop
        string spans tokens.
    logprobs : list of TokenLogprob or None
        How likely each of `tokens` was, if asked for.
    """

    text: str
    tokens: list[int]
    logprobs: list[TokenLogprob] | None = None

    def __str__(self) -> str:
        return self.text


class Finished(NamedTuple, Generic[ResultT_co]):
    """The result of one of many prompts, as soon as its text has ended.

    Attributes
    ----------
    index : int
        Index of the prompt among those of the call.
    result : Completion, ChatCompletion or LlamacyError
        The text; or the error that the prompt failed with, if ``on_error="return"``.
    """

    index: int  # type: ignore[assignment]  # in the place of the method of tuples
    result: ResultT_co
