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

_logger = logging.getLogger("llamacy")


def file_defaults(metadata: Mapping[str, Any], path: str) -> SamplingParams:
    """Return the file's defaults, and llamacy's for all that it does not name.

    A value that cannot be used, and a key that llamacy does not have, such as an order
    of samplers, are passed over and named in the log.

    Parameters
    ----------
    metadata : mapping of str to Any
        The file's metadata.
    path : str
        The file, for the log.
    """
    options: dict[str, Any] = {}
    for key, value in metadata.items():
        if not key.startswith(PREFIX):
            continue
        field = FIELDS.get(key.removeprefix(PREFIX))
        if field == "top_k" and isinstance(value, int) and value < 0:
            value = 0  # all tokens
        try:
            if field is None:
                raise ArgumentError("llamacy has no such option")
            SamplingParams(**{field: value})
        except ArgumentError as error:
            _logger.warning("%s: %s passed over: %s", path, shown(key), error)
        else:
            options[field] = value
    if options:
        named = ", ".join(f"{name}={shown(value)}" for name, value in options.items())
        _logger.info("%s: sampling defaults of the file: %s", path, named)
    return SamplingParams(**options)
