"""`/health`: whether the server is up."""

from __future__ import annotations

from starlette.requests import Request

from llamacy.server.responses import JSON


async def health(request: Request) -> JSON:
    """Say that requests are answered; the guard refuses this one when they are not."""
    return JSON({"status": "ok"})
