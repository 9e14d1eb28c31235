"""The sampling options."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from llamacy.arguments import (
    checked_flag,
    checked_integer,
    checked_number,
    checked_strings,
)
from llamacy.errors import ArgumentError
from llamacy.sampling.checks import (
    LIMIT,
    LogitsProcessor,
    checked_bias,
    checked_processors,
)

_MAX_SEED = 2**64 - 1
_MAX_LOGPROBS = 100

LogitBias = Mapping[int, float] | tuple[tuple[int, float], ...]


class SamplingOptions(TypedDict, total=False):
    """The fields of :class:`SamplingParams`, as keyword arguments."""

    max_tokens: int | None
    temperature: float
    dynatemp_range: float
    dynatemp_exponent: float
    top_k: int
    top_p: float
    min_p: float
    typical_p: float
    top_n_sigma: float
    xtc_probability: float
    xtc_threshold: float
    repeat_penalty: float
    frequency_penalty: float
    presence_penalty: float
    penalty_last_n: int
    dry_multiplier: float
    dry_base: float
    dry_allowed_length: int
    dry_penalty_last_n: int
    dry_sequence_breakers: str | Collection[str] | None
    mirostat: int
    mirostat_tau: float
    mirostat_eta: float
    logit_bias: LogitBias | None
    logits_processors: LogitsProcessor | Sequence[LogitsProcessor] | None
    seed: int | None
    stop: str | Collection[str] | None
    include_stop: bool
    logprobs: int | None
    prompt_logprobs: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    r"""How tokens are chosen, and when to end; llama.cpp's meanings and defaults.

    A row of logits goes through: `logits_processors`, `logit_bias`, penalties, DRY,
    `top_n_sigma`, `top_k`, `typical_p`, `top_p`, `min_p`, XTC, `temperature`; a token
    is drawn from what is left. With `mirostat`: `logits_processors`, `logit_bias`,
    `temperature`, mirostat.

    Attributes
    ----------
    max_tokens : most tokens to generate; None goes on to the end of the text or
        of the context.
    temperature : divides the logits before drawing; 0 takes the likeliest token that
        is left (greedy).
    dynatemp_range, dynatemp_exponent : let the temperature go from `temperature` less
        the range to it plus the range, as the entropy, from 0 to 1 of what it can be,
        to the power of the exponent says; 0 leaves it as it is.
    top_k : keep the `top_k` likeliest tokens; 0 keeps all (Fan et al. 2018,
        arXiv:1805.04833).
    top_p : of those, keep the likeliest whose probabilities reach this sum; 1
        keeps all (nucleus sampling, Holtzman et al. 2019, arXiv:1904.09751).
    min_p : of those, keep tokens at least this share as likely as the likeliest; 0
        keeps all (Nguyen et al. 2024, arXiv:2407.01082).
    typical_p : keep the tokens whose surprise is nearest to the expected one and whose
        probabilities exceed this sum; 1 keeps all (Meister et al. 2022,
        arXiv:2202.00666).
    top_n_sigma : keep logits at most so many standard deviations, of all logits, below
        the largest; 0 or less keeps all (Tang et al. 2024, arXiv:2411.07641).
    xtc_probability, xtc_threshold : with this probability, drop all tokens at least
        as likely as the threshold except the least likely of them ("exclude top
        choices"); above 0.5 the threshold does nothing.
    repeat_penalty : of tokens among the last `penalty_last_n`, divides positive logits
        and multiplies negative ones (Keskar et al. 2019, arXiv:1909.05858); 1 is off.
    frequency_penalty, presence_penalty : subtracted from their logits, the first as
        often as they occur, the second once.
    penalty_last_n : how many of the last tokens, the prompt's included, these three
        look at; 0 is none, -1 all.
    dry_multiplier, dry_base, dry_allowed_length : a token that would go on with a
        repetition of n tokens, at least the allowed length, has
        ``multiplier * base ** (n - allowed_length)`` subtracted from its logit
        ("don't repeat yourself"); 0 is off.
    dry_penalty_last_n : how many of the last tokens repetitions are looked for in; 0
        is none, -1 all.
    dry_sequence_breakers : texts that no repetition reaches across.
    mirostat : 1 or 2 chooses tokens so that their surprise stays near a value, by
        either version of the algorithm (Basu et al. 2021, arXiv:2007.14966); 0 is off.
    mirostat_tau, mirostat_eta : that surprise in bits, and how fast to correct it.
    logit_bias : token ids with what is added to their logits; ``-inf`` bans a token.
    logits_processors : a callable, or several, ``f(ids, logits)``: `ids`, int32, the
        tokens so far, `logits`, float32 (n_vocab,), which it changes in place, or
        returns others of the same shape. It runs on the model's thread, and all texts
        wait for it.
    seed : the same seed gives the same tokens; None or -1 differs every time.
    stop : text, or texts, that end the generation.
    include_stop : whether the one that ended it is part of the result.
    logprobs : say how likely each token was, and which `logprobs` tokens were
        likeliest, at most 100; None says nothing.
    prompt_logprobs : the same for the tokens of the prompt.

    Raises
    ------
    ArgumentError : a value of the wrong type or out of its range.

    Examples
    --------
    >>> SamplingParams(temperature=0, stop="\n").stop
    ('\n',)
    """

    max_tokens: int | None = None
    temperature: float = 0.8
    dynatemp_range: float = 0.0
    dynatemp_exponent: float = 1.0
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    typical_p: float = 1.0
    top_n_sigma: float = -1.0
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    repeat_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    penalty_last_n: int = 64
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_penalty_last_n: int = 64
    dry_sequence_breakers: str | Collection[str] | None = ("\n", ":", '"', "*")
    mirostat: int = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    logit_bias: LogitBias | None = None
    logits_processors: LogitsProcessor | Sequence[LogitsProcessor] | None = ()
    seed: int | None = None
    stop: str | Collection[str] | None = ()
    include_stop: bool = False
    logprobs: int | None = None
    prompt_logprobs: int | None = None

    def __post_init__(self) -> None:
        for name, (low, high) in _INTEGERS.items():
            self._set(name, checked_integer(name, getattr(self, name), low, high))
        for name, (low, high) in _OPTIONAL_INTEGERS.items():
            if getattr(self, name) is not None:
                self._set(name, checked_integer(name, getattr(self, name), low, high))
        for name, (least, most) in _NUMBERS.items():
            self._set(name, checked_number(name, getattr(self, name), least, most))
        if self.dry_base == 0:  # its logarithm is taken
            raise ArgumentError("dry_base: wanted a number above 0, found 0")
        for name in ("stop", "dry_sequence_breakers"):
            self._set(name, checked_strings(name, getattr(self, name)))
        checked_flag("include_stop", self.include_stop)
        self._set("logit_bias", checked_bias("logit_bias", self.logit_bias))
        processors = checked_processors("logits_processors", self.logits_processors)
        self._set("logits_processors", processors)

    def check_vocabulary(self, n_vocab: int) -> None:
        """Check the options that name tokens against the vocabulary.

        Raises
        ------
        ArgumentError : an id in `logit_bias` that is none of its tokens.
        """
        for token, _ in self.biases:
            checked_integer("logit_bias", token, 0, n_vocab - 1)

    @property
    def biases(self) -> tuple[tuple[int, float], ...]:
        """`logit_bias` as pairs of token id and bias."""
        return checked_bias("logit_bias", self.logit_bias)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)


_INTEGERS: dict[str, tuple[int, int | None]] = {
    "top_k": (0, None),
    "penalty_last_n": (-1, None),
    "dry_allowed_length": (0, None),
    "dry_penalty_last_n": (-1, None),
    "mirostat": (0, 2),
}
_OPTIONAL_INTEGERS: dict[str, tuple[int, int | None]] = {
    "max_tokens": (0, None),
    "seed": (-1, _MAX_SEED),
    "logprobs": (0, _MAX_LOGPROBS),
    "prompt_logprobs": (0, _MAX_LOGPROBS),
}
_NUMBERS: dict[str, tuple[float, float]] = {
    "temperature": (0, LIMIT),
    "dynatemp_range": (0, LIMIT),
    "dynatemp_exponent": (0, LIMIT),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "typical_p": (0, 1),
    "top_n_sigma": (-LIMIT, LIMIT),
    "xtc_probability": (0, 1),
    "xtc_threshold": (0, 1),
    "repeat_penalty": (1 / LIMIT, LIMIT),
    "frequency_penalty": (-LIMIT, LIMIT),
    "presence_penalty": (-LIMIT, LIMIT),
    "dry_multiplier": (0, LIMIT),
    "dry_base": (0, LIMIT),
    "mirostat_tau": (0, LIMIT),
    "mirostat_eta": (0, LIMIT),
}
