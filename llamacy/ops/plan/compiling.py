"""From an architecture's forward pass to a program: recorded, lowered, compiled.

The architecture is called with a `Recorder`, which keeps its operations as a graph.
`Lowering` turns them into a list of steps, and fuses some of them:

- a norm also leaves its rows quantised, where quantised weights read them;
- the rotations of queries and keys go with the write into the KV cache;
- a linear layer adds its result to the residual in place;
- gate and up projections run side by side and leave their SwiGLU product.

A mixture of experts is several steps instead: see `llamacy.ops.plan.expert_steps`.

Then `find_barriers` marks the steps that must wait for those before, `allocate` gives
them memory, and `Program` runs them. Steps wait only where one reads what another
wrote, so that the projections to Q, K and V, for example, run as if they were one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamacy import kernels
from llamacy.config import ModelConfig
from llamacy.ggml.tensor import Tensor
from llamacy.ops.adapters import AdaptedOps, LowRank, with_saved
from llamacy.ops.plan.barriers import find_barriers
from llamacy.ops.plan.buffers import allocate
from llamacy.ops.plan.cost import PassCost
from llamacy.ops.plan.lowering import Lowering
from llamacy.ops.plan.observing import Observer
from llamacy.ops.plan.packed_weights import Weight, pack_floats, pack_weights
from llamacy.ops.plan.page_types import page_type
from llamacy.ops.plan.recorder import Node, Recorder
from llamacy.ops.plan.runs import longest_run
from llamacy.ops.plan.runtime import Program
from llamacy.ops.plan.step import Step
from llamacy.ops.state.layout import StateLayout
from llamacy.ops.state.specs import StateSpec
from llamacy.ops.vocabulary import Forward


@dataclass(frozen=True, slots=True)
class RecordedPass:
    """The graph of a pass.

    Attributes
    ----------
    nodes : list of Node
        Its operations, in the order in which they were recorded.
    output : Node
        The one whose value is the result: logits, or embeddings.
    states : list of StateSpec
        The states that its layers keep between passes.
    """

    nodes: list[Node]
    output: Node
    states: list[StateSpec]


@dataclass(frozen=True, slots=True)
class CompiledPass:
    """A program, and all that is asked of its steps.

    Attributes
    ----------
    program : Program
        Runs the steps.
    steps : list of Step
        The steps; operands by name.
    level : str
        Instruction-set level of the kernels.
    cost : PassCost
        Bytes and operations of the steps.
    longest_run : int
        Most rows that are attended together.
    n_positions : int or None
        Learned positions; None without any.
    """

    program: Program
    steps: list[Step]
    level: str
    cost: PassCost
    longest_run: int
    n_positions: int | None


def record_pass(
    forward: Forward,
    config: ModelConfig,
    weights: Mapping[str, Weight],
    adapters: Mapping[str, LowRank[NDArray[np.float32]]] | None = None,
    saved: Mapping[str, Tensor] | None = None,
) -> RecordedPass:
    """Record all operations of a pass.

    Parameters
    ----------
    forward : callable
        The architecture's forward pass, or one that embeds.
    config : ModelConfig
        Hyperparameters.
    weights : dict of Weight
        By name, as `pack_weights` leaves them.
    adapters : dict of LowRank, optional
        By the names of the matrices, of shapes that fit them.
    saved : dict of Tensor, optional
        Tensors that take the place of the weights of their names.

    Raises
    ------
    ArgumentError
        The forward pass has no linear layer with one of the matrices.
    OutOfMemoryError
        There is no memory for the adapters.
    """
    recorder = Recorder()
    if saved:
        weights = with_saved(weights, pack_weights(saved))
    packed = {
        # a vector takes its adapter in, which is done once
        name: low if isinstance(weights.get(name), np.ndarray) else _packed(low)
        for name, low in (adapters or {}).items()
    }
    ops = AdaptedOps(recorder, weights, packed)
    output = forward(ops, config, weights)
    ops.check_all_used()
    assert output.of_wanted  # as the array that a run fills
    return RecordedPass(recorder.nodes, output, recorder.states)


def layout_of(recorded: RecordedPass, kv_type: str) -> StateLayout:
    """Place the states of a pass; pages may hold what its attention computes in.

    Parameters
    ----------
    recorded : RecordedPass
        The pass.
    kv_type : str
        The type of keys and values that was asked for.
    """
    program = Program(kernels.load(kernels.selected().name).table, 1)
    return StateLayout(recorded.states, page_type(kv_type, recorded.nodes, program))


def compile_pass(
    recorded: RecordedPass,
    layout: StateLayout,
    *,
    n_threads: int,
    n_batch: int,
    observer: Observer | None = None,
) -> CompiledPass:
    """Make the program of a recorded pass, with buffers of its own.

    Parameters
    ----------
    recorded : RecordedPass
        The pass.
    layout : StateLayout
        Where the states of its layers are.
    n_threads : int
        Most threads of a run.
    n_batch : int
        Most rows of a run.
    observer : Observer, optional
        Looks at the inputs of matrices.

    Raises
    ------
    OutOfMemoryError
        There is no memory for the buffers.
    """
    level = kernels.selected().name
    program = Program(kernels.load(level).table, n_threads)
    steps = Lowering(
        recorded.nodes, recorded.output, program, layout, n_batch, observer
    ).lower()
    for step, waits in zip(allocate(steps), find_barriers(steps), strict=True):
        program.add(step, waits=waits)
    learned = [each for each in steps if each.op == "position_embedding"]
    sizes = [each.constants["weight"].shape[0] for each in learned]
    return CompiledPass(
        program,
        steps,
        level,
        PassCost(steps),
        longest_run(steps),
        min(sizes, default=None),
    )


def _packed(low: LowRank[NDArray[np.float32]]) -> LowRank[Any]:
    """Pack an adapter's matrices, or those of experts."""
    gain = None if low.gain is None else np.ascontiguousarray(low.gain, np.float32)
    return LowRank(pack_floats(low.down), pack_floats(low.up), gain)
