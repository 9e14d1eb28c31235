"""The arguments of llama-cpp-python's completions, and their meaning here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from llamacy.compat.llama_cpp.callbacks import (
    Ending,
    LogitsProcessor,
    StoppingCriteria,
)
from llamacy.compat.llama_cpp.llama_grammar import constraint_options
from llamacy.errors import ArgumentError, UnsupportedCallError
from llamacy.sampling import SamplingParams

ANY_SEED = 2**32 - 1
"""The seed that asks for different draws every time."""


class SamplingArguments(TypedDict, total=False):
    """Arguments of every method that draws tokens, by llama-cpp-python's names."""

    top_k: int
    top_p: float
    min_p: float
    typical_p: float
    frequency_penalty: float
    presence_penalty: float
    repeat_penalty: float
    tfs_z: float
    mirostat_mode: int
    mirostat_tau: float
    mirostat_eta: float
    stopping_criteria: StoppingCriteria | None
    logits_processor: LogitsProcessor | Collection[LogitsProcessor] | None
    grammar: object | None


class CompletionArguments(SamplingArguments, total=False):
    """Further arguments of a completion."""

    logprobs: int | None
    echo: bool
    stop: str | list[str] | None
    seed: int | None
    model: str | None
    logit_bias: Mapping[int, float] | Mapping[str, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """All arguments with llama-cpp-python's defaults, and their meaning here.

    Raises
    ------
    UnsupportedCallError
        An argument asks for a feature that llamacy does not have.
    """

    suffix: str | None = None
    max_tokens: int | None = 16
    temperature: float = 0.8
    top_p: float = 0.95
    min_p: float = 0.05
    typical_p: float = 1.0
    logprobs: int | None = None
    echo: bool = False
    stop: str | list[str] | None = None
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repeat_penalty: float = 1.0
    top_k: int = 40
    seed: int | None = None
    tfs_z: float = 1.0
    mirostat_mode: int = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    model: str | None = None
    stopping_criteria: StoppingCriteria | None = None
    logits_processor: LogitsProcessor | Collection[LogitsProcessor] | None = None
    grammar: object | None = None
    logit_bias: Mapping[int, float] | Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        if self.suffix is not None:
            raise UnsupportedCallError("suffix: wanted None: llamacy does not fill in")

    def params(
        self, *, seed: int | None, penalty_last_n: int, end_token: int | None
    ) -> SamplingParams:
        """Return the arguments as llamacy's sampling parameters.

        Parameters
        ----------
        seed : int or None
            Seed unless the arguments have one.
        penalty_last_n : int
            Last tokens that penalties consider.
        end_token : int or None
            Token that ends a text when a stopping criterion holds.
        """
        return SamplingParams(
            max_tokens=self.max_tokens if (self.max_tokens or 0) > 0 else None,
            **self._chain(),
            repeat_penalty=self.repeat_penalty,
            frequency_penalty=self.frequency_penalty,
            presence_penalty=self.presence_penalty,
            penalty_last_n=penalty_last_n,
            logit_bias={int(i): b for i, b in (self.logit_bias or {}).items()},
            logits_processors=self._processors(end_token),
            seed=seed if self.seed is None else checked_seed(self.seed),
            stop=self.stop,
            logprobs=self.logprobs,
            prompt_logprobs=self.logprobs if self.echo else None,
            **constraint_options(self.grammar),
        )

    def _chain(self) -> dict[str, Any]:
        if self.temperature < 0:  # draw from the unchanged distribution
            return {
                **{"temperature": 1.0, "top_k": 0},
                **{"top_p": 1.0, "min_p": 0.0, "typical_p": 1.0},
            }
        return {
            "temperature": self.temperature,
            "top_k": 0 if self.top_k == -1 else self.top_k,
            "top_p": self.top_p,
            "min_p": self.min_p,
            "typical_p": self.typical_p,
            "mirostat": self.mirostat_mode if self.temperature else 0,
            "mirostat_tau": self.mirostat_tau,
            "mirostat_eta": self.mirostat_eta,
        }

    def _processors(self, end_token: int | None) -> tuple[LogitsProcessor, ...]:
        given = self.logits_processor or ()
        processors = (given,) if callable(given) else tuple(given)
        if self.stopping_criteria is None:
            return processors
        if end_token is None:
            raise ArgumentError(
                "stopping_criteria: wanted None, as this vocabulary has no token "
                "that ends a text"
            )
        return (*processors, Ending(self.stopping_criteria, end_token))


def checked_seed(seed: int) -> int | None:
    """Return `seed`, or None for a seed that asks for different draws."""
    return None if seed in (-1, ANY_SEED) else seed
