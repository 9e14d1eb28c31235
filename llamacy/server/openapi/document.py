"""The description of an application: paths, requests, responses and errors."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import llamacy
from llamacy.server.openapi.operations import OPERATIONS, Operation
from llamacy.server.openapi.schemas import (
    OBJECT,
    TEXT,
    Schema,
    request_schema,
    type_schema,
)

_ANTHROPIC: Final = {
    "type": "object",
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "properties": {"type": TEXT, "message": TEXT},
            "required": ["type", "message"],
        },
    },
    "required": ["type", "error"],
}
_OPENAI: Final = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": TEXT,
                "type": TEXT,
                "param": {"anyOf": [TEXT, {"type": "null"}]},
                "code": {"anyOf": [TEXT, {"type": "null"}]},
            },
            "required": ["message", "type", "param", "code"],
        }
    },
    "required": ["error"],
}
_OLLAMA: Final = {
    "type": "object",
    "properties": {"error": TEXT},
    "required": ["error"],
}
_ERRORS: Final[dict[str, Schema]] = {
    "openai": _OPENAI,
    "anthropic": _ANTHROPIC,
    "ollama": _OLLAMA,
}
_IN_PATH: Final = re.compile(r"\{(\w+)\}")


def document(
    models: Iterable[str], root: str = "", *, has_others: bool = False
) -> dict[str, Any]:
    """Return the description.

    Parameters
    ----------
    models : iterable of str
        The names of the models.
    root : str
        The path that the application is mounted at.
    has_others : bool, default False
        Whether clients may name other models as well, of the hub.
    """
    known = list(models)
    names: Schema = {**TEXT, "examples" if has_others else "enum": known}
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), operation in OPERATIONS.items():
        described = _operation(method, path, operation, names, known[0])
        paths.setdefault(path, {})[method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "llamacy", "version": llamacy.__version__},
        "servers": [{"url": root or "/"}],
        "paths": paths,
        "components": {
            "schemas": {f"{api}_error": shape for api, shape in _ERRORS.items()},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


def _operation(
    method: str, path: str, operation: Operation, names: Schema, model: str
) -> dict[str, Any]:
    error = {"schema": {"$ref": f"#/components/schemas/{operation.api}_error"}}
    refused = {"description": "Refused.", "content": {"application/json": error}}
    described: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{method.lower()}{path}").strip("_"),
        "tags": [operation.api],
        "parameters": list(_parameters(path, names)),
        "responses": {
            "200": {"description": "The answer.", "content": _content(operation)},
            "4XX": refused,
            "5XX": refused,
        },
    }
    if operation.read is not None:
        shapes = {"model": names, **operation.shapes}
        is_open = operation.api == "ollama"
        schema = request_schema(
            operation.read, operation.example, shapes, is_open=is_open
        )
        schema["examples"] = [{**operation.example, "model": model}]
        body = {"application/json": {"schema": schema}}
        described["requestBody"] = {"required": True, "content": body}
    return described


def _content(operation: Operation) -> dict[str, Any]:
    if operation.text:
        return {operation.text: {"schema": TEXT}}
    answer = OBJECT if operation.answer is None else type_schema(operation.answer)
    content: dict[str, Any] = {"application/json": {"schema": answer}}
    if operation.stream:
        content[operation.stream] = {}  # OpenAPI 3.1 cannot describe their items
    return content


def _parameters(path: str, names: Schema) -> Iterable[dict[str, Any]]:
    for name in _IN_PATH.findall(path):
        schema = names if name == "name" else TEXT
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    if path == "/props":
        yield {"name": "model", "in": "query", "schema": names}
