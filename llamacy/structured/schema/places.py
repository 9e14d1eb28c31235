"""Places in a schema, and the errors that name them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

from llamacy.arguments import short
from llamacy.errors import ConstraintError, ConstraintLimitError

MAX_DEPTH = 48
"""Most levels of a schema: llguidance reads 127 levels of JSON, two or three each."""


Visit: TypeAlias = "Callable[[Any, Place], Any]"
"""Translates the schema of a part, at its place."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a schema.

    Attributes
    ----------
    argument : str
        The argument that the schema was given as.
    pointer : str
        Its JSON pointer as a fragment, such as ``"#/properties/age"``; empty where
        there is no schema.
    depth : int
        Levels above it.
    """

    argument: str
    pointer: str = "#"
    depth: int = 0

    def __truediv__(self, key: str | int) -> Place:
        """Return the place one level further down."""
        escaped = str(key).replace("~", "~0").replace("/", "~1")
        pointer = f"{self.pointer}/{escaped}"
        if self.depth >= MAX_DEPTH:
            raise ConstraintLimitError(
                f"{self.argument}: wanted at most {MAX_DEPTH} levels, found more at "
                f"{_shortened(pointer)}"
            )
        return Place(self.argument, pointer, self.depth + 1)

    def __str__(self) -> str:
        place = f"{self.argument}: {_shortened(self.pointer)}"
        return place if self.pointer else self.argument

    def refuse(self, wanted: str, found: object) -> NoReturn:
        """Raise the error that says what was wanted here, and what was found."""
        raise ConstraintError(f"{self}: wanted {wanted}, found {short(found)}")

    def refuse_size(self, wanted: str, found: object) -> NoReturn:
        """Raise the error that says how much was wanted here at most."""
        raise ConstraintLimitError(f"{self}: wanted {wanted}, found {short(found)}")


def _shortened(pointer: str) -> str:
    return pointer if len(pointer) <= 200 else f"{pointer[:100]}...{pointer[-97:]}"
