"""Steps of operations that keep a text's last columns, or matrices of it."""

from __future__ import annotations

from collections.abc import Mapping

from llamacy.ops.plan.recorder import Node
from llamacy.ops.plan.step import Buffer, Place, Step
from llamacy.ops.state.layout import StateSlot
from llamacy.ops.state.specs import Recurrence


def causal_conv_step(
    node: Node,
    values: Mapping[Node, Place],
    slot: StateSlot,
    y: Buffer,
    form: str | None = None,
) -> Step:
    """Make the step of a convolution, which may end in an operation, its `form`."""
    return Step.of(
        "causal_conv",
        {"x": values[node.inputs[0]], "state": slot},
        {"y": y, "state": slot},
        weight=node.attributes["weight"],
        bias=node.attributes.get("bias"),
        n=node.width,
        form=form,
    )


def delta_rule_step(
    node: Node, values: Mapping[Node, Place], slot: StateSlot, y: Buffer
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
    node: Node, values: Mapping[Node, Place], slot: StateSlot, y: Buffer
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


def _operands(
    names: tuple[str, ...], node: Node, values: Mapping[Node, Place]
) -> dict[str, Place]:
    """Name the buffers of a node's inputs."""
    return {name: values[value] for name, value in zip(names, node.inputs, strict=True)}
