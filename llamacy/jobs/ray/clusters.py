"""The cluster that an address means, and its nodes."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple

from llamacy.arguments import short
from llamacy.errors import ArgumentError
from llamacy.jobs.packages import ray_package

LOCAL: Final = "local"
"""The address of a cluster that is begun for the job, on this machine."""

_CONNECT_SECONDS: Final = 10.0


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Be connected to a cluster in a block; to the one at hand, if there is one.

    Parameters
    ----------
    address : str
        ``"auto"`` for the cluster that this machine belongs to, ``"local"`` for one of
        this machine alone, or ``"host:port"``.

    Raises
    ------
    ArgumentError
        There is no cluster at the address, or it is one of Ray's client.
    MissingPackageError
        Ray is not installed.
    """
    if not isinstance(address, str) or not address:
        wanted = 'the address of a cluster, "auto" or "local"'
        raise ArgumentError(f"ray: wanted {wanted}, found {short(address)}")
    if address.startswith("ray://"):
        raise ArgumentError(
            f"ray: wanted host:port of a cluster's machine, found {short(address)}"
        )
    ray = ray_package()
    if ray.is_initialized():
        yield
        return
    _check_listening(address)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if address == LOCAL:
        options["include_dashboard"] = False
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(address=address, **options)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        with suppress(Exception):
            ray.shutdown()
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ArgumentError(f"ray: no cluster at {short(address)}: {reason}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_listening(address: str) -> None:
    """Check that something listens at an address; Ray would try for minutes.

    Raises
    ------
    ArgumentError
        Nothing does.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection(
            (host.strip("[]"), int(port)), _CONNECT_SECONDS
        ).close()
    except (OSError, OverflowError) as error:
        raise ArgumentError(f"ray: no cluster at {short(address)}: {error}") from error


class Node(NamedTuple):
    """The resources of a node.

    Attributes
    ----------
    n_cpus : int
        Its CPUs.
    memory : int
        Bytes that actors may ask for.
    """

    n_cpus: int
    memory: int


def nodes() -> dict[str, Node]:
    """Return the nodes that are up and have CPUs by their ids."""
    found = {}
    for node in ray_package().nodes():
        has = node["Resources"]
        if node["Alive"] and (n_cpus := int(has.get("CPU", 0))):
            found[node["NodeID"]] = Node(n_cpus, int(has.get("memory", 0)))
    return found
