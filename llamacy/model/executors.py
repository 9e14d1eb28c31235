"""From an open file to an executor that runs its model: checked and packed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias, overload

from llamacy.architectures import find_architecture
from llamacy.architectures.tensors import select_tensors
from llamacy.config import ModelConfig
from llamacy.errors import OutOfMemoryError
from llamacy.formats.expert_tensors import usual_experts
from llamacy.formats.model_file import ModelFile
from llamacy.ops.batch import N_BATCH
from llamacy.ops.reference import ReferenceExecutor
from llamacy.system.memory import available_memory

if TYPE_CHECKING:
    from llamacy.ops.plan.plan import Plan

Executor: TypeAlias = "Plan | ReferenceExecutor"
Progress = Callable[[float], None]
"""Called with the share done, 0.0 to 1.0."""


@overload
def load_executor(
    file: ModelFile,
    config: ModelConfig,
    *,
    executor: Literal["plan"] = "plan",
    n_threads: int = 1,
    kv_type: str = "f16",
    n_batch: int = N_BATCH,
    progress: Progress | None = None,
) -> Plan: ...


@overload
def load_executor(
    file: ModelFile,
    config: ModelConfig,
    *,
    executor: Literal["plan", "reference"],
    n_threads: int = 1,
    kv_type: str = "f16",
    n_batch: int = N_BATCH,
    progress: Progress | None = None,
) -> Executor: ...


def load_executor(
    file: ModelFile,
    config: ModelConfig,
    *,
    executor: Literal["plan", "reference"] = "plan",
    n_threads: int = 1,
    kv_type: str = "f16",
    n_batch: int = N_BATCH,
    progress: Progress | None = None,
) -> Executor:
    """Check the file's tensors against its architecture and make them runnable.

    Parameters
    ----------
    file : stays open only as long as this call.
    config : the file's hyperparameters.
    executor : ``"plan"`` or the slow ``"reference"``.
    n_threads, kv_type : see :func:`llamacy.load`; the plan's alone.
    n_batch : most rows of one forward pass.
    progress : called as weights are packed.

    Raises
    ------
    UnsupportedError : an architecture not known here.
    FormatError : a tensor is missing or has the wrong shape, or a mixture of experts
        has none.
    OutOfMemoryError : the plan's weights do not fit into memory; nothing is packed.
    """
    path = str(file.path)
    architecture = find_architecture(config.architecture, path)
    config = architecture.complete(config, path)
    tensors = select_tensors(
        architecture.tensors(config), usual_experts(file.tensors, file.path), path
    )
    if executor == "reference":
        arrays = {name: tensor.dequantize() for name, tensor in tensors.items()}
        return ReferenceExecutor(architecture.forward, config, arrays, n_batch=n_batch)
    # imported late: the reference runs where nothing is compiled
    from llamacy.ops.plan.packed_weights import weight_bytes
    from llamacy.ops.plan.plan import Plan, pack_weights

    _check_memory(path, weight_bytes(tensors))
    weights = pack_weights(tensors, n_threads=n_threads, progress=progress)
    return Plan(
        architecture.forward,
        config,
        weights,
        n_threads=n_threads,
        kv_type=kv_type,
        n_batch=n_batch,
    )


def _check_memory(path: str, needed: int) -> None:
    """Refuse what cannot fit: the system might begin, and end the process later."""
    available = available_memory()
    if available is not None and needed > available:
        raise OutOfMemoryError(
            f"{path}: no memory for {needed} bytes of weights: {available} bytes are "
            "available at most",
            needed,
            available,
        )
