"""Responses line by line, each a JSON object: NDJSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from llamacy.protocols.ollama.request import without_latest
from llamacy.server.errors import Refusal
from llamacy.server.models import Models
from llamacy.server.responses import dumped

HEADERS: Final = {"content-type": "application/x-ndjson", "cache-control": "no-store"}


def line(value: object) -> bytes:
    """Return a line of a response."""
    return dumped(value) + b"\n"


def failure(refusal: Refusal) -> bytes:
    """Return the last line of a response that failed."""
    return line({"error": refusal.message})


def empty_line(part: Callable[[], dict[str, Any]]) -> Callable[[], bytes]:
    """Return the function that says nothing, while a long prompt is read.

    Clients take an empty line for broken JSON; a part without text does no harm.
    """
    return lambda: line(part())


def known_name(models: Models, name: str) -> str:
    """Return the name of a model that a client may call by it and ``:latest``."""
    return name if name in models else without_latest(name)
