"""Models and options to an application of Ray Serve."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Collection, Mapping
from typing import Any, Final

from llamacy.arguments import checked_integer, checked_strings, short, unknown_options
from llamacy.errors import ArgumentError, MissingPackageError
from llamacy.model.model import Model
from llamacy.server.application import MAX_BODY, QUIET_SECONDS, app
from llamacy.server.ray_serve.replica import Replica
from llamacy.server.ray_serve.replica_models import (
    check_options,
    n_threads_of,
    replica_models,
)
from llamacy.server.slots import OnDemand

_MAX_WAITING: Final = 64
_N_OTHERS: Final = 64  # requests at a replica that write nothing, or are refused there

_RAY_DEFAULTS: Final[dict[str, Any]] = {
    "name": "llamacy",
    # a client is asked to come again, as by the server itself
    "backpressure_config": {"status_code": 429, "retry_after_s": 2},
    "graceful_shutdown_timeout_s": 120.0,
    "max_constructor_retry_count": 3,  # a model that cannot be loaded will not be soon
}
_TEXTS: Final = ("model", "name")


def deployment(
    model: Model
    | str
    | os.PathLike[str]
    | Mapping[str, Model | str | os.PathLike[str]],
    *,
    load_options: Mapping[str, Any] | None = None,
    max_waiting: int = _MAX_WAITING,
    api_keys: Collection[str] = (),
    allowed_hosts: Collection[str] = (),
    allowed_origins: Collection[str] = (),
    max_body: int = MAX_BODY,
    quiet_seconds: float = QUIET_SECONDS,
    page: bool = True,
    num_cpus: float | None = None,
    memory: float | None = None,
    **ray_options: Any,
) -> Any:
    """Return the server as an application of Ray Serve, for `ray.serve.run`.

    Each replica loads the models, and computes with as many threads as it has CPUs:
    give it `num_cpus`, of which Ray's own default is 1. Clients are those of the
    server, and ask Serve's proxy.

    Parameters
    ----------
    model : Model, str or os.PathLike, or mapping of str to these
        A path that all nodes have, a name on the hub, or ``"demo"``, called as by
        ``llamacy serve``; or several by the names that clients call them. Of a `Model`
        the source and the options count: replicas load it again.
    load_options : mapping of str to any, optional
        Options of `llamacy.load`, such as ``{"n_ctx": 8192}``.
    max_waiting : int, default 64
        Most requests that wait at a replica for a place in the passes of a model,
        beside the `max_active` that have one, 16 unless `load_options` say; others are
        refused with status 429.
    api_keys : collection of str, optional
        Keys, one of which each request must have; by default the one in the variable
        ``LLAMACY_API_KEY`` of the replica's environment, if there is one.
    allowed_hosts : collection of str, optional
        As for `llamacy.server.app`, and so are the next four.
    allowed_origins : collection of str, optional
        Origins of web pages that may ask.
    max_body : int, default 8388608
        Most bytes of a request's body.
    quiet_seconds : float, default 10
        Seconds of silence after which a stream gets a comment.
    page : bool, default True
        Whether there is a chat page.
    num_cpus : float, optional
        CPUs of a replica, and so its threads; by default the `n_threads` that the model
        is loaded with.
    memory : float, optional
        Bytes of a replica, so that Ray places no more on a node than fit.
    **ray_options : dict
        Options of `ray.serve.deployment`, such as `num_replicas`, `autoscaling_config`
        or `ray_actor_options`. A replica is given all requests that it can hold, and
        refuses others itself (`max_ongoing_requests`); autoscaling aims at the texts
        that it writes together (`target_ongoing_requests`); texts that are being
        written have two minutes to end when a replica stops
        (`graceful_shutdown_timeout_s`); and loading is tried three times
        (`max_constructor_retry_count`).

    Returns
    -------
    ray.serve.Application
        The application.

    Raises
    ------
    ArgumentError
        An argument is invalid.
    LlamacyError
        There is no model at a path, neither here nor on a node of the cluster that this
        process is connected to; or a model was not made by `llamacy.load`.
    MissingPackageError
        Ray Serve is not installed.

    Examples
    --------
    ::

        from ray import serve
        from llamacy.server.ray_serve import deployment

        serve.run(deployment("/models/model.gguf", num_cpus=16, num_replicas=4))
    """
    serve = _ray_serve()
    waiting = checked_integer("max_waiting", max_waiting, 0)
    found = replica_models(model, load_options, waiting)
    options: dict[str, Any] = {
        "api_keys": checked_strings("api_keys", api_keys),
        "allowed_hosts": checked_strings("allowed_hosts", allowed_hosts),
        "allowed_origins": checked_strings("allowed_origins", allowed_origins),
        "max_body": max_body,
        "quiet_seconds": quiet_seconds,
        "page": page,
    }
    # checks them; replicas have models in the place of these
    app({name: OnDemand(each.load) for name, each in found.items()}, **options)
    actor = {"num_cpus": n_threads_of(found) if num_cpus is None else num_cpus}
    actor["memory"] = memory
    n_active = sum(each.options["max_active"] for each in found.values())
    capacity = n_active + waiting * len(found)
    settings = _ray_settings(serve, ray_options, actor, n_active, capacity)
    try:
        made = serve.deployment(serve.ingress()(Replica), **settings)
    except (TypeError, ValueError) as error:  # Pydantic's begin with their reasons
        reason = " ".join(str(error).partition(" [type=")[0].split())
        raise ArgumentError(f"an option of Ray Serve: {reason}") from error
    return made.bind(found, options)


def app_builder(args: dict[str, Any]) -> Any:
    """Return the application that a configuration of Ray Serve describes.

    For files of ``serve deploy``, and for ``serve run``::

        applications:
          - name: llamacy
            route_prefix: /
            import_path: llamacy.server.ray_serve:app_builder
            args:
              model: /models/model.gguf
              num_cpus: 16
              num_replicas: 4

    ::

        serve run llamacy.server.ray_serve:app_builder model=model.gguf num_cpus=8

    Parameters
    ----------
    args : dict
        Arguments of `deployment` by their names. A text is read as JSON if it is JSON,
        because ``serve run`` has nothing but text.

    Returns
    -------
    ray.serve.Application
        The application.

    Raises
    ------
    ArgumentError
        There is no `model`, or an argument is invalid.
    """
    if "model" not in args:
        # values may be keys, of which no message tells
        raise ArgumentError(f"args: wanted a model, found {short([*args])}")
    given = {str(name): _value(name, value) for name, value in args.items()}
    return deployment(**given)


def _ray_serve() -> Any:
    try:
        from ray import serve
    except ImportError:
        raise MissingPackageError(
            "no module named 'ray.serve', which a deployment needs: run "
            "`pip install '.[ray]'` in a clone of llamacy"
        ) from None
    return serve


def _ray_settings(
    serve: Any,
    given: dict[str, Any],
    actor: dict[str, Any],
    n_active: int,
    capacity: int,
) -> dict[str, Any]:
    """Return the options of `ray.serve.deployment`.

    Parameters
    ----------
    serve : module
        Ray Serve.
    given : dict
        The caller's.
    actor : dict
        Resources of a replica; None where Ray decides.
    n_active : int
        Texts that a replica writes together.
    capacity : int
        Texts that it holds, waiting ones included.

    Raises
    ------
    ArgumentError
        Ray Serve has no such option, or `ray_actor_options` are not by their names.
    """
    known = [*inspect.signature(serve.deployment).parameters][1:]
    own = [*inspect.signature(deployment).parameters][:-1]
    if not given.keys() <= {*known}:
        raise unknown_options(given, [*own, *known])
    settings = {
        **_RAY_DEFAULTS,
        "max_ongoing_requests": capacity + _N_OTHERS,
        "max_queued_requests": capacity,  # while there is no replica
        **given,
    }
    of_actor = given.get("ray_actor_options") or {}
    check_options("ray_actor_options", of_actor)
    wanted = {name: value for name, value in actor.items() if value is not None}
    settings["ray_actor_options"] = {**wanted, **of_actor}
    scaling = given.get("autoscaling_config")
    if isinstance(scaling, Mapping) or given.get("num_replicas") == "auto":
        target = {"target_ongoing_requests": n_active}
        settings["autoscaling_config"] = {**target, **(scaling or {})}
    return settings


def _value(name: str, given: Any) -> Any:
    """Return the value of an argument, which a command line has as text."""
    if not isinstance(given, str) or name in _TEXTS:
        return given
    try:
        return json.loads(given)
    except ValueError:
        return given
