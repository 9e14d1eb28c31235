"""Parsing tool calls in tags, as Qwen 3 Coder, MiniMax M2 and others write them.

::

    <function=weather>
    <parameter=city>
    Paris
    </parameter>
    </function>

All values are plain text: their types follow from the tool's schema. Where a model
leaves out a closing tag, a parameter that follows is never taken for a part of the one
before: either the tags that are there tell the two apart, or the call is malformed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from llamacy.arguments import short
from llamacy.chat.reply.parts import Call
from llamacy.chat.reply.schema_types import Types, types_of
from llamacy.chat.reply.tool_call_json import (
    checked_arguments,
    checked_name,
    first_value,
    json_value,
)

# JSON's constants, and Python's, which some templates write in past calls
_WORDS: Final = {"true": True, "false": False, "null": None, "none": None}


@dataclass(frozen=True, slots=True)
class Tags:
    """How a family spells its tags.

    Attributes
    ----------
    function : re.Pattern
        The opening tag of a call; its first group is the name.
    parameter : re.Pattern
        The opening tag of a parameter. Its first group is the name; a group `string`
        may say whether the value is text (``true``) or JSON (``false``).
    function_end, parameter_end : str
        The closing tags.
    function_begin : str
        The opening tag of a call up to the name.
    call, argument : str
        The text of a call and of one of its parameters, as for `CallForm`.
    are_apart : bool
        Whether each call has marks of its own around it.
    """

    function: re.Pattern[str]
    parameter: re.Pattern[str]
    function_end: str
    parameter_end: str
    function_begin: str
    call: str
    argument: str
    are_apart: bool = False


def _equals(name: str) -> re.Pattern[str]:
    """Return the pattern of `<name=value>`; models quote the value or forget `>`."""
    return re.compile(rf"<{name}=[\"']?([^>\n\"'<]*+)[\"']?[ \t]*+(?:>|(?=\n))")


def _named(name: str) -> re.Pattern[str]:
    """Return the pattern of `<name name="value">`."""
    string = r"(?:\s++string=\"(?P<string>true|false)\")?+"
    return re.compile(rf"<{name}\s++name=[\"']([^>\n\"'<]*+)[\"']{string}[ \t]*+>")


def _with_names(function: str, parameter: str, line: str = "\n") -> Tags:
    """Return tags whose names are attributes: `<invoke name="weather">`."""
    return Tags(
        _named(function),
        _named(parameter),
        f"</{function}>",
        f"</{parameter}>",
        f'<{function} name="',
        f'<{function} name="«name»">{line}«arguments»</{function}>',
        f'<{parameter} name="«key»">«value»</{parameter}>{line}',
    )


CODER: Final = Tags(
    _equals("function"),
    _equals("parameter"),
    "</function>",
    "</parameter>",
    "<function=",
    "<function=«name»>\n«arguments»</function>",
    "<parameter=«key»>\n«value»\n</parameter>\n",
    are_apart=True,
)
SEED: Final = replace(CODER, argument="<parameter=«key»>«value»</parameter>\n")
INVOKE: Final = _with_names("invoke", "parameter")
_DSML: Final = _with_names("｜DSML｜invoke", "｜DSML｜parameter")
DSML: Final = replace(
    _DSML, argument=_DSML.argument.replace('"«key»"', '"«key»" string="«string»"')
)
ATEM: Final = _with_names("atem:invoke", "atem:parameter")
MINICPM: Final = _with_names("function", "param", line="")


def tagged(text: str, types: Types, tags: Tags = CODER) -> list[Call]:
    """Parse consecutive calls.

    Parameters
    ----------
    text : str
        The calls. The last one's closing tag may be missing.
    types : Types
        Types of the tools' parameters.
    tags : Tags
        The family's tags.

    Raises
    ------
    ValueError
        There are no calls, or other text stands before, between or after them, or it
        is not certain where a value ends.
    """
    reader = _Reader(text, types, tags)
    calls: list[Call] = []
    while not calls or not reader.is_at_end:
        calls.append(reader.call())
    return calls


class _Reader:
    """Reads calls one after the other."""

    def __init__(self, text: str, types: Types, tags: Tags) -> None:
        self._text, self._types, self._tags = text, types, tags
        self._at = 0
        end, function_end = map(re.escape, (tags.parameter_end, tags.function_end))
        function, opening = tags.function.pattern, tags.parameter.pattern
        function, opening = (
            pattern.replace("?P<string>", "") for pattern in (function, opening)
        )
        after_function = rf"\s*+(?:\Z|(?={function}))"
        self._ends_value = re.compile(
            rf"(?P<end>\n?{end}(?=\s*+(?:\Z|{opening}|{function_end}{after_function})))"
            rf"|(?P<cut>\n?(?={function_end}{after_function}))"
            rf"|(?P<open>\n?{opening})"
        )
        self._inner_end = re.compile(end)

    @property
    def is_at_end(self) -> bool:
        """Whether nothing but white space is left."""
        self._skip_space()
        return self._at == len(self._text)

    def call(self) -> Call:
        """Read a call."""
        name = checked_name(self._next(self._tags.function, "<function=...>")[1])
        arguments: dict[str, Any] = {}
        self._skip_space()
        if self._text.startswith("{", self._at):  # as Llama 3 and Functionary write it
            return Call(name, self._json_arguments())
        while opening := self._tags.parameter.match(self._text, self._at):
            key = opening[1].strip()
            if not key or key in arguments:
                raise ValueError(f"wanted another parameter, found {short(key)} again")
            self._at = opening.end()
            value = self._value(self._types.get(name, {}))
            arguments[key] = self._typed(value, name, opening)
            self._skip_space()
        if not self.is_at_end:
            self._close()
        return Call(name, checked_arguments(arguments))

    def _value(self, known: Mapping[str, object]) -> str:
        """Read a value, and go behind its closing tag."""
        start = self._at + self._text.startswith("\n", self._at)
        at = self._at
        while found := self._ends_value.search(self._text, at):
            if found["open"] is None:
                self._at = found.end()
                return self._text[start : max(start, found.start())]
            inner_end = self._behind_inner(found)
            if inner_end is not None:
                at = inner_end
                continue
            opening = self._tags.parameter.search(self._text, found.start())
            assert opening is not None
            value = self._text[start : max(start, found.start())]
            if opening[1].strip() not in known or self._tags.function_end in value:
                raise ValueError(
                    f"wanted {self._tags.parameter_end}, found {short(opening[0])}"
                )
            self._at = opening.start()  # the closing tag is missing
            return value
        left = short(self._text[start : start + 200])
        raise ValueError(f"wanted {self._tags.parameter_end} at the end, found {left}")

    def _behind_inner(self, opening: re.Match[str]) -> int | None:
        """Return the end of a whole parameter inside a value; None if it is not one.

        It is one if text of the value follows its closing tag.
        """
        inner = self._inner_end.search(self._text, opening.end())
        if inner is None:
            return None
        final = self._ends_value.match(self._text, inner.start())
        before = self._text[inner.start() - 1] == "\n"
        if final is None and before:
            final = self._ends_value.match(self._text, inner.start() - 1)
        if final is not None and final["end"] is not None:
            return None
        return inner.end()

    def _typed(self, text: str, name: str, opening: re.Match[str]) -> Any:
        wanted = self._types.get(name, {}).get(opening[1].strip(), frozenset[str]())
        match opening.groupdict().get("string"):
            case "true":
                return text
            case "false":
                try:
                    return json_value(text)
                except ValueError:
                    return text
        return typed_value(text, wanted)

    def _json_arguments(self) -> dict[str, Any]:
        value, self._at = first_value(self._text, self._at)
        self._close()
        return checked_arguments(value)

    def _close(self) -> None:
        """Go behind the closing tag of a call."""
        tag = self._tags.function_end
        self._next(re.compile(re.escape(tag)), tag)

    def _skip_space(self) -> None:
        while self._text[self._at : self._at + 1].isspace():
            self._at += 1

    def _next(self, pattern: re.Pattern[str], tag: str) -> re.Match[str]:
        self._skip_space()
        match = pattern.match(self._text, self._at)
        if match is None:
            found = short(self._text[self._at : self._at + 200])
            raise ValueError(f"wanted {tag}, found {found}")
        self._at = match.end()
        return match


def typed_value(text: str, types: frozenset[str]) -> Any:
    """Return the value converted to one of `types`; the text if that is impossible."""
    if not types - {"string"}:
        return text
    word = text.strip().lower()
    try:
        value = _WORDS[word] if word in _WORDS else _only_value(text)
    except ValueError:
        return text
    return value if types_of(value) & (types - {"string"}) else text


def _only_value(text: str) -> Any:
    """Parse JSON, or a list or dict as Python writes it."""
    value, end = first_value(text, 0)
    if text[end:].strip() or (isinstance(value, str) and not text.strip()[0] == '"'):
        raise ValueError("wanted one value")
    return value
