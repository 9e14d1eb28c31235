"""The caller's demands on an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from llamacy.arguments import short
from llamacy.chat.constrained.choice import MAY_CALL, Choice
from llamacy.errors import ConstraintError
from llamacy.structured.form import Form
from llamacy.structured.options import schema_form
from llamacy.structured.schema.keywords import COMBINING

_EMPTY: Final = {"type": "object", "properties": {}, "additionalProperties": False}
_ANY: Final = {"type": "object"}


class Tool(NamedTuple):
    """A tool that may be called.

    Attributes
    ----------
    name : str
        Its name.
    parameters : dict
        The JSON schema of its arguments.
    is_strict : bool
        Whether arguments are held to it.
    """

    name: str
    parameters: Mapping[str, Any]
    is_strict: bool = True

    @classmethod
    def of(cls, schema: Mapping[str, Any], *, is_strict: bool) -> Tool:
        """Return a tool of its schema, with any arguments if it is not strict.

        Raises
        ------
        ConstraintError
            Its parameters are no schema.
        """
        function = schema["function"]
        name, found = function["name"], function.get("parameters")
        if not is_strict:
            return cls(name, _ANY, is_strict=False)
        found = {} if found is None else found
        if not isinstance(found, Mapping):
            raise ConstraintError(
                f"tools[{name!r}]: wanted parameters as a JSON schema, found "
                f"{short(found)}"
            )
        has_members = found.get("properties") or found.keys() & COMBINING
        default = _ANY if has_members else _EMPTY
        return cls(name, {**default, **found})

    @property
    def argument(self) -> str:
        """Its schema, as errors call it."""
        return f"tools[{self.name!r}]"

    @property
    def form(self) -> Form:
        """The form of its arguments as one JSON object."""
        return schema_form(self.argument, self.parameters, is_lenient=False)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The caller's demands on an answer.

    Attributes
    ----------
    form : Form or None
        The form of its text.
    tools : sequence of dict
        The tools that it may call, in OpenAI's shape.
    choice : Choice
        Whether it must call one.
    is_strict : bool
        Whether arguments must be valid for all tools, not only for those that say so.
    """

    form: Form | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    choice: Choice = MAY_CALL
    is_strict: bool = False

    def __bool__(self) -> bool:
        """Whether the answer is to be held to anything."""
        return self.form is not None or self.constrains_calls

    @property
    def constrains_calls(self) -> bool:
        """Whether calls are to be held to anything."""
        has_both = self.form is not None and bool(self.tools)
        says = any(tool["function"].get("strict") is True for tool in self.tools)
        return bool(self.choice.is_required or has_both or says or self._is_strict)

    @property
    def callable_tools(self) -> list[Tool]:
        """The tools that may be called."""
        is_strict = self.choice.is_required or self._is_strict
        return [
            Tool.of(tool, is_strict=is_strict or tool["function"].get("strict") is True)
            for tool in self.tools
            if self.choice.name in (None, tool["function"]["name"])
        ]

    @property
    def _is_strict(self) -> bool:
        return self.is_strict and bool(self.tools)
