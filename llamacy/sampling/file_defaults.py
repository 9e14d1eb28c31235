"""The sampling options that a model's file has for those that the caller leaves out.

GGUF's keys are `general.sampling.*`; a folder's generation_config.json is read into the
same keys.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from llamacy.errors import ArgumentError
from llamacy.printable import shown
from llamacy.sampling.params import SamplingParams

PREFIX: Final = "general.sampling."

FIELDS: Final = {
    "temp": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "typical_p": "typical_p",
    "xtc_probability": "xtc_probability",
    "xtc_threshold": "xtc_threshold",
    "penalty_last_n": "penalty_last_n",
    "penalty_repeat": "repeat_penalty",
    "mirostat": "mirostat",
    "mirostat_tau": "mirostat_tau",
    "mirostat_eta": "mirostat_eta",
}
"""Fields of `SamplingParams` by the ends of GGUF's keys."""

_SEQUENCE: Final = "sequence"
_OFF: Final[dict[str, dict[str, float]]] = {
    "penalties": {
        "repeat_penalty": 1.0,
        "frequency_penalty": 0.0,
        "presence_penalty": 0.0,
    },
    "dry": {"dry_multiplier": 0.0},
    "top_n_sigma": {"top_n_sigma": -1.0},
    "top_k": {"top_k": 0},
    "typ_p": {"typical_p": 1.0},
    "top_p": {"top_p": 1.0},
    "min_p": {"min_p": 0.0},
    "xtc": {"xtc_probability": 0.0},
    "temperature": {"temperature": 1.0},
}
"""llama.cpp's names of samplers in llamacy's order, and options that turn each off."""

_NICKNAMES: Final = {"nucleus": "top_p", "temp": "temperature", "typ": "typ_p"}

_logger = logging.getLogger("llamacy")


def file_defaults(metadata: Mapping[str, Any], path: str) -> SamplingParams:
    """Return the file's defaults, and llamacy's for all that it does not name.

    A value that cannot be used, and a key that llamacy does not have, are passed over
    and named in the log. So is a sequence of samplers in another order than llamacy's;
    of one in that order, the samplers that it leaves out are off, as in llama.cpp.

    Parameters
    ----------
    metadata : mapping of str to Any
        The file's metadata.
    path : str
        The file, for the log.
    """
    options: dict[str, Any] = {}
    off: dict[str, float] = {}
    for key, value in metadata.items():
        if not key.startswith(PREFIX):
            continue
        field = FIELDS.get(key.removeprefix(PREFIX))
        if field == "top_k" and isinstance(value, int) and value < 0:
            value = 0  # all tokens
        try:
            if key == PREFIX + _SEQUENCE:
                off = _turned_off(value)
                continue
            if field is None:
                raise ArgumentError("llamacy has no such option")
            SamplingParams(**{field: value})
        except ArgumentError as error:
            _logger.warning("%s: %s passed over: %s", path, shown(key), error)
        else:
            options[field] = value
    options |= off
    if options:
        named = ", ".join(f"{name}={shown(value)}" for name, value in options.items())
        _logger.info("%s: sampling defaults of the file: %s", path, named)
    return SamplingParams(**options)


def _turned_off(sequence: object) -> dict[str, float]:
    """Return the options that turn off all samplers but those of a sequence."""
    names = sequence.lower().split(";") if isinstance(sequence, str) else [""]
    places, order = [], list(_OFF)
    by_letters = {name.replace("_", ""): name for name in order}
    for name in names[: len(order) + 1]:
        letters = name.replace("_", "").replace("-", "")
        known = _NICKNAMES.get(name) or by_letters.get(letters)
        places.append(order.index(known) if known else -1)
    if -1 in places or places != sorted(set(places)):
        wanted = ", ".join(order)
        raise ArgumentError(f"wanted some of {wanted}, in this order")
    return {
        option: value
        for place, each in enumerate(_OFF.values())
        if place not in places
        for option, value in each.items()
    }
