"""The application: routes and settings around models."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.routing import Route

from llamacy.arguments import (
    checked_flag,
    checked_integer,
    checked_number,
    checked_strings,
    checks_options,
)
from llamacy.model.model import Model
from llamacy.printable import printable
from llamacy.server import operating
from llamacy.server.access import Access
from llamacy.server.anthropic.messages import count_tokens, messages
from llamacy.server.errors import Refusal
from llamacy.server.guard import Gate, Guard, path_of, refused
from llamacy.server.health import health
from llamacy.server.hub import Hub
from llamacy.server.leaving import ClientGone
from llamacy.server.metrics import Metrics
from llamacy.server.models import Models
from llamacy.server.ollama import catalogue
from llamacy.server.ollama import chat as ollama_chat
from llamacy.server.ollama import embedding as ollama_embedding
from llamacy.server.ollama.generate import generate
from llamacy.server.ollama.managing import REFUSED
from llamacy.server.ollama.pull import pull
from llamacy.server.openai.chat import chat
from llamacy.server.openai.completions import completions
from llamacy.server.openai.embeddings import embeddings
from llamacy.server.openai.model_list import model_list, one_model
from llamacy.server.openai.reranking import rerank
from llamacy.server.openai.responses import (
    remove_response,
    responses,
    stored_response,
)
from llamacy.server.openapi.endpoint import description
from llamacy.server.page.endpoint import page as page_endpoint
from llamacy.server.service import Service, service_of
from llamacy.server.slots import OnDemand

MAX_BODY: Final = 8 * 2**20
"""Most bytes of a request's body: about two million tokens of text."""

QUIET_SECONDS: Final = 10.0
"""Seconds of silence after which a stream gets a comment; proxies wait 30 or 60."""

Endpoint = Callable[[Request], Awaitable[Any]]

_ROUTES: Final[tuple[tuple[str, str, Endpoint], ...]] = (
    ("GET", "/v1/models", model_list),
    ("GET", "/v1/models/{name:path}", one_model),
    ("POST", "/v1/chat/completions", chat),
    ("POST", "/v1/completions", completions),
    ("POST", "/v1/embeddings", embeddings),
    ("POST", "/v1/rerank", rerank),
    ("POST", "/v2/rerank", rerank),
    ("POST", "/v1/messages", messages),
    ("POST", "/v1/messages/count_tokens", count_tokens),
    ("POST", "/v1/responses", responses),
    ("POST", "/api/chat", ollama_chat.chat),
    ("POST", "/api/generate", generate),
    ("POST", "/api/embed", ollama_embedding.embed),
    ("POST", "/api/embeddings", ollama_embedding.embeddings),
    ("POST", "/api/pull", pull),
    ("POST", "/api/show", catalogue.show),
    ("GET", "/api/tags", catalogue.tags),
    ("GET", "/api/ps", catalogue.running),
    ("GET", "/api/version", catalogue.version),
    *REFUSED,
    ("GET", "/v1/responses/{id}", stored_response),
    ("DELETE", "/v1/responses/{id}", remove_response),
)
_OPERATING: Final[tuple[tuple[str, str, Endpoint], ...]] = (
    ("POST", "/tokenize", operating.tokenize),
    ("POST", "/detokenize", operating.detokenize),
    ("POST", "/apply-template", operating.apply_template),
    ("GET", "/props", operating.props),
    ("GET", "/openapi.json", description),
    ("GET", "/metrics", operating.metrics),
)


@checks_options()
def app(
    models: Model | Mapping[str, Model | OnDemand],
    *,
    max_memory: int | None = None,
    idle_seconds: float | None = None,
    from_hub: Callable[[str], OnDemand] | None = None,
    api_keys: Collection[str] = (),
    allowed_hosts: Collection[str] = (),
    allowed_origins: Collection[str] = (),
    max_body: int = MAX_BODY,
    quiet_seconds: float = QUIET_SECONDS,
    page: bool = True,
) -> Starlette:
    """Return an ASGI application that answers clients of OpenAI, Anthropic and Ollama.

    Run it with any ASGI server, or mount it in an application of your own; `llamacy
    serve` is this with uvicorn. Texts of all clients share each forward pass, so run
    one process: each worker process would load weights of its own. Load models with
    `max_waiting`, so that clients hear "busy" instead of waiting for minutes.

    Parameters
    ----------
    models : Model, or mapping of str to Model or OnDemand
        The models by the names that clients call them; a single one is called
        ``"default"``. They are not closed. A `llamacy.server.OnDemand` loads its
        model when it is first asked for.
    max_memory : int, optional
        Most bytes of the models that are loaded on demand: idle ones are unloaded for
        another, and it is refused while they are in use.
    idle_seconds : float, optional
        Seconds after which a model that was loaded on demand, and that nobody uses, is
        unloaded. By default it stays.
    from_hub : callable, optional
        Returns the model that a name such as ``"hf://user/repo:Q4_K_M"`` means, whose
        files are here. With it clients may ask for models of the hub, and fetch them
        by Ollama's ``/api/pull``; by default they may not.
    api_keys : collection of str, optional
        Keys, one of which each request must have; none by default.
    allowed_hosts : collection of str, optional
        Names that clients reach the server by, beside ``localhost`` and addresses;
        ``"*"`` for any name.
    allowed_origins : collection of str, optional
        Origins of web pages that may ask (CORS), such as ``"https://example.org"``;
        none by default, ``"*"`` for any.
    max_body : int, default 8388608
        Most bytes of a request's body.
    quiet_seconds : float, default 10
        Seconds of silence after which a stream gets a comment, so that no client or
        proxy takes a long prompt for a dead connection.
    page : bool, default True
        Whether there is a chat page at ``/``.

    Returns
    -------
    starlette.applications.Starlette
        The application. `state.gate` counts running requests, and refuses new ones
        once it is closed.

    Raises
    ------
    ArgumentError
        An argument is invalid.

    Examples
    --------
    >>> application = llamacy.server.app({"demo": llamacy.load("demo")})
    >>> "/v1/chat/completions" in [route.path for route in application.routes]
    True
    """
    named = {"default": models} if isinstance(models, Model) else models
    origins = checked_strings("allowed_origins", allowed_origins)
    access = Access(
        checked_strings("api_keys", api_keys),
        checked_strings("allowed_hosts", allowed_hosts),
        origins,
    )
    if max_memory is not None:
        max_memory = checked_integer("max_memory", max_memory, 1)
    if idle_seconds is not None:
        idle_seconds = checked_number("idle_seconds", idle_seconds)
    gate = Gate()
    hub = None if from_hub is None else Hub(from_hub)
    held = Models(named, max_memory, idle_seconds, hub)
    metrics = Metrics(held)
    service = Service(
        held,
        metrics,
        checked_integer("max_body", max_body, 1),
        checked_number("quiet_seconds", quiet_seconds, 0.1),
    )
    middleware = [Middleware(Guard, access=access, gate=gate, metrics=metrics)]
    if origins:
        middleware.insert(0, _cors(origins))
    application = Starlette(
        routes=list(_routes(checked_flag("page", page))),
        middleware=middleware,
        exception_handlers={HTTPException: _no_route},
    )
    application.state.service = service
    application.state.gate = gate
    return application


def _routes(has_page: bool) -> Iterable[Route]:
    if has_page:
        yield Route("/", _answering(page_endpoint), methods=["GET"])
    for method, path, endpoint in _OPERATING:
        yield Route(path, _answering(endpoint), methods=[method])
    yield Route("/health", _answering(health), methods=["GET"])
    for method, path, endpoint in _ROUTES:
        answering = _answering(endpoint)
        yield Route(path, answering, methods=[method])
        if path.startswith("/v1"):  # some clients are given an address without it
            yield Route(path.removeprefix("/v1"), answering, methods=[method])


def _answering(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint whose errors are responses."""

    async def answer(request: Request) -> Any:
        try:
            return await endpoint(request)
        except ClientGone:
            raise
        except Exception as error:
            refusal = service_of(request).refusal(error)
            return refused(path_of(request.scope), refusal)

    return answer


async def _no_route(request: Request, error: Exception) -> Any:
    """Answer a request for a path or a method that the server does not have."""
    assert isinstance(error, HTTPException)
    place = f"{request.method} {printable(request.url.path[:200])}"
    message = f"{place}: {error.detail.lower()}"
    refusal = Refusal(
        error.status_code, message, code="not_found", headers=error.headers
    )
    return refused(path_of(request.scope), refusal)


def _cors(origins: Collection[str]) -> Middleware:
    return Middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["*"],
        expose_headers=["x-request-id", "request-id", "retry-after"],
    )
