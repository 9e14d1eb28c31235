"""Values that stand in tags as plain text, without quotes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from llamacy.chat.constrained.nested_keywords import check_types, constants, enforced
from llamacy.chat.constrained.patterns import text_pattern
from llamacy.chat.reply.schema_types import ValueTypes
from llamacy.chat.reply.tool_call_tags import typed_value
from llamacy.structured.schema.alternatives import are_disjoint
from llamacy.structured.schema.keywords import ASSERTIONS, STRING
from llamacy.structured.schema.places import Place
from llamacy.structured.schema.references import References


class TextValue(NamedTuple):
    """A value as it may stand in a tag, where texts have no quotes.

    Attributes
    ----------
    texts : list of str
        Texts that it may be.
    pattern : str or None
        The terminal of more texts.
    is_other : bool
        Whether a text that is read as another type, such as `5`, is none of those.
    others : list of (schema, Place)
        Schemas of values that are written as JSON, with their places.
    """

    texts: list[str]
    pattern: str | None = None
    is_other: bool = True
    others: list[tuple[Any, Place]] = []


_ANY_TEXT: Final = r"/(.|\n)*/"
_LINE: Final = r"/[^\n]*/"  # a line break at an end may be taken for the tag's

_UNRULED: Final = "text without a rule, which tags cannot hold it to"

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
    types = ValueTypes.of(references, [schema])
    check_types(types, at)
    if types and "string" not in types:
        return TextValue([], others=[(schema, at)])
    keywords = node.keys() & ASSERTIONS
    if keywords & {"enum", "const"}:
        return TextValue(_texts(node, types, at))
    if keywords <= {"type"}:
        return TextValue([], _ANY_TEXT, is_other=False)
    if len(keywords) == 1 and keywords <= _UNION:
        (keyword,) = keywords
        return _union(references, node[keyword], types, at / keyword)
    if types == frozenset(["string"]) and keywords <= {"type", *STRING}:
        return TextValue([], f"{text_pattern(node, at)} & {_LINE}", is_other=False)
    at.refuse(_UNRULED, sorted(keywords))


def _union(
    references: References, parts: Sequence[Any], types: frozenset[str], at: Place
) -> TextValue:
    """Return the values of alternatives, each of them text or no text at all."""

    def resolve(node: Any) -> Any:
        return references.resolved(node, at)

    if at.pointer.endswith("/oneOf") and not are_disjoint(parts, resolve):
        at.refuse("oneOf whose parts differ in type", len(parts))
    texts, others, patterns = list[str](), list[tuple[Any, Place]](), list[str]()
    has_rules = False
    for i, part in enumerate(parts):
        node, place = resolve(part), at / i
        if node is False:
            continue
        keywords = frozenset() if node is True else node.keys() & ASSERTIONS
        if not keywords:  # anything fits
            return TextValue([], _ANY_TEXT, is_other=False)
        has_rules = has_rules or not keywords <= {"type"}
        own = ValueTypes.of(references, [node])
        if own and "string" not in own:
            others.append((part, place))
        elif keywords & {"enum", "const"}:
            texts += _texts(node, types, place)
        elif keywords == {"type"}:
            patterns.insert(0, _ANY_TEXT)
        elif (
            own == frozenset(["string"])
            and keywords <= {"type", *STRING}
            and not patterns
        ):
            patterns.append(f"{text_pattern(node, place)} & {_LINE}")
        else:
            place.refuse(_UNRULED, sorted(keywords))
    if not has_rules:
        return TextValue([], _ANY_TEXT, is_other=False)
    is_free = _ANY_TEXT in patterns
    return TextValue(
        texts=[] if is_free else texts,
        pattern=patterns[0] if patterns else None,
        is_other=types != frozenset(["string"]),
        others=others,
    )


def _texts(node: Mapping[str, Any], types: frozenset[str], at: Place) -> list[str]:
    """Return constants, all of which must be texts, and be read as texts."""
    values = constants(enforced(node, at), at)
    for value in values:
        is_text = isinstance(value, str) and value.strip() == value
        if not is_text or typed_value(value, types) != value:
            at.refuse("constants that are text", values)
    return [*dict.fromkeys(values)]
