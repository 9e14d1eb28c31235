"""The models, measurements and settings that all endpoints share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.types import Scope

from llamacy.generation.cancelling import CancelToken
from llamacy.model.model import Model
from llamacy.protocols.openai.common import total
from llamacy.protocols.openai.streaming import Streaming
from llamacy.results import Completion, Usage
from llamacy.server.body import json_body
from llamacy.server.errors import Refusal, refusal_of
from llamacy.server.leaving import ClientGone, until_gone
from llamacy.server.metrics import Metrics
from llamacy.server.models import Models
from llamacy.server.openai.stored import Store
from llamacy.server.record import record_of

TextT = TypeVar("TextT", bound=Completion)
LookT = TypeVar("LookT")

MOST_LOOKS: Final = 2
"""Threads that look at texts at a time."""

PROGRESS_SECONDS: Final = 1.0
"""Seconds between chunks about the progress, where they were asked for."""


@dataclass(frozen=True, slots=True)
class Service:
    """The models of an application, its measurements and its settings.

    Attributes
    ----------
    models : Models
        The models by name.
    metrics : Metrics
        The measurements.
    max_body : int
        Most bytes of a request's body.
    quiet_seconds : float
        Seconds of silence after which a stream gets a comment.
    store : Store
        Responses that later ones may go on from.
    looking : Semaphore
        Bounds the threads that look at texts without generating any: see `aside`.
    """

    models: Models
    metrics: Metrics
    max_body: int
    quiet_seconds: float
    store: Store = field(default_factory=Store)
    looking: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(MOST_LOOKS)
    )

    async def body(self, request: Request) -> Any:
        """Return the value of a request's JSON body; see `json_body`."""
        return await json_body(request, self.max_body)

    async def aside(self, look: Callable[[], LookT]) -> LookT:
        """Call a function that may take seconds on another thread.

        A few at a time, so that prompts, which the same threads tokenize, need not wait
        for many of them.

        Parameters
        ----------
        look : callable
            Tokenizes, or counts tokens, of a text of any length.
        """
        async with self.looking:
            return await asyncio.to_thread(look)

    async def model(self, request: Request, name: str) -> tuple[str, Model]:
        """Return a model and its name, for one request; see `Models.use`."""
        return await self.models.use(name, record_of(request.scope))

    async def writer(self, request: Request, name: str) -> tuple[str, Model]:
        """Return a model that writes texts, and its name, for one request.

        Raises
        ------
        Refusal
            There is no such model, or it embeds texts, or ranks them.
        """
        name, model = await self.model(request, name)
        check_writes(name, model)
        return name, model

    def refusal(self, error: Exception, prompt_field: str = "messages") -> Refusal:
        """Return the refusal of a failed request, with no path of a file in it.

        Parameters
        ----------
        error : Exception
            The failure; see `refusal_of`.
        prompt_field : str
            The field at fault where a prompt is too long.
        """
        refusal = refusal_of(error, prompt_field)
        refusal.message = self.models.without_paths(refusal.message)
        return refusal

    async def whole(
        self,
        request: Request,
        name: str,
        begin: Callable[[CancelToken], Coroutine[Any, Any, list[list[TextT]]]],
    ) -> list[list[TextT]]:
        """Return the finished texts of each prompt, and note them.

        Parameters
        ----------
        request : Request
            The request; if its client hangs up, the texts end after the pass at hand.
        name : str
            The model's name.
        begin : callable
            Begins the texts, which end once the token that it is given is set.

        Raises
        ------
        ClientGone
            The client hung up; what was generated is noted all the same.
        """
        cancel = threading.Event()
        texts = await until_gone(request.receive, begin(cancel), cancel)
        self.note(request.scope, name, texts)
        if cancel.is_set():
            raise ClientGone
        return texts

    def note(
        self, scope: Scope, name: str, prompts: Sequence[Sequence[Completion]]
    ) -> Usage:
        """Note the texts of a request for the log and the measurements.

        Parameters
        ----------
        scope : dict
            The request's scope.
        name : str
            The model's name.
        prompts : sequence of sequences of Completion
            The texts of each prompt.

        Returns
        -------
        Usage
            The token counts of all of them.
        """
        usage = total([text.usage for text in texts] for texts in prompts)
        record_of(scope).usage = usage
        self.metrics.note_texts(name, (text for texts in prompts for text in texts))
        return usage

    def note_read(self, scope: Scope, name: str, usage: Usage) -> None:
        """Note texts that were only read, for the log and the measurements."""
        record_of(scope).usage = usage
        self.metrics.note_read(name, usage)

    def quiet_seconds_of(self, streaming: Streaming) -> float:
        """Return the seconds of silence after which a stream says something."""
        return PROGRESS_SECONDS if streaming.has_progress else self.quiet_seconds


def check_writes(name: str, model: Model) -> None:
    """Check that a model writes texts.

    Raises
    ------
    Refusal
        It embeds texts, or ranks them.
    """
    if model.config.is_causal:
        return
    ranks = model.config.embedding.pooling == "rank"
    does = "ranks documents (/v1/rerank)" if ranks else "embeds texts (/v1/embeddings)"
    message = f"model: wanted one that writes texts, found {name}, which {does}"
    raise Refusal(400, message, field="model", code="unsupported_value")


def service_of(request: Request) -> Service:
    """Return the service that a request is for."""
    service: Service = request.app.state.service
    return service
