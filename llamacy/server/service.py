"""The models and settings that all endpoints share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import Request

from llamacy.protocols.openai.streaming import Streaming
from llamacy.server.body import json_body
from llamacy.server.models import Models
from llamacy.server.openai.stored import Store

PROGRESS_SECONDS: Final = 1.0
"""Seconds between chunks about the progress, where they were asked for."""


@dataclass(frozen=True, slots=True)
class Service:
    """The models of an application, and its settings.

    Attributes
    ----------
    models : Models
        The models by name.
    max_body : int
        Most bytes of a request's body.
    quiet_seconds : float
        Seconds of silence after which a stream gets a comment.
    store : Store
        Responses that later ones may go on from.
    """

    models: Models
    max_body: int
    quiet_seconds: float
    store: Store = field(default_factory=Store)

    async def body(self, request: Request) -> Any:
        """Return the value of a request's JSON body; see `json_body`."""
        return await json_body(request, self.max_body)

    def quiet_seconds_of(self, streaming: Streaming) -> float:
        """Return the seconds of silence after which a stream says something."""
        return PROGRESS_SECONDS if streaming.has_progress else self.quiet_seconds


def service_of(request: Request) -> Service:
    """Return the service that a request is for."""
    service: Service = request.app.state.service
    return service
