"""`/api/pull`: a model is fetched from the hub."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Final

from starlette.requests import Request

from llamacy.hub.names import HubName
from llamacy.protocols.ollama.request import pull_asked
from llamacy.server.errors import Refusal
from llamacy.server.hub import Hub
from llamacy.server.leaving import unless_gone
from llamacy.server.ollama.lines import HEADERS, failure, known_name, line
from llamacy.server.responses import JSON, Events
from llamacy.server.service import Service, service_of

_BEGUN: Final = {"status": "pulling manifest"}
_SUCCESS: Final = {"status": "success"}
_PARTS: Final = 10_000
"""The transfer, in the unit that the progress is told in."""


async def pull(request: Request) -> JSON | Events:
    """Fetch a model, unless it is here."""
    service = service_of(request)
    asked, is_stream = pull_asked(await service.body(request))
    models = service.models
    if known_name(models, asked) in models:
        lines = _served()
    else:
        lines = _fetched(service, *_named(models.hub, asked))
    if not is_stream:
        return JSON(await unless_gone(request.receive, _last(lines)))
    said, quiet = _lines(service, lines), line(_BEGUN)
    return Events(said, (), lambda: quiet, service.quiet_seconds, HEADERS)


def _named(hub: Hub | None, name: str) -> tuple[Hub, HubName]:
    if hub is None:
        message = "model: this server fetches none; start it with --allow-hub"
        raise Refusal(403, message, field="model", code="hub_not_allowed")
    if (parsed := hub.name(name)) is None:
        message = f"model: wanted a name like user/repo:Q4_K_M, found {name[:200]!r}"
        raise Refusal(400, message, field="model", code="invalid_value")
    return hub, parsed


async def _served() -> AsyncGenerator[dict[str, Any], None]:
    yield _SUCCESS


async def _fetched(
    service: Service, hub: Hub, name: HubName
) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the steps of a transfer."""
    yield _BEGUN
    before = -1
    async for share in hub.fetch(name):
        done = round(share * _PARTS)
        if done > before:  # each share is told once
            before = done
            counts = {"digest": str(name), "total": _PARTS, "completed": done}
            yield {"status": f"pulling {name}", **counts}
    await service.models.add(name)
    yield _SUCCESS


async def _last(lines: AsyncGenerator[dict[str, Any], None]) -> dict[str, Any]:
    said = [one async for one in lines]
    return said[-1]


async def _lines(
    service: Service, lines: AsyncGenerator[dict[str, Any], None]
) -> AsyncGenerator[bytes, None]:
    try:
        async for one in lines:
            yield line(one)
    except Exception as error:
        yield failure(service.refusal(error))
    finally:
        await lines.aclose()
