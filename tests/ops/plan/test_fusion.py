"""Which operations become one step, which become none, and where that must not be."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from llamacy.config import RopeConfig
from llamacy.ops.plan.barriers import find_barriers
from llamacy.ops.plan.packed_weights import pack_weights
from llamacy.ops.plan.step import LOGITS, Step
from llamacy.ops.rope import Rope
from llamacy.ops.state.specs import Recurrence
from tests.support.states import key_values

if TYPE_CHECKING:
    from tests.ops.conftest import Executors

OpsOf = Callable[..., list[str]]
StepsOf = Callable[..., list[Step]]
ROPE = Rope.from_config(RopeConfig(n_dims=16), head_dim=16)


def is_of_logits(step: Step) -> bool:
    return LOGITS in step.writes.values()


@pytest.fixture
def ops_of(steps_of: StepsOf) -> OpsOf:
    return lambda *args: [step.kind for step in steps_of(*args)]


def test_a_transformer(transformer: Callable[..., Executors], lowered: StepsOf) -> None:
    """Each layer is 12 steps."""
    both = transformer("Q8_0")
    steps = lowered(both.forward, both.config, pack_weights(both.tensors))
    store, fused = "linear store", "rms_norm+prepare"
    block = [
        *(fused, store, store, store, "append", "attention rounded", "prepare"),
        "linear add",
        *(fused, "linear swiglu", "prepare", "linear add"),
    ]
    ops = [step.kind for step in steps]
    assert [op for op in ops if op != "rope_table"] == [
        "embedding", *block, *block, "wanted", fused, store,
    ]  # fmt: skip
    assert ops.count("rope_table") == 1


class TestPreparation:
    def test_a_norm_prepares_only_for_quantised_matrices(self, ops_of: OpsOf) -> None:
        def forward(ops: Any, config: Any, weights: Any) -> Any:
            h = ops.rms_norm(ops.embedding(weights["w0"]), weights["norm"], 1e-5)
            return ops.linear(h, weights["w1"])

        assert ops_of(forward) == ["embedding", "rms_norm+prepare", "linear store"]
        assert ops_of(forward, "F32") == ["embedding", "rms_norm", "linear store"]

    def test_one_serves_all(self, ops_of: OpsOf) -> None:
        def forward(ops: Any, config: Any, weights: Any) -> Any:
            x = ops.embedding(weights["w0"])
            a, b = ops.linear(x, weights["w1"]), ops.linear(x, weights["w2"])
            return ops.linear(
                ops.add(a, ops.rms_norm(b, weights["norm"], 1)), weights["w3"]
            )

        kinds = ("prepare", "rms_norm", "add+prepare")
        assert [op for op in ops_of(forward) if op in kinds] == list(kinds)

    @pytest.mark.parametrize("op", ["add", "mul", "silu_mul", "gain", "head_gate"])
    def test_rows_are_prepared_where_they_are_made(
        self, ops_of: OpsOf, op: str
    ) -> None:
        def forward(ops: Any, config: Any, weights: Any) -> Any:
            x = ops.embedding(weights["w0"])
            y = weights["norm"] if op == "gain" else ops.silu(x)
            return ops.linear(getattr(ops, op)(x, y), weights["w1"])

        assert ops_of(forward)[-2:] == [f"{op}+prepare", "linear store"]
        assert "prepare" not in "".join(ops_of(forward, "F32"))

    @pytest.mark.parametrize(("type_name", "n_digits"), [("Q8_0", 2), ("Q4_0", 1)])
    def test_has_as_many_digits_as_are_read(
        self, steps_of: StepsOf, type_name: str, n_digits: int
    ) -> None:
        def forward(ops: Any, config: Any, weights: Any) -> Any:
            x = ops.embedding(weights["w0"])
            h = ops.rms_norm(x, weights["norm"], 1)
            h = ops.add(ops.linear(x, weights["w1"]), ops.linear(h, weights["w2"]))
            return ops.linear(h, weights["w3"])

        steps = steps_of(forward, type_name)
        prepared = [step for step in steps if "prepared" in step.writes]
        assert [step.constants["n_digits"] for step in prepared] == [n_digits] * 3


class TestColumns:
    """Columns side by side are read where they are, and nothing overwrites them."""

    def test_are_no_step(self, steps_of: StepsOf) -> None:
        def forward(ops: Any, config: Any, weights: Any) -> Any:
            x = ops.linear(ops.embedding(weights["w0"]), weights["w1"])
            right = ops.columns(ops.columns(x, 8, 24), 8, 16)
            return ops.mul(ops.columns(x, 0, 16), right)

        *_, mul, _ = steps_of(forward)
        assert list(map(str, mul.reads.values())) == ["x1[0:16]", "x1[16:32]"]

    def test_of_each_head_are_copied(self, ops_of: OpsOf) -> None:
        def forward(ops: Any, config: Any, weights: Any) -> Any:
            x = ops.columns(ops.embedding(weights["w0"]), 0, 4, of=8)
            return ops.scale(x, 2.0)

        assert ops_of(forward) == ["embedding", "copy", "scale"]

    def test_stay_until_their_last_reader(self, steps_of: StepsOf) -> None:
        def forward(ops: Any, config: Any, weights: Any) -> Any:
            x = ops.embedding(weights["w0"])
            part = ops.columns(x, 0, 32)
            h = ops.silu(part)  # not in place, nor in place of x
            y = ops.add(ops.silu(x), ops.linear(h, weights["w1"]))
            return ops.linear(ops.add(y, part), weights["w2"])

        assert [step.kind for step in steps_of(forward, "F32")] == [
            *("embedding", "silu", "silu", "linear add", "add", "linear store")
        ]

    def test_are_not_multiplied_while_their_rows_are_added_to(
        self, ops_of: OpsOf
    ) -> None:
        def forward(ops: Any, config: Any, weights: Any) -> Any:
            x = ops.embedding(weights["w0"])
            product = ops.linear(ops.columns(x, 0, 32), weights["w1"])
            return ops.scale(ops.add(x, product), 2.0)

        assert ops_of(forward, "F32") == ["embedding", "linear store", "add", "scale"]

    def test_are_rotated_elsewhere(self, ops_of: OpsOf) -> None:
        def forward(ops: Any, config: Any, weights: Any) -> Any:
            x = ops.linear(ops.embedding(weights["w0"]), weights["w1"])
            heads = [ops.columns(x, first, 16) for first in (0, 16)]
            q, k = (ops.rope(head, ROPE) for head in heads)
            state = key_values(0, n_head_kv=1, head_dim=16)
            return ops.scale(ops.attention(q, k, heads[1], state=state, scale=1.0), 1.0)

        assert ops_of(forward).count("copy+rotate") == 2


class TestConvolutions:
    def test_end_in_silu(self, ops_of: OpsOf) -> None:
        def forward(ops: Any, config: Any, weights: Any) -> Any:
            x = ops.embedding(weights["w0"])
            state = Recurrence(0, n_channels=32, n_columns=1)
            h = ops.causal_conv(x, weights["norm"], state=state)
            return ops.linear(ops.silu(h), weights["w1"])

        assert ops_of(forward, "F32")[1] == "causal_conv silu"

    @pytest.mark.parametrize("op", ["sigmoid", "add"])
    def test_do_not_end_in_other_operations(self, ops_of: OpsOf, op: str) -> None:
        """Nor in SiLU, if the results are read besides."""

        def forward(ops: Any, config: Any, weights: Any) -> Any:
            x = ops.embedding(weights["w0"])
            state = Recurrence(0, n_channels=32, n_columns=1)
            h = ops.causal_conv(x, weights["norm"], state=state)
            y = ops.sigmoid(h) if op == "sigmoid" else ops.add(ops.silu(h), h)
            return ops.linear(y, weights["w1"])

        assert ops_of(forward, "F32")[1] == "causal_conv"


class TestGateAndUp:
    def test_of_one_input_run_side_by_side(self, ops_of: OpsOf) -> None:
        def forward(ops: Any, config: Any, weights: Any) -> Any:
            x = ops.embedding(weights["w0"])
            h = ops.silu_mul(ops.linear(x, weights["w1"]), ops.linear(x, weights["w2"]))
            return ops.linear(h, weights["w3"])

        assert ops_of(forward, "F32") == ["embedding", "linear swiglu", "linear store"]

    def test_by_gelu_do_too(self, ops_of: OpsOf) -> None:
        def forward(ops: Any, config: Any, weights: Any) -> Any:
            x = ops.embedding(weights["w0"])
            h = ops.gelu_mul(ops.linear(x, weights["w1"]), ops.linear(x, weights["w2"]))
            return ops.linear(h, weights["w3"])

        assert ops_of(forward, "F32") == ["embedding", "linear geglu", "linear store"]

    def test_of_two_inputs_do_not(self, ops_of: OpsOf) -> None:
        def forward(ops: Any, config: Any, weights: Any) -> Any:
            x = ops.embedding(weights["w0"])
            y = ops.rms_norm(x, weights["norm"], 1)
            h = ops.silu_mul(ops.linear(x, weights["w1"]), ops.linear(y, weights["w2"]))
            return ops.linear(h, weights["w3"])

        assert "silu_mul+prepare" in ops_of(forward)

    def test_that_are_read_again_are_kept(self, ops_of: OpsOf) -> None:
        def forward(ops: Any, config: Any, weights: Any) -> Any:
            x = ops.embedding(weights["w0"])
            gate = ops.linear(x, weights["w1"])
            h = ops.silu_mul(gate, ops.linear(x, weights["w2"]))
            return ops.linear(ops.add(h, gate), weights["w3"])

        assert "silu_mul" in ops_of(forward)
        assert "linear swiglu" not in ops_of(forward)


class TestRotations:
    """Rotated in place is only what nobody reads but one attention, as q or k."""

    def rotated(self, ops_of: OpsOf, attend: Callable[..., Any]) -> list[str]:
        """Steps of `attend(ops, a, b, c)`, of three linear layers, that rotate."""

        def forward(ops: Any, config: Any, weights: Any) -> Any:
            x = ops.embedding(weights["w0"])
            heads = (ops.linear(x, weights[f"w{i}"]) for i in (1, 2, 3))
            return ops.linear(attend(ops, *heads), weights["w0"])

        return [op for op in ops_of(forward) if op in ("append", "copy+rotate")]

    def test_go_with_the_write_into_the_cache(self, ops_of: OpsOf) -> None:
        def attend(ops: Any, a: Any, b: Any, c: Any) -> Any:
            q, k = ops.rope(a, ROPE), ops.rope(b, ROPE)
            return ops.attention(q, k, c, state=key_values(0), scale=1)

        assert self.rotated(ops_of, attend) == ["append"]

    def test_of_what_is_also_read_as_it_was(self, ops_of: OpsOf) -> None:
        def attend(ops: Any, a: Any, b: Any, c: Any) -> Any:
            return ops.attention(ops.rope(a, ROPE), b, a, state=key_values(0), scale=1)

        assert self.rotated(ops_of, attend) == ["copy+rotate", "append"]

    def test_two_of_one_value(self, ops_of: OpsOf) -> None:
        def attend(ops: Any, a: Any, b: Any, c: Any) -> Any:
            q, k = ops.rope(a, ROPE), ops.rope(a, ROPE)
            return ops.attention(q, k, c, state=key_values(0), scale=1)

        assert self.rotated(ops_of, attend) == ["copy+rotate"] * 2 + ["append"]

    def test_that_two_layers_share(self, ops_of: OpsOf) -> None:
        def attend(ops: Any, a: Any, b: Any, c: Any) -> Any:
            k = ops.rope(b, ROPE)
            h = ops.attention(ops.rope(a, ROPE), k, c, state=key_values(0), scale=1)
            return ops.attention(h, k, c, state=key_values(1), scale=1)

        assert self.rotated(ops_of, attend) == ["copy+rotate", "append", "append"]

    def test_of_values(self, ops_of: OpsOf) -> None:
        def attend(ops: Any, a: Any, b: Any, c: Any) -> Any:
            return ops.attention(a, b, ops.rope(c, ROPE), state=key_values(0), scale=1)

        assert self.rotated(ops_of, attend) == ["copy+rotate", "append"]

    def test_of_heads_of_another_size(self, ops_of: OpsOf) -> None:
        def attend(ops: Any, a: Any, b: Any, c: Any) -> Any:
            rope = Rope.from_config(RopeConfig(n_dims=8), head_dim=8)
            return ops.attention(ops.rope(a, rope), b, c, state=key_values(0), scale=1)

        assert self.rotated(ops_of, attend) == ["copy+rotate", "append"]

    def test_that_no_attention_reads(self, ops_of: OpsOf) -> None:
        def attend(ops: Any, a: Any, b: Any, c: Any) -> Any:
            return ops.add(ops.rope(a, ROPE), b)

        assert self.rotated(ops_of, attend) == ["copy+rotate"]


class TestAttention:
    """It may round what was computed from rounded activations, and only that."""

    def attended(
        self, ops_of: OpsOf, value: Callable[..., Any], type_name: str
    ) -> bool:
        """Whether attention to `value(ops, x, weights)` may round."""

        def forward(ops: Any, config: Any, weights: Any) -> Any:
            x = ops.embedding(weights["w0"])
            q, v = ops.linear(x, weights["w1"]), value(ops, x, weights)
            h = ops.attention(q, q, v, state=key_values(0), scale=1)
            return ops.linear(h, weights["w0"])

        ops = ops_of(forward, type_name)
        assert ("attention rounded" in ops) != ("attention" in ops)
        return "attention rounded" in ops

    @pytest.mark.parametrize(
        ("type_name", "expected"), [("Q8_0", True), ("F32", False)]
    )
    def test_to_products(self, ops_of: OpsOf, type_name: str, expected: bool) -> None:
        def linear(ops: Any, x: Any, weights: Any) -> Any:
            return ops.linear(x, weights["w2"])

        def adapted(ops: Any, x: Any, weights: Any) -> Any:
            return ops.add(linear(ops, x, weights), linear(ops, x, weights))

        def normed(ops: Any, x: Any, weights: Any) -> Any:
            return ops.rms_norm(linear(ops, x, weights), weights["norm"], 1e-5)

        for value in (linear, adapted, normed):
            assert self.attended(ops_of, value, type_name) == expected

    def test_to_embeddings(self, ops_of: OpsOf) -> None:
        assert not self.attended(ops_of, lambda ops, x, weights: x, "Q8_0")


class TestTheLogits:
    def test_are_where_a_linear_layer_leaves_them(self, steps_of: StepsOf) -> None:
        def forward(ops: Any, config: Any, weights: Any) -> Any:
            return ops.linear(ops.embedding(weights["w0"]), weights["w1"])

        *_, last = steps_of(forward)
        assert last.kind == "linear store" and is_of_logits(last)

    def test_are_scaled_and_capped_where_they_are(self, steps_of: StepsOf) -> None:
        """They are wide: a buffer for a batch of them may outgrow the weights."""

        def forward(ops: Any, config: Any, weights: Any) -> Any:
            x = ops.linear(ops.embedding(weights["w0"]), weights["w1"])
            return ops.softcap(ops.scale(x, 0.5), 30.0)

        *_, linear, scale, softcap = steps = steps_of(forward)
        assert linear.kind == "linear store" and is_of_logits(linear)
        assert scale.kind == "scale in place" and is_of_logits(scale)
        assert find_barriers(steps)[-2]
        assert softcap.kind == "softcap in place" and is_of_logits(softcap)

    def test_what_others_read_too_is_not_made_there(self, steps_of: StepsOf) -> None:
        def forward(ops: Any, config: Any, weights: Any) -> Any:
            x = ops.linear(ops.embedding(weights["w0"]), weights["w1"])
            return ops.scale(ops.add(x, ops.scale(x, 0.5)), 2.0)

        steps = steps_of(forward, "F32")
        assert [step.kind for step in steps] == [
            *("embedding", "linear store", "scale", "add", "scale")
        ]
        assert [is_of_logits(step) for step in steps] == [False] * 4 + [True]

    @pytest.mark.parametrize("op", ["rms_norm", "add", "silu_mul", "rope", "wanted"])
    def test_are_copied_from_other_operations(self, steps_of: StepsOf, op: str) -> None:
        def forward(ops: Any, config: Any, weights: Any) -> Any:
            x = ops.embedding(weights["w0"])
            arguments = {
                "rms_norm": (x, weights["norm"], 1),
                "add": (x, ops.linear(x, weights["w1"])),
                "silu_mul": (
                    ops.linear(x, weights["w1"]),
                    ops.linear(x, weights["w2"]),
                ),
                "rope": (x, ROPE),
                "wanted": (x,),
            }
            return getattr(ops, op)(*arguments[op])

        *others, last = steps_of(forward)
        assert last.kind == "copy" and is_of_logits(last)
        assert not any(map(is_of_logits, others))

    def test_need_not_come_last(self, ops_of: OpsOf) -> None:
        """Nodes without influence on the logits are left out, and prevent no fusion."""

        def forward(ops: Any, config: Any, weights: Any) -> Any:
            x = ops.embedding(weights["w0"])
            h = ops.linear(x, weights["w1"])
            ops.linear(x, weights["w2"])
            logits = ops.linear(ops.add(x, ops.linear(h, weights["w2"])), weights["w3"])
            ops.add(logits, ops.rms_norm(h, weights["norm"], 1))
            return logits

        assert ops_of(forward, "F32") == [
            *("embedding", "linear store", "linear add", "linear store")
        ]

    def test_depend_on_all_keys_and_values(self, ops_of: OpsOf) -> None:
        """Another pass may read what attention that nobody reads has left."""

        def forward(ops: Any, config: Any, weights: Any) -> Any:
            x = ops.embedding(weights["w0"])
            ops.attention(
                x, ops.linear(x, weights["w1"]), x, state=key_values(0), scale=1
            )
            return ops.linear(x, weights["w2"])

        assert ops_of(forward, "F32") == [
            *("embedding", "linear store", "append", "attention", "linear store")
        ]
