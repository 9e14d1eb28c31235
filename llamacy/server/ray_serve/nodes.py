"""Paths that only the nodes of a cluster have."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any, Final

from llamacy.errors import LlamacyError, ModelFileError
from llamacy.model_files.inspecting import inspect
from llamacy.model_files.missing import check_exists

_LOOK_SECONDS: Final = 60.0


def check_on_nodes(path: str) -> None:
    """Check that a node of the cluster has a model at a path that is not here.

    Ray Serve would say no more than that the replicas did not begin.

    Raises
    ------
    ModelFileError
        No node has it, or this process is not connected to a cluster.
    LlamacyError
        It is no model.
    """
    import ray

    if not ray.is_initialized():
        reason = "no such file or folder here; ray.init() first, if only nodes have it"
        raise ModelFileError(errno.ENOENT, reason, path)
    strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    look = ray.remote(num_cpus=0, max_retries=0)(looked_at)
    calls = [
        look.options(scheduling_strategy=strategy(node["NodeID"], soft=False)).remote(
            path
        )
        for node in ray.nodes()
        if node["Alive"]
    ]
    ended, late = ray.wait(calls, num_returns=len(calls), timeout=_LOOK_SECONDS)
    found = [_result(call) for call in ended]
    if not late and None not in found:
        raise next(error for error in found if error is not None)


def looked_at(path: str) -> LlamacyError | None:
    """Return what is wrong with the file of a model on this node."""
    try:
        check_exists(path)
        inspect(Path(path))
    except LlamacyError as error:
        return error.with_traceback(None)
    return None


def _result(call: Any) -> LlamacyError | None:
    """Return the result of `looked_at`; None if the node is lost, and may have it."""
    import ray

    try:
        error: LlamacyError | None = ray.get(call)
    except ray.exceptions.RayError:
        return None
    return error
