"""Whether and how a response is streamed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from llamacy.protocols.fields import Fields


@dataclass(frozen=True, slots=True)
class Streaming:
    """The fields of a request about its stream.

    Attributes
    ----------
    is_on : bool
        Whether the response is a stream.
    has_usage : bool
        Whether its last chunk counts the tokens.
    has_progress : bool
        Whether chunks tell how much of the prompt has been read; llama-server's
        `return_progress`.
    """

    is_on: bool
    has_usage: bool
    has_progress: bool

    @classmethod
    def of(cls, fields: Fields) -> Self:
        """Take the fields out of a request's.

        Raises
        ------
        ArgumentError
            One has an invalid value.
        """
        options = fields.inner("stream_options")
        has_usage = options.flag("include_usage", False)
        options.ignore(("include_obfuscation", "continuous_usage_stats"))
        options.finish()
        return cls(
            fields.flag("stream", False),
            has_usage,
            fields.flag("return_progress", False),
        )
