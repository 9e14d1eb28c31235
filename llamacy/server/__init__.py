"""Models behind HTTP, for the unmodified clients of other servers.

::

    application     `app`: routes and settings to an ASGI application
    models          names to models
    hub             models that clients name on the hub
    slots           the place of a model, which may be loaded and unloaded
    record          a request on its way: its id, its line in the log, its end
    metrics         measurements for Prometheus
    guard           the way in for every request: access, ids, the log, a stop
    access          hosts, origins and keys that are let in
    body            a request's body to a JSON value, within limits
    errors          exceptions to refusals with a status
    shapes          refusals to the error bodies of each API
    responses       JSON, and streams of server-sent events
    leaving         clients that hang up
    lengths         prompts that cannot fit into the context
    capacity        a model's queue, looked at before a prompt is tokenized
    joining         several streams as one
    calls           answers that may have only one tool call
    reading_progress  the share of a prompt that has been read
    embedding       texts that are embedded, for all APIs
    service         the models and settings that all endpoints share
    health          whether the server is up
    operating       tokens, templates, properties and measurements
    openapi         the application's own description
    openai          OpenAI's endpoints
    anthropic       Anthropic's endpoints
    page            the chat page
    ollama          Ollama's endpoints
    ray_serve       the server as a deployment of Ray Serve

HTTP alone: `llamacy.protocols` has the shapes of requests and results, and the engine
batches, cancels and bounds its queue. Needs Starlette and prometheus-client, which
``pip install llamacy[server]`` brings.
"""

try:
    from llamacy.server.application import app
    from llamacy.server.slots import OnDemand
except ModuleNotFoundError as error:
    raise ImportError(
        f"no module named {error.name!r}, which the server needs: "
        "run `pip install '.[server]'` in a clone of llamacy",
        name=error.name,
    ) from error

__all__ = ["OnDemand", "app"]
