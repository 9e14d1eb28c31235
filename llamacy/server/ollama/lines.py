"""Responses line by line, each a JSON object: NDJSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from llamacy.model.model import Model
from llamacy.protocols.ollama.request import Asked, without_latest
from llamacy.server.errors import refusal_of
from llamacy.server.responses import dumped
from llamacy.server.service import Service

HEADERS: Final = {"content-type": "application/x-ndjson", "cache-control": "no-store"}


def line(value: object) -> bytes:
    """Return a line of a response."""
    return dumped(value) + b"\n"


def failure(error: Exception) -> bytes:
    """Return the last line of a response that failed."""
    return line({"error": refusal_of(error).message})


def empty_line(part: Callable[[], dict[str, Any]]) -> Callable[[], bytes]:
    """Return the function that says nothing, while a long prompt is read.

    Clients take an empty line for broken JSON; a part without text does no harm.
    """
    return lambda: line(part())


def asked_model(service: Service, asked: Asked) -> Model:
    """Return the model of a request."""
    names = set(service.models)
    name = asked.model if asked.model in names else without_latest(asked.model)
    return service.models.named(name)[1]
