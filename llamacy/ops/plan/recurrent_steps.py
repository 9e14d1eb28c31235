"""Steps of operations that keep matrices of a text."""

from __future__ import annotations

from collections.abc import Mapping

from llamacy.ops.plan.recorder import Node
from llamacy.ops.plan.step import Buffer, Step
from llamacy.ops.state.layout import StateSlot
from llamacy.ops.state.specs import Recurrence


def delta_rule_step(
    node: Node, values: Mapping[Node, Buffer], slot: StateSlot, y: Buffer
) -> Step:
    """Make the step of a gated delta rule, which leaves its result in `y`."""
    state = slot.spec
    assert isinstance(state, Recurrence)
    q, decay = node.inputs[0], node.inputs[3]
    return Step.of(
        "delta_rule",
        {**_operands(("q", "k", "v", "decay", "beta"), node, values), "state": slot},
        {"y": y, "state": slot},
        of_wanted=node.of_wanted,
        n_head=state.n_head,
        n_key_head=q.width // state.key_dim,
        repeats_key_heads=node.attributes["key_head"] == "modulo",
        decays_rows=decay.width != state.n_head,
    )


def ssm_scan_step(
    node: Node, values: Mapping[Node, Buffer], slot: StateSlot, y: Buffer
) -> Step:
    """Make the step of a scan as in Mamba-2, which leaves its result in `y`."""
    state = slot.spec
    assert isinstance(state, Recurrence)
    b = node.inputs[2]
    return Step.of(
        "ssm_scan",
        {**_operands(("x", "dt", "b", "c"), node, values), "state": slot},
        {"y": y, "state": slot},
        of_wanted=node.of_wanted,
        n_head=state.n_head,
        n_group=b.width // state.key_dim,
        a=node.attributes["a"],
        d=node.attributes["d"],
    )


def selective_scan_step(
    node: Node, values: Mapping[Node, Buffer], slot: StateSlot, y: Buffer
) -> Step:
    """Make the step of a scan as in Mamba, which leaves its result in `y`."""
    state = slot.spec
    assert isinstance(state, Recurrence)
    return Step.of(
        "selective_scan",
        {**_operands(("x", "dt", "b", "c"), node, values), "state": slot},
        {"y": y, "state": slot},
        of_wanted=node.of_wanted,
        n_head=state.n_head,
        a=node.attributes["a"],
        d=node.attributes["d"],
    )


def _operands(
    names: tuple[str, ...], node: Node, values: Mapping[Node, Buffer]
) -> dict[str, Buffer]:
    """Name the buffers of a node's inputs."""
    return {name: values[value] for name, value in zip(names, node.inputs, strict=True)}
