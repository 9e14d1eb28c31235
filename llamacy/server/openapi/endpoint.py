"""`/openapi.json`: the application's own description."""

from __future__ import annotations

from starlette.requests import Request

from llamacy.server.openapi.document import document
from llamacy.server.responses import JSON
from llamacy.server.service import service_of


async def description(request: Request) -> JSON:
    """Describe the application."""
    root = request.scope.get("root_path", "")
    models = service_of(request).models
    return JSON(document(models, root, has_others=models.hub is not None))
