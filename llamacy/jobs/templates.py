"""Templates of prompts: a text with the names of columns in braces."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from llamacy.arguments import short
from llamacy.errors import ArgumentError
from llamacy.jobs.rows import to_json
from llamacy.option_names import hint

_PART: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|([{}])")

_NOT_TEXT: Final = re.compile("[\ud800-\udfff]")
"""Halves of surrogates; a CSV file's bytes that are not UTF-8 become some."""


def is_unicode(text: str) -> bool:
    """Whether a text has no halves of surrogates, which no file can hold."""
    return _NOT_TEXT.search(text) is None


@dataclass(frozen=True, slots=True)
class Template:
    """A text with the names of columns in braces, which fields are put in place of.

    A name is looked up and nothing else: it has no attributes, indices, conversions or
    formats, so that no template reaches anything but the row. ``{{`` and ``}}`` are
    braces. Fields are put in as they are: braces in them are text.

    Parameters
    ----------
    source : str
        The template.
    argument : str
        The option that it was given as, for errors.

    Raises
    ------
    ArgumentError
        A brace that is neither closed nor doubled, or an empty name.

    Examples
    --------
    >>> template = Template("{name} says {{{word}}}", "prompt")
    >>> template.names
    ('name', 'word')
    >>> template.text({"name": "Ada", "word": "{name}", "n": 3})
    'Ada says {{name}}'
    """

    source: str
    argument: str

    def __post_init__(self) -> None:
        if not isinstance(self.source, str):
            wanted = "a text with names of columns in braces"
            raise ArgumentError(
                f"{self.argument}: wanted {wanted}, found {short(self.source)}"
            )
        for match in _PART.finditer(self.source):
            if match[2]:
                raise ArgumentError(
                    f"{self.argument}: wanted the name of a column in braces, or a "
                    f"double brace for a single one, found {match[2]} "
                    f"at {match.start()}"
                )
            if match[1] == "":
                raise ArgumentError(
                    f"{self.argument}: wanted the name of a column in braces, "
                    f"found {{}} at {match.start()}"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that it names, each once."""
        found = (match[1] for match in _PART.finditer(self.source))
        return tuple(dict.fromkeys(name for name in found if name))

    def check(self, columns: Collection[str]) -> None:
        """Check that all its columns are there.

        Raises
        ------
        ArgumentError
            One is not; the message says which one was probably meant.
        """
        for name in self.names:
            if name not in columns:
                raise ArgumentError(
                    f"{self.argument}: no column {short(name)}; {hint(name, columns)}"
                )

    def text(self, fields: Mapping[str, Any]) -> str:
        """Return the text with fields in their places; numbers are written as in JSON.

        Raises
        ------
        ArgumentError
            A field is missing, null, or no text of Unicode.
        """

        def part(match: re.Match[str]) -> str:
            name = match[1]
            return match[0][0] if name is None else self._field(name, fields)

        return _PART.sub(part, self.source)

    def _field(self, name: str, fields: Mapping[str, Any]) -> str:
        value = fields.get(name)
        if value is None:
            found = "null" if name in fields else "no such field"
            raise ArgumentError(f"{short(name)}: wanted a value, found {found}")
        if not isinstance(value, str):
            text = to_json(value)
            # times, decimals and bytes are texts of JSON
            return text if text[:1] != '"' else text[1:-1]
        if not is_unicode(value):
            raise ArgumentError(f"{short(name)}: not a text of Unicode")
        return value
