"""From an open file to an executor that runs its model: checked and packed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from llamacy.architectures import find_architecture
from llamacy.architectures.selecting import select_tensors
from llamacy.config import ModelConfig
from llamacy.errors import OutOfMemoryError
from llamacy.formats.expert_tensors import usual_experts
from llamacy.formats.model_file import ModelFile
from llamacy.ggml.tensor import MappedRows, MappedTensor, Tensor
from llamacy.ops.batch import N_BATCH
from llamacy.ops.reference import ReferenceExecutor
from llamacy.system.memory import available_memory

if TYPE_CHECKING:
    from llamacy.ops.plan.plan import Plan

LoadedExecutor: TypeAlias = "Plan | ReferenceExecutor"
"""An executor with a model's weights in it."""

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
) -> LoadedExecutor: ...


def load_executor(
    file: ModelFile,
    config: ModelConfig,
    *,
    executor: Literal["plan", "reference"] = "plan",
    n_threads: int = 1,
    kv_type: str = "f16",
    n_batch: int = N_BATCH,
    progress: Progress | None = None,
) -> LoadedExecutor:
    """Check the file's tensors against its architecture and make them runnable.

    Parameters
    ----------
    file : ModelFile
        An open file; it may be closed after this call.
    config : ModelConfig
        The file's hyperparameters.
    executor : {"plan", "reference"}, default "plan"
        The fast executor, or the slow one that states what is computed.
    n_threads : int
        Threads of the plan.
    kv_type : str
        Type of keys and values, for the plan.
    n_batch : int
        Most rows of one forward pass.
    progress : callable, optional
        Called as weights are packed.

    Returns
    -------
    Plan or ReferenceExecutor
        It has the weights in memory, but for those that stay in the file.

    Raises
    ------
    UnsupportedError
        An architecture that llamacy does not have.
    FormatError
        A tensor is missing or has the wrong shape, or a mixture of experts has no
        experts.
    OutOfMemoryError
        The plan's weights do not fit into memory; nothing was packed.
    """
    path = str(file.path)
    architecture = find_architecture(config.architecture, path)
    config = architecture.complete(config, path)
    tensors = select_tensors(
        architecture.tensors(config), usual_experts(file.tensors, file.path), path
    )
    draft = architecture.draft if config.has_mtp else None
    if executor == "reference":
        arrays = {name: _array(each) for name, each in tensors.items()}
        return ReferenceExecutor(
            architecture.forward,
            config,
            arrays,
            n_batch=n_batch,
            embed=architecture.embed,
            draft=draft,
        )
    # Imported late, because the reference runs where nothing is compiled.
    from llamacy.ops.plan.packed_weights import pack_weights, weight_bytes
    from llamacy.ops.plan.plan import Plan

    _check_memory(path, weight_bytes(tensors))
    weights = pack_weights(tensors, n_threads=n_threads, progress=progress)
    return Plan(
        architecture.forward,
        config,
        weights,
        n_threads=n_threads,
        kv_type=kv_type,
        n_batch=n_batch,
        embed=architecture.embed,
        draft=draft,
    )


def _array(tensor: Tensor) -> Any:
    """Return a tensor's values, or what looks up its rows in the file."""
    if isinstance(tensor, MappedTensor):
        return MappedRows(tensor)
    return tensor.dequantize()


def _check_memory(path: str, needed: int) -> None:
    """Refuse weights that cannot fit.

    Linux would grant the memory and end the process once it is written to.
    """
    available = available_memory()
    if available is not None and needed > available:
        raise OutOfMemoryError(
            f"{path}: no memory for {needed} bytes of weights: {available} bytes are "
            "available at most",
            needed,
            available,
        )
