"""`tool_choice`: whether an answer calls tools, and which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from llamacy.arguments import short
from llamacy.errors import ArgumentError

ToolChoice: TypeAlias = "str | Mapping[str, Any] | None"
"""``"auto"``, ``"none"``, ``"required"``, a tool's name, or that in OpenAI's shape."""

_WORDS = ("auto", "none", "required")


class Choice(NamedTuple):
    """Whether an answer calls tools.

    Attributes
    ----------
    is_required : bool
        Whether it must call one.
    name : str or None
        The tool that it must call, once.
    """

    is_required: bool = False
    name: str | None = None


MAY_CALL: Final = Choice()
"""The answer may call tools, any of those given, or none."""


def choice_among(
    given: ToolChoice, tools: Sequence[Mapping[str, Any]]
) -> Choice | None:
    """Return a choice among tools; None if none of them is to be used.

    Raises
    ------
    ArgumentError
        It is something else, or names a tool that was not given.
    """
    names = [tool["function"]["name"] for tool in tools]
    if given is None or given == "auto":
        return MAY_CALL
    if given == "none":
        return None
    if given == "required" or (given == "any" and "any" not in names):
        if not names:
            raise ArgumentError(f"tool_choice: wanted tools for {given!r}, found none")
        return Choice(is_required=True)
    match given:
        case str(name) | {"function": {"name": str(name)}} | {"name": str(name)}:
            if name in names:
                return Choice(is_required=True, name=name)
    raise ArgumentError(
        f"tool_choice: wanted one of {', '.join([*_WORDS, *names])}, found "
        f"{short(given)}"
    )
