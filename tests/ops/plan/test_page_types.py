"""Pages hold bfloat16 where all attention of a pass computes in it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from llamacy.ops.plan.page_types import page_type
from llamacy.ops.plan.recorder import Node
from llamacy.ops.state.specs import KeyValues
from tests.ops.conftest import PlainKernels


class Kernels(PlainKernels):
    has_bf16 = True


def projected(type_name: str, width: int) -> Node:
    """A value that a matrix of this type makes, and that is rotated."""
    embedded = Node("embedding", (), 64, False, {})
    weight = SimpleNamespace(type_name=type_name)
    made = Node("linear", (embedded,), width, False, {"weight": weight})
    return Node("rope", (made,), width, False, {})


def attention(type_name: str, head_dim: int = 64, **options: Any) -> Node:
    state = KeyValues(0, 2, head_dim, options.pop("value_dim", head_dim), **options)
    q = projected("F16", 4 * head_dim)
    k, v = (projected(type_name, 2 * head_dim) for _ in range(2))
    if state.is_latent:
        return Node("latent_attention", (q, k), q.width, False, {}, state)
    return Node("attention", (q, k, v), q.width, False, {}, state)


def test_quantised_weights_have_pages_of_bfloat16() -> None:
    nodes = [attention("Q4_0"), attention("Q8_0", 128, value_dim=32)]
    assert page_type("f16", nodes, Kernels()) == "bf16"
    assert page_type("f16", nodes, PlainKernels()) == "f16"
    for kind in ("f32", "q8_0"):
        assert page_type(kind, nodes, Kernels()) == kind


@pytest.mark.parametrize(
    "other",
    [
        attention("F16"),
        attention("Q4_0", 80),
        attention("Q4_0", value_dim=48),
        attention("Q4_0", value_dim=32, is_latent=True),
    ],
    ids=["float weights", "keys of 80", "values of 48", "latent values"],
)
def test_one_layer_that_cannot_keeps_float16(other: Node) -> None:
    assert page_type("f16", [attention("Q4_0"), other], Kernels()) == "f16"


def test_a_pass_without_attention_has_what_was_asked_for() -> None:
    assert page_type("f16", [projected("Q4_0", 64)], Kernels()) == "f16"
