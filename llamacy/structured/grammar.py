"""From a form to llguidance's grammar."""

from __future__ import annotations

import json
import re
from typing import Any, Final, NamedTuple

from llamacy.errors import ConstraintError
from llamacy.structured.form import Form
from llamacy.structured.library import llguidance
from llamacy.structured.schema.places import Place
from llamacy.structured.schema.strings import checked_pattern
from llamacy.structured.schema.translating import Translated, translate

_MAX_CHARACTERS: Final = 2**20
"""Most characters of a schema or a grammar."""

JSON_STYLE: Final = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "json_allowed_escapes": 'nrbtf\\"',  # \u could spell a declared key anew
}
"""Spaces as `json.dumps` writes them, which models have seen most, and no others."""

_LITERAL: Final = re.compile(r"/(?:[^/\\\n]|\\.)+/|\"(?:[^\"\\\n]|\\.)*\"|//[^\n]*")


class Grammar(NamedTuple):
    """A grammar for llguidance.

    Attributes
    ----------
    source : str
        The grammar.
    translated : Translated or None
        The schema that it was made of, to find the place of an error.
    """

    source: str
    translated: Translated | None = None


def grammar_of(form: Form) -> Grammar:
    """Return the grammar of a form.

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
        translated = translate(schema, form.argument, is_lenient=form.is_lenient)
        return Grammar(json_grammar(translated.schema), translated)
    matcher = llguidance().LLMatcher
    if form.kind == "regex":
        checked_pattern(form.source, at)
        return Grammar(matcher.grammar_from_regex(form.source))
    if form.kind == "choices":
        texts = map(lark_text, json.loads(form.source))
        return Grammar(matcher.grammar_from_lark(f"start: {' | '.join(texts)}"))
    return Grammar(matcher.grammar_from_lark(_lark(form.source, at)))


def json_grammar(schema: dict[str, Any]) -> str:
    """Return the grammar of a translated schema."""
    matcher = llguidance().LLMatcher
    try:
        return str(
            matcher.grammar_from_json_schema(json.dumps(schema), overrides=JSON_STYLE)
        )
    except ValueError as error:
        raise ConstraintError(f"json_schema: wanted JSON: {error}") from None


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
