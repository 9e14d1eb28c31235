"""`/v1/models`: the models that there are."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from llamacy.server.models import Models
from llamacy.server.responses import JSON
from llamacy.server.service import service_of


async def model_list(request: Request) -> JSON:
    """List the models."""
    models = service_of(request).models
    described = [_described(name, models) for name in models]
    return JSON({"object": "list", "data": described})


async def one_model(request: Request) -> JSON:
    """Describe a model."""
    models = service_of(request).models
    name = models.checked(request.path_params["name"])
    return JSON(_described(name, models))


def _described(name: str, models: Models) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": models.created,
        "owned_by": "llamacy",
    }
