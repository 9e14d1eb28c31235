"""Responses line by line, each a JSON object: NDJSON."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from typing import Any, Final

from starlette.requests import Request

from llamacy.generation.streams import AsyncStream
from llamacy.protocols.ollama.request import without_latest
from llamacy.protocols.ollama.responses import OllamaResponse
from llamacy.server.errors import Refusal
from llamacy.server.models import Models
from llamacy.server.responses import Events, dumped
from llamacy.server.service import service_of

HEADERS: Final = {"content-type": "application/x-ndjson", "cache-control": "no-store"}


def line(value: object) -> bytes:
    """Return a line of a response."""
    return dumped(value) + b"\n"


def failure(refusal: Refusal) -> bytes:
    """Return the last line of a response that failed."""
    return line({"error": refusal.message})


async def streamed(
    request: Request,
    name: str,
    response: OllamaResponse,
    stream: AsyncStream,
    parts: AsyncIterable[dict[str, Any]],
) -> Events:
    """Begin a stream; return the response that sends it line by line.

    While a long prompt is read, a part without text says nothing: clients take an empty
    line for broken JSON.

    Parameters
    ----------
    request : Request
        The request, whose body was read.
    name : str
        The model's name.
    response : OllamaResponse
        Makes the dicts.
    stream : AsyncStream
        The text, which has not begun.
    parts : async iterable of dict
        A dict for each of its pieces that says something.

    Raises
    ------
    LlamacyError
        The prompt is refused.
    """
    await stream.start()
    lines = _lines(request, name, response, stream, parts)
    quiet_seconds = service_of(request).quiet_seconds
    return Events(
        lines, [stream], lambda: line(response.part()), quiet_seconds, HEADERS
    )


async def _lines(
    request: Request,
    name: str,
    response: OllamaResponse,
    stream: AsyncStream,
    parts: AsyncIterable[dict[str, Any]],
) -> AsyncGenerator[bytes, None]:
    service = service_of(request)
    try:
        async for part in parts:
            yield line(part)
    except Exception as error:
        yield failure(service.refusal(error))
        return
    finally:  # also if the client has hung up
        text = stream.completion
        service.note(request.scope, name, [[text]])
    yield line(response.end(text, response.part()))


def known_name(models: Models, name: str) -> str:
    """Return the name of a model that a client may call by it and ``:latest``."""
    return name if name in models else without_latest(name)
