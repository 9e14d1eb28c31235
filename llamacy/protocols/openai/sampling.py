"""Sampling options of OpenAI's requests, and those that other servers have added."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from llamacy.arguments import checked_integer, checked_strings, short
from llamacy.errors import ArgumentError
from llamacy.protocols.fields import Fields
from llamacy.sampling import SamplingOptions, SamplingParams

MAX_CHOICES: Final = 128
"""Most texts of one response."""

MAX_TOP: Final = 20
"""Most tokens whose log-probabilities are reported in the place of one."""

_MAX_STOPS: Final = 64
_MAX_BIASES: Final = 1024

_SAME: Final = (
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    # llamacy's and llama.cpp's
    "dynatemp_range",
    "dynatemp_exponent",
    "top_k",
    "min_p",
    "typical_p",
    "top_n_sigma",
    "xtc_probability",
    "xtc_threshold",
    "repeat_penalty",
    "penalty_last_n",
    "dry_multiplier",
    "dry_base",
    "dry_allowed_length",
    "dry_penalty_last_n",
    "dry_sequence_breakers",
    "mirostat",
    "mirostat_tau",
    "mirostat_eta",
)
"""Fields that have the names and meanings of options of `SamplingParams`."""

_RENAMED: Final = {
    "repetition_penalty": "repeat_penalty",
    "repeat_last_n": "penalty_last_n",
}

_IGNORED: Final = (
    # about the service, its bills and its caches
    "metadata",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "user",
    # llama-server's and vLLM's
    "cache_prompt",
    "id_slot",
    "priority",
    "request_id",
    "skip_special_tokens",
    "spaces_between_special_tokens",
    "timings_per_token",
)


def sampling_options(fields: Fields) -> SamplingOptions:
    """Take the sampling options out of a request's fields, all but `logprobs`.

    Raises
    ------
    ArgumentError
        An option has an invalid value.
    """
    fields.ignore(_IGNORED)
    options: Any = {}
    for name in _SAME:
        if (value := fields.take(name)) is not None:
            options[name] = value
    for name, own in _RENAMED.items():
        if (value := fields.take(name)) is not None:
            options.setdefault(own, _checked(name, own, value))
    if (max_tokens := fields.take("max_tokens")) is not None:
        if max_tokens != -1:  # llama.cpp's "no limit"
            options["max_tokens"] = max_tokens
    if (stop := fields.take("stop")) is not None:
        options["stop"] = _stops(stop)
    if (bias := fields.take("logit_bias")) is not None:
        options["logit_bias"] = _biases(bias)
    if (seed := fields.take("seed")) is not None:
        # of OpenAI's negative ones, none means "a different one each time"
        options["seed"] = checked_integer("seed", seed, -(2**63), 2**64 - 1) % 2**64
    SamplingParams(**options)
    return options  # type: ignore[no-any-return]


def _checked(name: str, own: str, value: Any) -> Any:
    """Return an option's value; an error of it has the field's own name."""
    option: Any = {own: value}
    try:
        SamplingParams(**option)
    except ArgumentError as error:
        raise ArgumentError(name + str(error).removeprefix(own)) from None
    return value


def n_choices(fields: Fields) -> int:
    """Take the number of texts wanted of each prompt."""
    return checked_integer("n", fields.take("n", 1), 1, MAX_CHOICES)


def seeded(options: dict[str, Any], index: int) -> dict[str, Any]:
    """Return the options of one of several texts, which must not be alike."""
    if index == 0 or options.get("seed") is None:
        return options
    return {**options, "seed": (options["seed"] + index) % 2**64}


def _stops(value: object) -> tuple[str, ...]:
    stops = checked_strings("stop", value)
    if len(stops) > _MAX_STOPS:
        raise ArgumentError(
            f"stop: wanted at most {_MAX_STOPS} strings, found {len(stops)}"
        )
    return stops


def _biases(value: object) -> dict[int, float]:
    wanted = "logit_bias: wanted an object of token ids and numbers"
    if not isinstance(value, Mapping):
        raise ArgumentError(f"{wanted}, found {short(value)}")
    if len(value) > _MAX_BIASES:
        raise ArgumentError(
            f"logit_bias: wanted at most {_MAX_BIASES} tokens, found {len(value)}"
        )
    biases: dict[int, float] = {}
    for key, bias in value.items():
        if not (isinstance(key, str) and key.isdecimal() and len(key) < 10):
            raise ArgumentError(f"{wanted}, found {short(key)}")
        # false is llama.cpp's way to ban a token
        biases[int(key)] = -math.inf if bias is False else bias
    return biases
