"""Fields of requests, and types of responses, as JSON schemas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import UnionType
from typing import (
    Any,
    Final,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from llamacy.protocols.fields import Recording
from llamacy.protocols.openai.sampling import MAX_CHOICES, MAX_TOP

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
TEXTS: Final[Schema] = {"type": "array", "items": TEXT}
INTEGER: Final[Schema] = {"type": "integer"}
NUMBER: Final[Schema] = {"type": "number"}
FLAG: Final[Schema] = {"type": "boolean"}
OBJECT: Final[Schema] = {"type": "object"}
_PLAIN: Final = {str: TEXT, int: INTEGER, float: NUMBER, bool: FLAG}

_FRACTION: Final = {"type": "number", "minimum": 0, "maximum": 1}
_POSITIVE: Final = {"type": "integer", "minimum": 1}
_TOP: Final = {"type": "integer", "minimum": 0, "maximum": MAX_TOP}

FIELDS: Final[dict[str, Schema]] = {
    "model": TEXT,
    "temperature": {"type": "number", "minimum": 0},
    "top_p": _FRACTION,
    "min_p": _FRACTION,
    "typical_p": _FRACTION,
    "top_k": INTEGER,
    "frequency_penalty": {"type": "number", "minimum": -2, "maximum": 2},
    "presence_penalty": {"type": "number", "minimum": -2, "maximum": 2},
    "repeat_penalty": {"type": "number", "exclusiveMinimum": 0},
    "seed": INTEGER,
    "stop": {"anyOf": [TEXT, {**TEXTS, "maxItems": 64}]},
    "stop_sequences": {**TEXTS, "maxItems": 64},
    "logit_bias": {"type": "object", "additionalProperties": NUMBER},
    "n": {"type": "integer", "minimum": 1, "maximum": MAX_CHOICES},
    "max_tokens": _POSITIVE,
    "max_completion_tokens": _POSITIVE,
    "max_output_tokens": _POSITIVE,
    "top_logprobs": _TOP,
    "response_format": OBJECT,
    "json_schema": OBJECT,
    "regex": TEXT,
    "grammar": TEXT,
    "chat_template_kwargs": OBJECT,
    "dimensions": _POSITIVE,
    "normalize": FLAG,
    "top_n": _POSITIVE,
    "metadata": OBJECT,
    "options": OBJECT,
}
"""Schemas of fields by name, in all requests that have them."""


def request_schema(
    read: Callable[[Any], object],
    example: Mapping[str, Any],
    shapes: Mapping[str, Schema],
    *,
    is_open: bool,
) -> Schema:
    """Return the schema of a request's body.

    Parameters
    ----------
    read : callable
        Reads a body.
    example : mapping
        A body with what is required alone.
    shapes : mapping of str to dict
        Schemas of fields that have others than those of this name elsewhere.
    is_open : bool
        Whether unknown fields are ignored.
    """
    recording = Recording(example)
    read(recording)
    schema = _object(recording, {**FIELDS, **shapes}, frozenset(example))
    schema["required"] = sorted(example)
    schema["additionalProperties"] = is_open
    schema["examples"] = [dict(example)]
    return schema


def _object(
    recording: Recording, shapes: Mapping[str, Schema], required: frozenset[str]
) -> Schema:
    properties: dict[str, Schema] = {}
    for name, kind in recording.fields.items():
        if isinstance(kind, Recording):
            schema = shapes.get(name) or _object(kind, {}, frozenset())
        else:
            schema = shapes.get(name) or ({"type": kind} if kind else {})
        if schema and name not in required:
            schema = {"anyOf": [schema, {"type": "null"}]}
        properties[name] = schema
    return {"type": "object", "properties": properties}


def type_schema(hint: Any) -> Schema:
    """Return the schema of a type: a typed dict, or a type that JSON has.

    Examples
    --------
    >>> type_schema(list[int] | None)
    {'anyOf': [{'type': 'array', 'items': {'type': 'integer'}}, {'type': 'null'}]}
    """
    origin, parts = get_origin(hint), get_args(hint)
    if is_typeddict(hint):
        return _typed_dict(hint)
    if origin is Literal:
        return {"enum": list(parts)}
    if origin in (Union, UnionType):
        return {"anyOf": [type_schema(part) for part in parts]}
    if origin is list:
        return {"type": "array", "items": type_schema(parts[0])}
    if origin is dict:
        return OBJECT if parts[1] is Any else {**OBJECT, **_values(parts[1])}
    if hint is type(None):
        return {"type": "null"}
    return _PLAIN.get(hint, {})


def _values(hint: Any) -> Schema:
    return {"additionalProperties": type_schema(hint)}


def _typed_dict(hint: Any) -> Schema:
    properties, required = {}, []
    for name, kind in get_type_hints(hint, include_extras=True).items():
        if get_origin(kind) is NotRequired:
            (kind,) = get_args(kind)
        else:
            required.append(name)
        properties[name] = type_schema(kind)
    return {"type": "object", "properties": properties, "required": required}
