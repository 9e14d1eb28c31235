"""The cores and the memory of an actor with a model, for Ray."""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from llamacy.arguments import checked_integer
from llamacy.generation.scheduler import N_ACTIVE
from llamacy.jobs.packages import ray_package
from llamacy.jobs.ray.clusters import nodes
from llamacy.jobs.ray.worker import LoadArguments
from llamacy.model_files.inspecting import inspect

USUAL_TOKENS: Final = 1024
"""Tokens of a row, of its prompt and its answer, that have room unless others are
given."""


class Needs(NamedTuple):
    """Cores and memory of an actor.

    Attributes
    ----------
    num_cpus : int
        Cores, and threads.
    memory : int
        Bytes.
    """

    num_cpus: int
    memory: int


def needs_of(
    arguments: LoadArguments, n_tokens: int = USUAL_TOKENS, num_cpus: int | None = None
) -> Needs:
    """Return the cores and the memory of an actor that loads a model.

    Parameters
    ----------
    arguments : LoadArguments
        Arguments of a model whose file this machine has.
    n_tokens : int
        Most tokens of a row, its prompt and its answer.
    num_cpus : int, optional
        Cores; by default those of the smallest node of the cluster that this process is
        connected to, or of this machine.

    Raises
    ------
    ArgumentError
        A number that is out of range.
    LlamacyError
        The model cannot be inspected.
    """
    n_tokens = checked_integer("n_tokens", n_tokens, 1)
    if num_cpus is None:
        num_cpus = arguments.n_threads or _cores()
    num_cpus = checked_integer("num_cpus", num_cpus, 1)
    return Needs(num_cpus, memory_of(arguments, n_tokens))


def memory_of(arguments: LoadArguments, n_tokens: int = USUAL_TOKENS) -> int:
    """Return the memory of a process that loads a model, in bytes.

    That is the model's, and keys and values of as many rows as it decodes together.

    Parameters
    ----------
    arguments : LoadArguments
        Arguments of a model whose file this machine has.
    n_tokens : int
        Most tokens of a row, its prompt and its answer.
    """
    options = arguments.options
    info = inspect(arguments.source, quantize=options.get("quantize"))
    kv_type = options.get("kv_type") or "f16"
    n_tokens = min(n_tokens, options.get("n_ctx") or info.n_ctx_train)
    n_active = options.get("max_active")
    n_active = checked_integer(
        "max_active", N_ACTIVE if n_active is None else n_active, 1
    )
    of_others = (n_active - 1) * info.kv_bytes(n_tokens, kv_type)
    return info.memory_bytes(n_tokens, kv_type) + of_others


def _cores() -> int:
    ray = ray_package()
    up = nodes().values() if ray.is_initialized() else ()
    return min((node.n_cpus for node in up), default=os.cpu_count() or 1)
