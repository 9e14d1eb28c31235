"""Plain values: the strings, numbers, lists and dicts that a template may see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llamacy.arguments import short
from llamacy.errors import ArgumentError

MAX_DEPTH = 50
"""Deepest nesting of lists and dicts."""


class CallArguments(dict[str, Any]):
    """A past call's arguments: a dict, and where a template wants text, JSON.

    Most templates go through the arguments or write them with `tojson`. Others, such
    as DeepSeek's, add them to a string, which suits only JSON text as OpenAI's API has
    it. These objects serve both.

    Parameters
    ----------
    values : mapping
        Values by name.
    text : str
        The same as JSON.
    """

    def __init__(self, values: Mapping[str, Any], text: str) -> None:
        super().__init__(values)
        self.text = text

    def __str__(self) -> str:
        return self.text

    def __add__(self, other: object) -> str:
        return self.text + other if isinstance(other, str) else NotImplemented

    def __radd__(self, other: object) -> str:
        return other + self.text if isinstance(other, str) else NotImplemented


class NoText(str):
    """The content of a message that only calls tools: empty, and to templates None.

    Most templates want a string there. DeepSeek's R1 writes the calls only of messages
    whose content is None.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return other is None or str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def texts_in(name: str, value: object) -> list[str]:
    """Return all strings in plain values; raises what `mapped` raises."""
    texts: list[str] = []

    def collect(text: str) -> str:
        texts.append(text)
        return text

    mapped(name, value, collect)
    return texts


def mapped(name: str, value: object, change: Callable[[str], str]) -> Any:
    """Return a copy of JSON-like values, with `change` applied to every string.

    Objects of pydantic's kind, as the clients of APIs return them, become dicts.

    Raises
    ------
    ArgumentError
        The argument `name` holds a value of another type, or is nested too deeply.
    """
    return _mapped(name, value, change, MAX_DEPTH)


def _mapped(
    name: str, value: object, change: Callable[[str], str], depth: int
) -> object:
    if depth == 0:
        raise ArgumentError(
            f"{name}: wanted at most {MAX_DEPTH} levels of lists and dicts"
        )
    if value is None or isinstance(value, bool | NoText):
        return value
    # Subclasses become plain values: a template must not reach their methods.
    if isinstance(value, str):
        return change(str.__str__(value))
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        copy: dict[Any, Any] = {
            _mapped(f"{name} key", key, change, 1): _mapped(
                f"{name}[{short(key)}]", item, change, depth - 1
            )
            for key, item in value.items()
        }
        if isinstance(value, CallArguments):
            return CallArguments(copy, change(value.text))
        return copy
    if isinstance(value, list | tuple):
        return [
            _mapped(f"{name}[{i}]", item, change, depth - 1)
            for i, item in enumerate(value)
        ]
    if callable(dump := getattr(value, "model_dump", None)):
        return _mapped(name, dump(), change, depth - 1)
    raise ArgumentError(
        f"{name}: wanted text, numbers, lists and dicts, found {short(value)}"
    )
