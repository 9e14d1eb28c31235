"""The sampling options."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from llamacy.arguments import (
    checked_flag,
    checked_integer,
    checked_number,
    checked_strings,
    checks_fields,
)
from llamacy.errors import ArgumentError
from llamacy.sampling.checks import (
    LIMIT,
    LogitsProcessor,
    checked_bias,
    checked_processors,
)
from llamacy.structured.form import Form
from llamacy.structured.options import JSONSchema, ResponseFormat, form_of

_MAX_SEED = 2**64 - 1
_MAX_LOGPROBS = 100

LogitBias = Mapping[int, float] | tuple[tuple[int, float], ...]


class SamplingOptions(TypedDict, total=False):
    """The fields of `SamplingParams`, as keyword arguments."""

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
    json_schema: JSONSchema | None
    response_format: ResponseFormat | None
    regex: str | None
    choices: Collection[str] | None
    grammar: str | None
    json_schema_lenient: bool
    drafting: bool | None


@checks_fields
@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    r"""How to choose tokens, and when to stop; llama.cpp's meanings and defaults.

    The full distribution now and then yields one of its many unlikely tokens, and
    the text derails. Truncation (`top_k` to `min_p`) removes the unlikely tail,
    `temperature` sets how boldly to draw from the rest, and penalties keep a text out
    of loops. The defaults suit most models; change one option at a time.

    Each row of logits passes through, in this order: `logits_processors`, `logit_bias`,
    penalties, DRY, `top_n_sigma`, `top_k`, `typical_p`, `top_p`, `min_p`, XTC,
    `temperature`; then a token is drawn. With `mirostat` the chain is
    `logits_processors`, `logit_bias`, `temperature`, mirostat: the other samplers and
    the penalties have no effect. Before all of them go the tokens that `json_schema`,
    `response_format`, `regex`, `choices` or `grammar` forbid; a call may have one of
    these, and they need the package llguidance (the extra ``llamacy[structured]``).

    Attributes
    ----------
    max_tokens : int or None
        Most tokens to generate. None continues until the model ends the text or the
        context is full, which may take long: set a limit where somebody waits.
    temperature : float
        Divides the logits before drawing. Below 1 the likely tokens gain, above 1 the
        unlikely ones; beyond about 1.5, most models lose the thread. 0 always takes the
        likeliest remaining token (greedy), which suits facts and code, but tends to
        loop in long texts.
    dynatemp_range, dynatemp_exponent : float
        Scale the temperature with the entropy of the candidates, from
        `temperature - range` to `temperature + range`, by
        `(entropy / maximum entropy) ** exponent`: careful where the model is sure,
        bolder where many continuations are plausible. A range of 0 is off.
    top_k : int
        Keep the `top_k` likeliest tokens; 0 keeps all. A cheap first cut, but the same
        number whether the model is sure or not, so low values make a text dull (Fan et
        al. 2018, arXiv:1805.04833).
    top_p : float
        Nucleus sampling: keep the likeliest tokens whose probabilities add up to
        `top_p`; 1 keeps all. Adapts to how sure the model is, but keeps much of the
        tail where it is not (Holtzman et al. 2019, arXiv:1904.09751).
    min_p : float
        Keep tokens at least `min_p` times as likely as the likeliest; 0 keeps all. Cuts
        the tail more reliably than `top_p` at high temperatures; above about 0.3,
        little choice remains (Nguyen et al. 2024, arXiv:2407.01082).
    typical_p : float
        Locally typical sampling: keep the tokens whose surprise is nearest to the
        expected surprise, until their probabilities exceed `typical_p`; 1 keeps all.
        May drop even the likeliest token, if it is too predictable to be typical
        (Meister et al. 2022, arXiv:2202.00666).
    top_n_sigma : float
        Keep logits at most this many standard deviations of all logits below the
        largest; 0 or less keeps all. Looks at logits before the temperature, so that
        the same tokens remain at any temperature (Tang et al. 2024, arXiv:2411.07641).
    xtc_probability, xtc_threshold : float
        "Exclude top choices": with this probability per token, drop all tokens at least
        as likely as the threshold, except the least likely of them. Avoids clichés in
        stories; it also removes correct answers and required syntax, so leave it off
        for facts and code. A threshold above 0.5 has no effect, since at most one token
        can reach it.
    repeat_penalty : float
        For tokens among the last `penalty_last_n`, divides positive logits and
        multiplies negative ones; 1 is off. Breaks loops, but also penalises words that
        must recur, such as names, punctuation and keywords of code: above about 1.2 the
        text suffers (Keskar et al. 2019, arXiv:1909.05858).
    frequency_penalty, presence_penalty : float
        Subtracted from the logits of tokens among the last `penalty_last_n`: the first
        once per occurrence, the second once in all. They vary the vocabulary and the
        topics; negative values encourage repetition. OpenAI's options of the same
        names.
    penalty_last_n : int
        Last tokens, the prompt's included, that these three penalties consider; 0 turns
        them off, -1 considers all.
    dry_multiplier, dry_base, dry_allowed_length : float, float, int
        DRY, "don't repeat yourself": subtracts
        `multiplier * base ** (n - allowed_length)` from the logit of a token that would
        extend a repetition of n tokens, if n is at least the allowed length. Only
        literal repetitions are penalised: unlike with `repeat_penalty`, common words
        stay free, but quotations and code that must repeat suffer. A multiplier of 0
        is off; 0.8 is common.
    dry_penalty_last_n : int
        Last tokens in which DRY looks for repetitions; 0 turns it off, -1 searches all.
    dry_sequence_breakers : str or collection of str or None
        Strings that no repetition reaches across, so that lists and dialogues may begin
        each line alike.
    mirostat : {0, 1, 2}
        Version of Mirostat, which adapts truncation so that the surprise of the text
        stays near a target, neither dull nor incoherent, at any length; 0 is off (Basu
        et al. 2021, arXiv:2007.14966).
    mirostat_tau, mirostat_eta : float
        The target surprise in bits per token, and the learning rate of the correction.
        A low target gives dull and repetitive text, a high one incoherent text.
    logit_bias : mapping of int to float, or None
        Values added to the logits of token ids; `-inf` bans a token. Banning every
        token that ends a text leaves `max_tokens` or the context to end it.
    logits_processors : callable or sequence of callable, or None
        Functions `f(ids, logits)`, called in order before everything else, for rules
        that no option covers. `ids`, int32, (n,), are the tokens so far, the prompt's
        included. `logits`, float32, (n_vocab,), may be changed in place, or another
        array of the same shape returned; both arrays may be kept. They run on the
        model's thread for every token: all texts being generated wait for them.
    seed : int or None
        Seed of the random generator. The same seed with the same prompt, options and
        instruction-set level gives the same tokens; None or -1 gives different ones
        each time.
    stop : str or collection of str or None
        Strings that end the text as soon as they appear in it. They may contain the
        names of control tokens, which the text omits. In an answer of `chat` they do
        not end the reasoning, unless they contain one of its marks.
    include_stop : bool
        Whether the result includes the stop string that ended it.
    logprobs : int or None
        Report the log-probability of each token, and the `logprobs` likeliest tokens in
        its place, up to 100. They come from the model's own logits, before any option
        above changes them. None reports nothing.
    prompt_logprobs : int or None
        The same for the tokens of the prompt. The whole prompt must then be prefilled,
        because the prefix cache does not hold logits.
    json_schema : dict, type or None
        A JSON schema that the text follows; or a pydantic class, or a
        ``pydantic.TypeAdapter``. Keys come in the schema's order, and no others than
        it declares unless it says ``additionalProperties``. `Completion.parsed` has the
        value. A schema that cannot be enforced is refused with the place in it.
    response_format : dict, type or None
        The same in OpenAI's words: ``{"type": "json_object"}``, or ``{"type":
        "json_schema", "json_schema": {"name": ..., "schema": ...}}``.
    regex : str or None
        A regular expression that the whole text matches, without look-around.
    choices : collection of str or None
        Texts of which it is one. `Model.choose` tells their probabilities, too.
    grammar : str or None
        A grammar in llama.cpp's notation (GBNF), or in Lark's.
    json_schema_lenient : bool
        Leave out what cannot be enforced of a schema, with a warning in the log.
    drafting : bool or None
        Whether passes check drafts of several tokens where that is faster; the text is
        the same. None leaves it to the model: see `llamacy.load`.

    Raises
    ------
    ArgumentError
        A value of the wrong type or out of range.

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
    json_schema: JSONSchema | None = field(default=None, hash=False)
    response_format: ResponseFormat | None = field(default=None, hash=False)
    regex: str | None = None
    choices: Collection[str] | None = None
    grammar: str | None = None
    json_schema_lenient: bool = False
    drafting: bool | None = None

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
        if self.drafting is not None:
            checked_flag("drafting", self.drafting)
        self._set("logit_bias", checked_bias("logit_bias", self.logit_bias))
        processors = checked_processors("logits_processors", self.logits_processors)
        self._set("logits_processors", processors)
        _ = self.form  # checks the options that ask for one
        if self.choices is not None:
            self._set("choices", tuple(self.choices))

    def check_vocabulary(self, n_vocab: int) -> None:
        """Check that the options name only tokens of the vocabulary.

        Parameters
        ----------
        n_vocab : int
            Number of tokens of the vocabulary.

        Raises
        ------
        ArgumentError
            An id in `logit_bias` is not below `n_vocab`.
        """
        for token, _ in self.biases:
            checked_integer("logit_bias", token, 0, n_vocab - 1)

    @property
    def biases(self) -> tuple[tuple[int, float], ...]:
        """`logit_bias` as pairs of token id and bias."""
        return checked_bias("logit_bias", self.logit_bias)

    @property
    def form(self) -> Form | None:
        """The form of the text, if one of the options asks for one."""
        return form_of(self)

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
