"""The options that say what a text must follow."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, NoReturn, Protocol, TypeAlias

from llamacy.arguments import checked_flag, short
from llamacy.errors import ArgumentError, ConstraintError
from llamacy.structured.form import Form, Kind

JSONSchema: TypeAlias = "Mapping[str, Any] | type | Any"
"""A schema as a dict, a pydantic class, or a `pydantic.TypeAdapter`."""

ResponseFormat: TypeAlias = "Mapping[str, Any] | type | Any"
"""OpenAI's `response_format`, or a pydantic class."""


class StructureOptions(Protocol):
    """The options, as fields of `SamplingParams`."""

    @property
    def json_schema(self) -> JSONSchema | None:
        """A schema."""

    @property
    def response_format(self) -> ResponseFormat | None:
        """OpenAI's way to say it."""

    @property
    def regex(self) -> str | None:
        """A regular expression for the whole text."""

    @property
    def choices(self) -> Collection[str] | None:
        """The texts that are allowed."""

    @property
    def grammar(self) -> str | None:
        """A grammar in GBNF or in Lark's notation."""

    @property
    def json_schema_lenient(self) -> bool:
        """Whether keywords that cannot be enforced are left out."""


NAMES = ("json_schema", "response_format", "regex", "choices", "grammar")
"""The options of which a call may have one."""


def form_of(options: StructureOptions) -> Form | None:
    """Return what a text must follow, if the options say it.

    Raises
    ------
    ArgumentError
        Two of the options are given, or one has a value of the wrong type.
    ConstraintError
        A value that no JSON can express, or an unknown `response_format`.
    """
    given = [name for name in NAMES if getattr(options, name) is not None]
    if len(given) > 1:
        raise ArgumentError(
            f"{given[1]}: wanted one of {', '.join(NAMES)}, found {given[0]} too"
        )
    is_lenient = checked_flag("json_schema_lenient", options.json_schema_lenient)
    if options.json_schema is not None:
        return schema_form("json_schema", options.json_schema, is_lenient)
    if options.response_format is not None:
        return _from_response_format(options.response_format, is_lenient)
    if options.choices is not None:
        return _from_choices(options.choices)
    texts: tuple[tuple[Kind, str | None], ...] = (
        ("regex", options.regex),
        ("grammar", options.grammar),
    )
    for kind, text in texts:
        if text is not None:
            return Form(kind, _checked_text(kind, text), kind)
    return None


def schema_form(argument: str, schema: Any, is_lenient: bool) -> Form:
    """Return the form of a JSON schema: a dict, a pydantic class or an adapter."""
    parser = None
    try:
        if isinstance(schema, type) and hasattr(schema, "model_json_schema"):
            parser, schema = schema, schema.model_json_schema()
        elif hasattr(schema, "validate_json") and hasattr(schema, "json_schema"):
            parser, schema = schema, schema.json_schema()
    except Exception as error:  # pydantic's, of a class that no schema describes
        raise ConstraintError(f"{argument}: wanted a JSON schema: {error}") from error
    if not isinstance(schema, Mapping | bool):
        raise ArgumentError(
            f"{argument}: wanted a JSON schema as a dict, or a pydantic class, "
            f"found {short(schema)}"
        )
    return Form("json", _as_json(argument, schema), argument, is_lenient, parser)


def _as_json(argument: str, value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConstraintError(f"{argument}: wanted JSON: {error}") from None


def _plain(value: Any) -> Any:
    """Return mappings and sequences of other classes as JSON's own."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Collection) and not isinstance(value, bytes):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be expressed")


def _from_response_format(value: Any, is_lenient: bool) -> Form | None:
    name = "response_format"
    if not isinstance(value, Mapping):
        return schema_form(name, value, is_lenient)
    kind = value.get("type")
    if kind == "text":
        return None
    if kind == "json_object":
        schema = value.get("schema")  # llama-cpp-python's addition
        schema = {"type": "object"} if schema is None else schema
        return schema_form(f"{name}['schema']", schema, is_lenient)
    if kind != "json_schema":
        _refuse(f"{name}['type']", "text, json_object or json_schema", kind)
    inner = value.get("json_schema")
    if not isinstance(inner, Mapping) or "schema" not in inner:
        _refuse(f"{name}['json_schema']", "a dict with name and schema", inner)
    place = f"{name}['json_schema']['schema']"
    return schema_form(place, inner["schema"], is_lenient)


def _from_choices(choices: Any) -> Form:
    if isinstance(choices, str | bytes | Mapping) or not isinstance(
        choices, Collection
    ):
        _refuse("choices", "a list of texts", choices)
    texts = list(dict.fromkeys(_checked_text("choices", text) for text in choices))
    if not texts:
        _refuse("choices", "at least one text", choices)
    return Form("choices", _as_json("choices", texts), "choices")


def _checked_text(name: str, text: object) -> str:
    if not isinstance(text, str) or not text:
        _refuse(name, "non-empty text", text)
    try:
        text.encode()
    except UnicodeEncodeError:
        _refuse(name, "Unicode text", text)
    return text


def _refuse(name: str, wanted: str, found: object) -> NoReturn:
    raise ArgumentError(f"{name}: wanted {wanted}, found {short(found)}")
