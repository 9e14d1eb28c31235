"""From a form to llguidance's grammar."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from llamacy.errors import ConstraintError
from llamacy.structured.form import Form
from llamacy.structured.library import llguidance
from llamacy.structured.schema.places import Place
from llamacy.structured.schema.strings import checked_pattern
from llamacy.structured.schema.translated import Translated
from llamacy.structured.schema.translating import translate

_MAX_CHARACTERS: Final = 2**20
"""Most characters of a schema or a grammar."""

JSON_STYLE: Final = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "json_allowed_escapes": 'nrbtf\\"',  # \u could spell a declared key anew
}
"""Spaces as `json.dumps` writes them, which models have seen most, and no others."""

LOOSE_STYLE: Final = {
    "whitespace_pattern": r"[ \n\r\t]{0,16}",
    "item_separator": ",",
    "key_separator": ":",
    "json_allowed_escapes": JSON_STYLE["json_allowed_escapes"],
}
"""Any spaces, but not without end: for a text whose beginning somebody else wrote."""

_LITERAL: Final = re.compile(r"/(?:[^/\\\n]|\\.)+/|\"(?:[^\"\\\n]|\\.)*\"|//[^\n]*")


class Grammar(NamedTuple):
    """A grammar for llguidance.

    Attributes
    ----------
    part : dict
        The grammar, as llguidance's JSON lists it.
    translated : Translated or None
        The schema that it was made of, to find the place of an error.
    others : mapping of str to Grammar
        Grammars that it refers to, as ``@name``.
    """

    part: dict[str, Any]
    translated: Translated | None = None
    others: Mapping[str, Grammar] = MappingProxyType({})

    @property
    def source(self) -> str:
        """The whole grammar as JSON."""
        others = [{**one.part, "name": name} for name, one in self.others.items()]
        return json.dumps({"grammars": [self.part, *others]})


def grammar_of(form: Form, style: Mapping[str, Any] = JSON_STYLE) -> Grammar:
    """Return the grammar of a form.

    Parameters
    ----------
    form : Form
        The form of a text.
    style : mapping
        Where JSON has spaces.

    Raises
    ------
    ConstraintError
        It cannot be enforced; the grammar may still be refused by llguidance.
    ConstraintLimitError
        It is too long.
    """
    at = Place(form.argument, "")
    if len(form.source) > _MAX_CHARACTERS:
        at.refuse_size(f"at most {_MAX_CHARACTERS} characters", str(len(form.source)))
    if form.kind == "json":
        schema = json.loads(form.source)
        translated = translate(
            schema, form.argument, form.start, is_lenient=form.is_lenient
        )
        return json_grammar(translated.schema, style)._replace(translated=translated)
    if form.kind == "regex":
        checked_pattern(form.source, at)
        # \d is a digit from 0 to 9, which is what everybody means
        return lark_grammar(f"start: /{llguidance().regex_to_lark(form.source, 'd')}/")
    if form.kind == "choices":
        texts = map(lark_text, json.loads(form.source))
        return lark_grammar(f"start: {' | '.join(texts)}")
    return lark_grammar(_lark(form.source, at))


def json_grammar(
    schema: Mapping[str, Any], style: Mapping[str, Any] = JSON_STYLE
) -> Grammar:
    """Return the grammar of a translated schema."""
    return Grammar({"json_schema": {**schema, "x-guidance": dict(style)}})


def lark_grammar(
    rules: str, others: Mapping[str, Grammar] = MappingProxyType({})
) -> Grammar:
    """Return the grammar of rules in Lark's notation, and of those they refer to."""
    return Grammar({"lark_grammar": rules}, None, others)


def lark_text(text: str) -> str:
    """Return a text as a literal of Lark's notation."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _lark(source: str, at: Place) -> str:
    """Return a grammar in Lark's notation, which it may be in already.

    Raises
    ------
    ConstraintError
        It is GBNF, and broken; or an expression in it grows too large.
    """
    if "::=" in source:
        llguidance()  # its error, if it is not there
        from llguidance.gbnf_to_lark import gbnf_to_lark

        try:
            source = gbnf_to_lark(source)
        except Exception as error:  # it raises `Exception` itself
            raise ConstraintError(f"{at}: wanted GBNF: {error}") from None
    for literal in _LITERAL.findall(source):
        if literal.startswith("/") and not literal.startswith("//"):
            checked_pattern(literal[1:-1], at)
    return source
