"""Describing functions as JSON schemas."""

from __future__ import annotations

import functools
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any, Literal

import pytest

import llamacy
from llamacy.chat.tools import function_schema


class Unit(Enum):
    CELSIUS = "C"
    KELVIN = "K"


class Place:
    def near(self, radius: float) -> list[str]:
        """Find what is near."""
        return [str(radius)]


def described(function: Callable[..., Any]) -> Any:
    return function_schema(function)["function"]


def test_a_schema_has_the_types_and_descriptions_of_all_parameters() -> None:
    def forecast(
        city: str,
        days: Annotated[int, "how far ahead"] = 1,
        *,
        unit: Unit | None = None,
        kind: Literal["rain", "sun", 3] = "rain",
        among: list[tuple[str, float]] | None = None,
    ) -> dict[str, float]:
        """Say what the weather will be.

        It is not always right.

        Args:
            city: where, with its
                country: "Paris, France"
            unit (Unit): of temperatures
            among: (choices: not a list)

        Returns:
            temperatures by day

        Raises:
            OSError: no network
        """
        return {}

    assert described(forecast) == {
        "name": "forecast",
        "description": "Say what the weather will be.\n\nIt is not always right.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {
                    "type": "string",
                    "description": 'where, with its country: "Paris, France"',
                },
                "days": {"type": "integer", "description": "how far ahead"},
                "unit": {
                    "type": "string",
                    "enum": ["C", "K"],
                    "nullable": True,
                    "description": "of temperatures",
                },
                "kind": {"type": ["string", "integer"], "enum": ["rain", "sun", 3]},
                "among": {
                    "type": "array",
                    "items": {
                        "type": "array",
                        "prefixItems": [{"type": "string"}, {"type": "number"}],
                    },
                    "nullable": True,
                    "description": "(choices: not a list)",
                },
            },
            "required": ["city"],
        },
        "return": {
            "type": "object",
            "additionalProperties": {"type": "number"},
            "description": "temperatures by day",
        },
    }


def test_a_docstring_may_be_in_numpys_style() -> None:
    def f(a: int, b: str, c: float = 1.0, d: bool = False) -> int:
        """Do it.

        Parameters
        ----------
        a : int
            The first,
            of several lines.
        b
            The second.
        c : float, optional
        d : whether to

        Returns
        -------
        int
            How many.

        Examples
        --------
        >>> f(1, "a")
        """
        return a

    schema = described(f)
    assert schema["description"] == "Do it."
    descriptions = {
        name: parameter["description"]
        for name, parameter in schema["parameters"]["properties"].items()
    }
    assert descriptions == {
        "a": "The first, of several lines.",
        "b": "The second.",
        "c": "float, optional",
        "d": "whether to",
    }
    assert schema["return"] == {"type": "integer", "description": "How many."}


@pytest.mark.parametrize("method", [Place.near, Place().near])
def test_the_schema_of_a_method_leaves_out_self(method: Callable[..., Any]) -> None:
    schema = described(method)
    assert list(schema["parameters"]["properties"]) == ["radius"]
    assert schema["return"] == {"type": "array", "items": {"type": "string"}}


def test_a_function_may_have_no_parameters() -> None:
    def now() -> Place:
        """Say what time it is."""
        return Place()

    assert described(now) == {
        "name": "now",
        "description": "Say what time it is.",
        "parameters": {"type": "object", "properties": {}},
    }


def undocumented(a: int) -> None: ...
def unhinted(a) -> None:  # type: ignore[no-untyped-def]
    """Do."""


def of_a_class(a: Place) -> None:
    """Do."""


def of_some(*a: int) -> None:
    """Do."""


def of_any(**a: int) -> None:
    """Do."""


def of_place(a: int, /) -> None:
    """Do."""


def unknown(a: Nothing) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Do."""


def of_bytes(a: list[bytes] | None) -> None:
    """Do."""


def of_dots(a: tuple[int, ...]) -> None:
    """Do."""


def of_literals(a: Literal[b"x"]) -> None:
    """Do."""


def of_no_enum(a: Enum) -> None:
    """Do."""


def of_a_function(a: Callable[[int], int]) -> None:
    """Do."""


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (undocumented, "tools: undocumented: wanted a docstring, found none"),
        (unhinted, "tools: unhinted: a: wanted a type hint, found none"),
        (of_a_class, "tools: of_a_class: a: wanted int, .* found <class .*Place"),
        (of_some, r"tools: of_some: wanted parameters .* by name, found \*a"),
        (of_any, r"tools: of_any: wanted parameters .* found \*\*a"),
        (of_place, "tools: of_place: wanted parameters that can be passed by name"),
        (
            unknown,
            "tools: unknown: wanted type hints that can be evaluated: .*Nothing",
        ),
        (of_bytes, "tools: of_bytes: a: wanted int, .* found <class 'bytes'>"),
        (of_dots, "tools: of_dots: a: wanted int"),
        (
            of_literals,
            "tools: of_literals: a: wanted values that JSON can express, found b'x'",
        ),
        (of_no_enum, "tools: of_no_enum: a: wanted at least one value"),
        (of_a_function, "tools: of_a_function: a: wanted int"),
        (functools.partial(undocumented, 1), "tools: wanted a function with a name"),
        (lambda: 5, "tools: wanted a function with a name, found <function"),
        (dict.get, "tools: get: wanted parameters|tools: get: wanted a type hint"),
        (max, "tools: max: wanted a signature"),
    ],
)
def test_a_function_that_cannot_be_described_is_refused(
    function: Callable[..., Any], why: str
) -> None:
    with pytest.raises(llamacy.ArgumentError, match=why):
        function_schema(function)
