"""Keyword options of calls: for type checkers, a group for each type of result."""

from __future__ import annotations

from typing import Literal, Required, TypedDict

from llamacy.generation.cancelling import CancelToken
from llamacy.generation.tally import OnProgress
from llamacy.sampling import SamplingOptions


class Raising(TypedDict, total=False):
    """The options of one call, which the error of a prompt ends.

    Attributes
    ----------
    cancel : CancelToken or None
        Ends the texts once it is set.
    progress : callable or None
        Called with the share of the work that is done.
    on_error : {"raise"}
        An error is raised.
    """

    cancel: CancelToken | None
    progress: OnProgress | None
    on_error: Literal["raise"]


class Returning(TypedDict, total=False):
    """The options of one call, in which an error stands in the place of a result."""

    cancel: CancelToken | None
    progress: OnProgress | None
    on_error: Required[Literal["return"]]


class Sampling(TypedDict):
    """The option that asks for several samples of each prompt."""

    n: int


class TextOptions(SamplingOptions, Raising, total=False):
    """A text of each prompt."""


class TextOrErrorOptions(SamplingOptions, Returning, total=False):
    """A text of each prompt, or its error."""


class SamplesOptions(TextOptions, Sampling):
    """Samples of each prompt."""


class SamplesOrErrorOptions(TextOrErrorOptions, Sampling):
    """Samples of each prompt, or its error."""
