"""Values that stand in tags as plain text, without quotes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from llamacy.chat.reply.schema_types import parameter_types
from llamacy.structured.schema.keywords import ASSERTIONS
from llamacy.structured.schema.places import Place
from llamacy.structured.schema.references import References


class TextValue(NamedTuple):
    """A text as it may stand in a tag.

    Attributes
    ----------
    texts : list of str or None
        The texts that it may be, if they are listed.
    pattern : str
        A regular expression for it, if they are not.
    """

    texts: list[str] | None = None
    pattern: str = r"(.|\n)*"


_PLAIN = frozenset({"type", "anyOf", "oneOf", "enum", "const"})


def text_value(root: Mapping[str, Any], node: Any, at: Place) -> TextValue | None:
    """Return the text of a parameter; None if its value is written as JSON.

    Parameters
    ----------
    root : mapping
        The tool's schema, which references start at.
    node : mapping or bool
        The parameter's schema.
    at : Place
        Its place.

    Raises
    ------
    ConstraintError
        It is text that must follow a rule which only text in quotes can be held to.
    """
    node = References(root).resolved(node, at)
    if node is False:
        at.refuse("a parameter that something fits", node)
    node = {} if node is True else node
    schema = {**root, "properties": {"value": node}}
    tool = {"function": {"name": "tool", "parameters": schema}}
    types = parameter_types([tool])["tool"].get("value", frozenset())
    if types and "string" not in types:
        return None
    keywords = node.keys() & ASSERTIONS
    if "enum" in keywords or "const" in keywords:
        values = node["enum"] if "enum" in keywords else [node["const"]]
        if all(isinstance(value, str) and value.strip() == value for value in values):
            return TextValue([*dict.fromkeys(values)])
        at.refuse("constants that are text", values)
    least, most = node.get("minLength", 0), node.get("maxLength")
    rest = keywords - {"minLength", "maxLength"}
    if rest <= _PLAIN and not (types - {"string"} and keywords - rest):
        if keywords == rest:
            if not _has_rules(node):
                return TextValue()
        elif isinstance(least, int) and isinstance(most, int | None):
            upper = "" if most is None else most
            return TextValue(None, rf"[^\n]{{{least},{upper}}}")
    at.refuse("text without a rule, which tags cannot hold it to", sorted(keywords))


def _has_rules(node: Mapping[str, Any]) -> bool:
    """Whether one of several alternatives is text that must follow a rule."""
    for keyword in ("anyOf", "oneOf"):
        for part in node.get(keyword, ()):
            if not isinstance(part, Mapping) or "$ref" in part:
                return True
            if part.get("type") == "string" and part.keys() & (ASSERTIONS - {"type"}):
                return True
    return False
