"""Values that stand in tags as plain text, without quotes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from llamacy.chat.reply.schema_types import parameter_types
from llamacy.chat.reply.tool_call_tags import typed_value
from llamacy.structured.schema.alternatives import are_disjoint
from llamacy.structured.schema.keywords import ASSERTIONS
from llamacy.structured.schema.places import Place
from llamacy.structured.schema.references import References


class TextValue(NamedTuple):
    """A value as it may stand in a tag, where texts have no quotes.

    Attributes
    ----------
    texts : list of str
        Texts that it may be.
    pattern : str or None
        A regular expression of more texts.
    is_other : bool
        Whether a text that is read as another type, such as `5`, is none of those.
    others : list of (schema, Place)
        Schemas of values that are written as JSON, with their places.
    """

    texts: list[str]
    pattern: str | None = None
    is_other: bool = True
    others: list[tuple[Any, Place]] = []


ANY_TEXT: Final = r"(.|\n)*"

_PLAIN = frozenset({"type", "anyOf", "oneOf", "enum", "const"})
_UNION = frozenset({"anyOf", "oneOf"})


def text_value(root: Mapping[str, Any], node: Any, at: Place) -> TextValue:
    """Return the values of a parameter, as they stand in tags.

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
    references = References(root)
    schema, node = node, references.resolved(node, at)
    if node is False:
        at.refuse("a parameter that something fits", node)
    node = {} if node is True else node
    types = _types(root, node)
    if types and "string" not in types:
        return TextValue([], others=[(schema, at)])
    keywords = node.keys() & ASSERTIONS
    if keywords & {"enum", "const"}:
        return TextValue(_texts(node, types, at))
    if keywords <= {"type"}:
        return TextValue([], ANY_TEXT, is_other=False)
    if len(keywords) == 1 and keywords <= _UNION:
        (keyword,) = keywords
        return _union(root, node[keyword], types, at / keyword)
    least, most = node.get("minLength", 0), node.get("maxLength")
    if types == {"string"} and keywords <= {"type", "minLength", "maxLength"}:
        if isinstance(least, int) and isinstance(most, int | None):
            upper = "" if most is None else most
            return TextValue([], rf"[^\n]{{{least},{upper}}}")
    at.refuse("text without a rule, which tags cannot hold it to", sorted(keywords))


def _union(
    root: Mapping[str, Any], parts: Sequence[Any], types: frozenset[str], at: Place
) -> TextValue:
    """Return the values of alternatives, each of them text or no text at all."""
    references = References(root)
    texts, others, is_free = list[str](), list[tuple[Any, Place]](), False
    is_ruled = False
    if at.pointer.endswith("/oneOf"):
        resolved = [references.resolved(part, at) for part in parts]
        if not are_disjoint(resolved, lambda one: references.resolved(one, at)):
            at.refuse("oneOf whose parts differ in type", len(parts))
    for i, part in enumerate(parts):
        node, place = references.resolved(part, at / i), at / i
        if node is False:
            continue
        node = {} if node is True else node
        own = _types(root, node)
        keywords = node.keys() & ASSERTIONS
        if not keywords:  # anything fits
            return TextValue([], ANY_TEXT, is_other=False)
        is_ruled = is_ruled or not keywords <= {"type"}
        if own and "string" not in own:
            others.append((part, place))
        elif keywords & {"enum", "const"}:
            texts += _texts(node, types, place)
        elif keywords == {"type"}:
            is_free = True
        else:
            message = "text without a rule, which tags cannot hold it to"
            place.refuse(message, sorted(keywords))
    if is_free and not is_ruled:
        return TextValue([], ANY_TEXT, is_other=False)
    pattern = ANY_TEXT if is_free else None
    return TextValue([] if is_free else texts, pattern, others=others)


def _texts(node: Mapping[str, Any], types: frozenset[str], at: Place) -> list[str]:
    """Return constants, all of which must be texts, and be read as texts."""
    if rest := node.keys() & ASSERTIONS - {"enum", "const", "type"}:
        at.refuse("constants alone, without other keywords", sorted(rest))
    values = node["enum"] if "enum" in node else [node["const"]]
    for value in values:
        is_text = isinstance(value, str) and value.strip() == value
        if not is_text or typed_value(value, types) != value:
            at.refuse("constants that are text", values)
    return [*dict.fromkeys(values)]


def _types(root: Mapping[str, Any], node: Mapping[str, Any]) -> frozenset[str]:
    schema = {**root, "properties": {"value": node}}
    tool = {"function": {"name": "tool", "parameters": schema}}
    return parameter_types([tool])["tool"].get("value", frozenset[str]())
