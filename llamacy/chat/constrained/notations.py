"""Notations of arguments that are neither JSON nor text in tags of one level."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

from llamacy.chat.constrained.lark import Marks, without
from llamacy.chat.constrained.patterns import text_pattern
from llamacy.chat.reply import tool_call_gemma
from llamacy.chat.reply.schema_types import ValueTypes
from llamacy.errors import ConstraintError
from llamacy.structured.grammar import lark_text
from llamacy.structured.schema.places import Place
from llamacy.structured.schema.strings import counts

_BARE_KEY: Final = re.compile(r"[\w$@.-]+")
_ANY_BARE_KEY: Final = "/[A-Za-z_][A-Za-z0-9_]{0,63}/"

_CHARACTER: Final = r'([^"\\\x00-\x1f\x7f]|\\[nrtbf\\"])'
"""A character of JSON's strings."""

_UNESCAPED: Final = r'[^"\\\x00-\x1f\x7f]*'


class Notation(ABC):
    """The way in which a family writes values, lists and objects.

    Parameters
    ----------
    marks : Marks
        Writes marks.

    Raises
    ------
    ConstraintError
        The vocabulary has no token for the mark that ends texts, so that a text could
        not be told from what follows it.
    """

    mark: str
    between = ""  # of items and of members
    has_free_keys = False  # whether objects may have keys that are not declared
    needs_types = False  # whether values are read as of the types that a schema allows

    def __init__(self, marks: Marks) -> None:
        if not marks.is_token(self.mark):
            raise ConstraintError(
                f"tools: wanted a vocabulary with a token for {self.mark}, found none; "
                "leave out tool_choice, strict and the form of the answer"
            )
        self.marks = marks

    def content(self, node: Mapping[str, Any], at: Place, types: ValueTypes) -> str:
        """Return the terminal of a text that fits a schema, up to its mark."""
        return f"{text_pattern(node, at)} & {without(self.mark)}"

    def written(self, text: str) -> str:
        """Return a text with its marks as terms; other tokens' names in it are text."""
        return self.marks.within(self.mark, text)

    def can_be_empty(self, kind: str, types: ValueTypes) -> bool:
        """Whether an empty list or object can be told from other values."""
        return True

    def can_be(self, kind: str, types: ValueTypes) -> bool:
        """Whether a list or an object with items can be told from other values."""
        return True

    @abstractmethod
    def text(self, content: str) -> str:
        """Return the terms of a text whose content is a terminal."""

    @abstractmethod
    def plain(self, terms: str) -> str:
        """Return the terms of a number, or of a constant that is no text."""

    @abstractmethod
    def constant(self, value: Any) -> str:
        """Return a constant as the model writes it."""

    @abstractmethod
    def read(self, written: str, types: ValueTypes) -> Any:
        """Return the constant that is read where one was written."""

    @abstractmethod
    def item(self, value: str) -> str:
        """Return the terms of an item of a list."""

    @abstractmethod
    def listed(self, items: str) -> str:
        """Return the terms of a list around its items."""

    @abstractmethod
    def key_fits(self, key: str, types: ValueTypes) -> bool:
        """Whether an object can have a member of this name."""

    @abstractmethod
    def member(self, key: str, value: str) -> str:
        """Return the terms of an object's member."""

    @abstractmethod
    def mapped(self, members: str) -> str:
        """Return the terms of an object around its members."""

    def free_member(self, value: str) -> str:
        """Return the terms of a member of any name, where there are `has_free_keys`."""
        raise NotImplementedError

    def any_arguments(self, name: str) -> tuple[str, str]:
        """Return the terms of arguments whether they can be read or not, and rules."""
        raise NotImplementedError


class Braces(Notation):
    """Gemma 4's notation: `{city:<|"|>Paris<|"|>,days:[1,2]}`."""

    mark = tool_call_gemma.QUOTE
    between = ","
    has_free_keys = True

    def text(self, content: str) -> str:
        """Return a text between its marks."""
        return f"{self.marks(self.mark)} {content} {self.marks(self.mark)}"

    def plain(self, terms: str) -> str:
        """Return what JSON has."""
        return terms

    def constant(self, value: Any) -> str:
        """Return a constant, texts between marks."""
        if isinstance(value, str):
            return f"{self.mark}{value}{self.mark}"
        if isinstance(value, list | tuple):
            return f"[{','.join(map(self.constant, value))}]"
        if isinstance(value, dict):
            items = (f"{self._key(k)}:{self.constant(v)}" for k, v in value.items())
            return f"{{{','.join(items)}}}"
        return json.dumps(value)

    def read(self, written: str, types: ValueTypes) -> Any:
        """Return what a call with this argument has."""
        (call,) = tool_call_gemma.quoted(f"call:f{{v:{written}}}")
        return call.arguments["v"]

    def item(self, value: str) -> str:
        """Return the value itself."""
        return value

    def listed(self, items: str) -> str:
        """Return items in brackets."""
        return f'"[" {items} "]"'

    def key_fits(self, key: str, types: ValueTypes) -> bool:
        """Whether the key has no mark in it."""
        return self.mark not in key

    def member(self, key: str, value: str) -> str:
        """Return a key, in marks if it is no name, and its value."""
        return f"{self.written(f'{self._key(key)}:')} {value}"

    def mapped(self, members: str) -> str:
        """Return members in braces."""
        return f'"{{" {members} "}}"'

    def free_member(self, value: str) -> str:
        """Return a bare key, and its value."""
        return f'{_ANY_BARE_KEY} ":" {value}'

    def _key(self, key: str) -> str:
        return key if _BARE_KEY.fullmatch(key) else f"{self.mark}{key}{self.mark}"


class Quoted(Braces):
    """JSON in tags: no text in it contains one of them, which would end the value.

    Parameters
    ----------
    marks : Marks
        Writes marks.
    tags : list of str
        The tags' beginnings.
    """

    between = ", "

    def __init__(self, marks: Marks, tags: list[str]) -> None:
        self.marks = marks
        self._tags = tags

    def content(self, node: Mapping[str, Any], at: Place, types: ValueTypes) -> str:
        """Return a text that fits a schema, as it stands between quotes.

        A pattern is for text without escapes, which is as long as it is written.
        """
        if "pattern" in node or "format" in node:
            parts = [text_pattern(node, at), f"/{_UNESCAPED}/"]
        else:
            counted = counts(node, at, "minLength", "maxLength")
            least, most = counted.get("minLength", 0), counted.get("maxLength", "")
            parts = [f"/{_CHARACTER}{{{least},{most}}}/"]
        return " & ".join([*parts, without(*self._tags)])

    def written(self, text: str) -> str:
        """Return a text, which has no marks."""
        return lark_text(text)

    def text(self, content: str) -> str:
        """Return a text between quotes."""
        return f'"\\"" {content} "\\""'

    def constant(self, value: Any) -> str:
        """Return a constant as JSON."""
        return json.dumps(value, ensure_ascii=False)

    def read(self, written: str, types: ValueTypes) -> Any:
        """Return a constant, unless there are tags in it."""
        if any(tag in written for tag in self._tags):
            raise ValueError("wanted a constant without tags")
        return json.loads(written)

    def key_fits(self, key: str, types: ValueTypes) -> bool:
        """Whether the key has no tag in it."""
        return not any(tag in key for tag in self._tags)

    def member(self, key: str, value: str) -> str:
        """Return a key in quotes, and its value."""
        return f"{lark_text(f'{json.dumps(key, ensure_ascii=False)}: ')} {value}"

    def free_member(self, value: str) -> str:
        """Return a key in quotes, and its value."""
        return f'"\\"" {_ANY_BARE_KEY} "\\": " {value}'
