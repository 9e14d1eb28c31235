"""JSON schemas of answers and of tools, which a server's users may write."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from llamacy.chat.constrained.calls import calls_of
from llamacy.chat.constrained.lark import Marks
from llamacy.chat.constrained.wanted import Tool
from llamacy.chat.reply import call_forms
from llamacy.errors import LlamacyError
from llamacy.model_files.tokenizer import load_tokenizer
from llamacy.structured.options import schema_form
from llamacy.structured.schema.translating import translate

from ..documents import data_of, document_of

_MARKS = Marks(load_tokenizer("demo"), frozenset())
_FORMS = (
    call_forms.HERMES,
    call_forms.GLM,
    call_forms.LFM_2,
    call_forms.tagged(
        *("<a>", "</a>", "<b=«name»>«arguments»</b>", "<c=«key»>«value»</c>"),
        are_apart=True,
    ),
)

_INTEGER: dict[str, Any] = {"type": "integer", "minimum": 1, "exclusiveMaximum": 9.5}
_STRING: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 20,
    "pattern": "^(a{2,3}|[b-d]+)$",
    "format": "date",
}
_PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {"name": _STRING, "age": {**_INTEGER, "multipleOf": 0.5}},
    "patternProperties": {"^x-": {"type": ["string", "null"]}},
    "additionalProperties": False,
    "required": ["name"],
    "minProperties": 1,
}
_SCHEMAS: tuple[Any, ...] = (
    _PERSON,
    {"type": "array", "items": _PERSON, "minItems": 1, "maxItems": 3},
    {"type": "array", "prefixItems": [_INTEGER, True], "items": {"const": None}},
    {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [_PERSON, {"$ref": "#/$defs/a"}]}}},
    {"oneOf": [{"const": 1}, {"enum": ["a", {"b": [2.5]}]}, {"type": "boolean"}]},
    {"allOf": [_PERSON, {"properties": {"age": {"maximum": 5}}}], "title": "T"},
    {"type": "object", "propertyNames": {"enum": ["a"]}, "additionalProperties": {}},
    {"properties": {"a": {"$anchor": "b", **_INTEGER}, "c": {"$ref": "#b"}}},
    {"items": [_INTEGER], "additionalItems": False, "uniqueItems": False},
    {"not": {}, "if": True, "then": False, "contains": {}, "dependentRequired": {}},
)


def seeds() -> list[bytes]:
    """Return schemas of many kinds."""
    return [
        data_of({"schema": schema, "lenient": lenient, "form": i})
        for lenient in (False, True)
        for i, schema in enumerate(_SCHEMAS)
    ]


def run(data: bytes) -> None:
    """Translate a schema, and write the grammar of a tool with it as parameters."""
    document = document_of(data)
    if document is None:
        return
    schema = document.get("schema")
    with contextlib.suppress(LlamacyError):
        form = schema_form("json_schema", schema, False)
        found = translate(
            json.loads(form.source), is_lenient=document.get("lenient") is True
        )
        json.dumps(found.schema)
    number = document.get("form")
    which = number % len(_FORMS) if isinstance(number, int) else 0
    with contextlib.suppress(LlamacyError):
        tool = Tool.of(
            {"function": {"name": "f", "parameters": schema}}, is_strict=True
        )
        calls_of([tool], _FORMS[which], _MARKS)
