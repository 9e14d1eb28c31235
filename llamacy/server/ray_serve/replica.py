"""A server in an actor of Ray Serve."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from llamacy.errors import ClosedError
from llamacy.model.model import Model
from llamacy.printable import printable
from llamacy.server.application import app
from llamacy.server.ray_serve.replica_models import ReplicaModel
from llamacy.server.record import GIVEN_ID

_KEY_VARIABLE: Final = "LLAMACY_API_KEY"


class Replica:
    """Models, and the application that answers for them.

    Parameters
    ----------
    found : mapping of str to ReplicaModel
        The models by the names that clients call them.
    options : mapping of str to any
        Options of `llamacy.server.app`.

    Raises
    ------
    LlamacyError
        A model cannot be loaded.
    """

    def __init__(
        self, found: Mapping[str, ReplicaModel], options: Mapping[str, Any]
    ) -> None:
        key = os.environ.get(_KEY_VARIABLE, "")
        self._options = {**options}
        self._options["api_keys"] = options["api_keys"] or ([key] if key else ())
        self._models: dict[str, Model] = {}
        for name, each in found.items():
            self._models[name] = each.load()

    def __serve_build_asgi_app__(self) -> Starlette:
        """Return the application: the interface of Ray Serve."""
        from ray import serve

        application = app(self._models, **self._options)
        metrics = application.state.service.metrics
        metrics.labels["replica"] = serve.get_replica_context().replica_id.unique_id
        application.add_middleware(Named)
        return application

    def check_health(self) -> None:
        """Raise if no text can be written: Ray Serve then restarts the replica."""
        for name, model in self._models.items():
            if not model.engine.worker.is_up:
                raise ClosedError(f"the model {name} has ended")

    def __del__(self) -> None:
        """Free the models' memory, at the end of the replica."""
        for model in getattr(self, "_models", {}).values():
            model.close()


class Named:
    """Middleware that takes the ids of requests from Serve's proxy.

    Parameters
    ----------
    app : ASGI application
        Answers the requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request: the interface of ASGI."""
        if scope["type"] == "http":
            given = Headers(scope=scope).get("x-request-id", "")
            scope[GIVEN_ID] = printable(given[:200])
        await self._app(scope, receive, send)
