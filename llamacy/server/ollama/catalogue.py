"""`/api/tags`, `/api/ps`, `/api/show` and `/api/version`: the models, described."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import Request

from llamacy.protocols.ollama.request import show_asked
from llamacy.server.models import Models
from llamacy.server.ollama.describing import described, entry
from llamacy.server.ollama.lines import known_name
from llamacy.server.responses import JSON
from llamacy.server.service import service_of

_VERSION: Final = "0.32.0"
"""The version of Ollama whose API this is; programs refuse early ones."""

_NEVER: Final = "9999-12-31T23:59:59Z"


async def tags(request: Request) -> JSON:
    """List the models."""
    return JSON({"models": list(_entries(service_of(request).models))})


async def running(request: Request) -> JSON:
    """List the models that are in memory."""
    models = service_of(request).models
    loaded = models.loaded
    listed = []
    for one in _entries(models):
        if (model := loaded.get(one["name"])) is not None:
            rest = {"expires_at": _NEVER, "size_vram": 0}
            listed.append({**one, **rest, "context_length": model.n_ctx})
    return JSON({"models": listed})


async def show(request: Request) -> JSON:
    """Describe a model."""
    service = service_of(request)
    name = show_asked(await service.body(request))
    name = known_name(service.models, name)
    _, model = await service.model(request, name)
    return JSON({**described(model), "modified_at": _created(service.models)})


async def version(request: Request) -> JSON:
    """Say which version of Ollama's API this is."""
    return JSON({"version": _VERSION})


def _entries(models: Models) -> list[dict[str, Any]]:
    created, loaded = _created(models), models.loaded
    return [
        entry(name, loaded.get(name), created, models.n_bytes(name)) for name in models
    ]


def _created(models: Models) -> str:
    return datetime.fromtimestamp(models.created, UTC).isoformat()
