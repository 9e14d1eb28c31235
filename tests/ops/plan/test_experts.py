"""Mixtures of experts: the plan against the reference, and what must not matter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.config import ModelConfig, RopeConfig
from llamacy.ops.batch import Batch
from llamacy.ops.experts import Experts
from llamacy.ops.plan.packed_weights import pack_weights
from llamacy.ops.plan.routing import Routing
from llamacy.ops.plan.step import Step

if TYPE_CHECKING:
    from tests.ops.conftest import Executors

Array = NDArray[np.float32]
MakeExecutors = Callable[..., "Executors"]

N_EMBD, N_FF, N_VOCAB, N_EXPERT = 64, 96, 40, 5
CONFIG = ModelConfig(
    architecture="test",
    name="",
    n_layer=1,
    n_embd=N_EMBD,
    n_head=1,
    n_head_kv=1,
    head_dim=N_EMBD,
    n_ff=N_FF,
    n_vocab=N_VOCAB,
    n_ctx_train=256,
    norm_eps=1e-5,
    rope=RopeConfig(n_dims=N_EMBD),
)
SHAPES = {
    "embd": (N_VOCAB, N_EMBD),
    "router": (N_EXPERT, N_EMBD),
    "gate": (N_EXPERT, N_FF, N_EMBD),
    "up": (N_EXPERT, N_FF, N_EMBD),
    "down": (N_EXPERT, N_EMBD, N_FF),
    "gate.bias": (N_EXPERT, N_FF),
    "up.bias": (N_EXPERT, N_FF),
    "down.bias": (N_EXPERT, N_EMBD),
    "choice.bias": (N_EXPERT,),
    "gate.scale": (N_EXPERT,),
    "up.scale": (N_EXPERT,),
    "down.scale": (N_EXPERT,),
    "out": (N_VOCAB, N_EMBD),
}


@dataclass(frozen=True)
class Mixture:
    """A forward pass of one mixture: on all rows, or on the wanted ones alone."""

    n_used: int = 2
    is_normalized: bool = True
    has_biases: bool = False
    has_scales: bool = False
    activation: Literal["swiglu", "clamped_swiglu", "relu_squared"] = "swiglu"
    is_of_wanted: bool = False
    rules: Mapping[str, Any] = field(default_factory=dict)
    has_choice_bias: bool = False

    def __call__(self, ops: Any, _: ModelConfig, weights: Mapping[str, Any]) -> Any:
        x = ops.embedding(weights["embd"])
        if self.is_of_wanted:
            x = ops.wanted(x)
        experts: Experts[Any] = Experts(
            None if self.activation == "relu_squared" else weights["gate"],
            weights["up"],
            weights["down"],
            n_used=self.n_used,
            is_normalized=self.is_normalized,
            activation=self.activation,
            selection_bias=weights["choice.bias"] if self.has_choice_bias else None,
            **self.rules,
        )
        if self.has_biases:
            experts = replace(
                experts,
                **{f"{each}_bias": weights[f"{each}.bias"]
                   for each in ("gate", "up", "down")},
            )  # fmt: skip
        if self.has_scales:
            experts = replace(
                experts,
                **{f"{each}_scale": weights[f"{each}.scale"]
                   for each in ("gate", "up", "down")},
            )  # fmt: skip
        h = ops.experts(x, ops.linear(x, weights["router"]), experts)
        x = ops.add(x, h)
        return ops.linear(x if self.is_of_wanted else ops.wanted(x), weights["out"])


def values(**changes: Array) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    drawn = {
        name: rng.standard_normal(shape, dtype=np.float32)
        * np.float32(1 if "." in name or name == "embd" else 2 * shape[-1] ** -0.5)
        for name, shape in SHAPES.items()
    }
    return drawn | changes


def executors(
    make: MakeExecutors, run: Mixture, type_name: str = "F32", **changes: Array
) -> Executors:
    """Rows, the router and the logits stay in float32: all choose the same experts."""
    both = make(run, CONFIG, values(**changes), type_name)
    exact = make(run, CONFIG, values(**changes), "F32").tensors
    both.tensors |= {name: exact[name] for name in ("embd", "router", "out")}
    return both


def logits(executor: Any, *counts: int) -> Array:
    """Return the logits of passes with these numbers of rows."""
    ids = np.random.default_rng(2).integers(0, N_VOCAB, sum(counts)).tolist()
    out, done = [], 0
    for n in counts:
        tokens = ids[done : done + n]
        out.append(executor.forward(Batch.of(tokens, executor.new_sequence(), "all")))
        done += n
    return np.concatenate(out)


def error(got: Array, want: Array) -> float:
    return float(np.sqrt(np.mean((got - want) ** 2)) / want.std())


MIXTURES = {
    "two of five": Mixture(),
    "one": Mixture(n_used=1),
    "all": Mixture(n_used=N_EXPERT),
    "of all scores": Mixture(is_normalized=False),
    "biases": Mixture(has_biases=True),
    "scales": Mixture(has_biases=True, has_scales=True),
    "bounded": Mixture(rules={"limit": 0.4}),
    "bounded, biases": Mixture(rules={"limit": 0.4}, has_biases=True, has_scales=True),
    "clamped": Mixture(activation="clamped_swiglu", has_biases=True),
    "without a gate": Mixture(activation="relu_squared"),
    "without a gate, scales": Mixture(
        activation="relu_squared", has_biases=True, has_scales=True
    ),
    "of wanted rows": Mixture(is_of_wanted=True, has_biases=True),
    "scaled": Mixture(rules={"scale": 2.5}),
    "sigmoid": Mixture(is_normalized=False, rules={"gating": "sigmoid"}),
    "sigmoid, to 1": Mixture(rules={"gating": "sigmoid", "scale": 1.5}),
    "sigmoid, bias": Mixture(rules={"gating": "sigmoid"}, has_choice_bias=True),
    "softmax, bias": Mixture(has_choice_bias=True),
    "of all scores, bias": Mixture(is_normalized=False, has_choice_bias=True),
    "of chosen": Mixture(is_normalized=False, rules={"gating": "softmax_of_chosen"}),
    "of chosen, bias": Mixture(
        rules={"gating": "softmax_of_chosen"}, has_choice_bias=True
    ),
}
GROUPS = {
    "two of three groups": {"n_group": 3, "n_group_used": 2},
    "one of three groups": {"n_group": 3, "n_group_used": 1},
    "groups of one": {"n_group": 6, "n_group_used": 3},
}


@pytest.mark.usefixtures("selected_level")
class TestWhatIsComputed:
    @pytest.mark.parametrize("name", MIXTURES)
    def test_the_plan_computes_what_the_reference_does(
        self, make_executors: MakeExecutors, name: str
    ) -> None:
        both = executors(make_executors, MIXTURES[name])
        counts = (1, 2, 7, 200)  # from one row an expert to more than a block of them
        want = logits(both.reference(), *counts)
        got = logits(both.plan(n_batch=200, n_threads=2), *counts)
        assert error(got, want) <= 1e-5

    @pytest.mark.parametrize(
        "type_name",
        ["F16", "BF16", "Q8_0", "Q4_0", "Q5_1", "MXFP4", "NVFP4", "Q2_0"],
    )
    def test_weights_of_every_kind(
        self, make_executors: MakeExecutors, type_name: str
    ) -> None:
        both = executors(make_executors, Mixture(has_biases=True), type_name)
        counts = (1, 7, 200)
        want = logits(both.reference(), *counts)
        got = logits(both.plan(n_batch=200, n_threads=2), *counts)
        # two products of what tiles or int8 round, one after another
        assert error(got, want) <= (0.006 if type_name in ("F16", "BF16") else 0.015)

    def test_each_expert_has_scales_of_its_own(
        self, make_executors: MakeExecutors
    ) -> None:
        """Powers of two scale products as they scale float weights: exactly."""
        factors = np.array([1, 2, 0.5, 4, 1], np.float32)
        names = ("gate", "up", "down")
        scales: dict[str, Any] = {
            f"{name}.scale": np.roll(factors, i) for i, name in enumerate(names)
        }
        run = Mixture(has_biases=True, has_scales=True)
        got = logits(executors(make_executors, run, **scales).plan(), 1, 33)
        plain = values()
        scaled: dict[str, Any] = {
            name: plain[name] * scales[f"{name}.scale"][:, None, None] for name in names
        }
        run = Mixture(has_biases=True)
        want = logits(executors(make_executors, run, **scaled).plan(), 1, 33)
        np.testing.assert_array_equal(got, want)

    def test_matrices_of_two_types(self, make_executors: MakeExecutors) -> None:
        for one, other in (("Q8_0", "F32"), ("F16", "Q4_0"), ("Q4_0", "Q8_0")):
            both = executors(make_executors, Mixture(), one)
            for name in ("up", "down"):
                more = executors(make_executors, Mixture(), other)
                both.tensors[name] = more.tensors[name]
            want = logits(both.reference(), 3, 120)
            got = logits(both.plan(n_batch=120), 3, 120)
            assert error(got, want) <= 0.015

    @pytest.mark.parametrize("type_name", ["F32", "Q4_0"])
    def test_threads_make_no_difference(
        self, make_executors: MakeExecutors, type_name: str
    ) -> None:
        both = executors(make_executors, Mixture(has_biases=True), type_name)
        want = logits(both.plan(n_batch=130, n_threads=1), 1, 130)
        for n_threads in (2, 3, 5):
            plan = both.plan(n_batch=130, n_threads=n_threads)
            np.testing.assert_array_equal(logits(plan, 1, 130), want)

    @pytest.mark.parametrize("type_name", ["F32", "Q8_0", "Q4_0"])
    def test_a_row_does_not_depend_on_others(
        self, make_executors: MakeExecutors, type_name: str
    ) -> None:
        """As long as no expert has enough rows for a pass on tiles."""
        plan = executors(make_executors, Mixture(), type_name).plan(n_threads=2)
        alone = logits(plan, *([1] * 31))
        np.testing.assert_array_equal(logits(plan, 31), alone)
        np.testing.assert_array_equal(logits(plan, 2, 9, 20), alone)

    def test_no_row_is_wanted(self, make_executors: MakeExecutors) -> None:
        plan = executors(make_executors, Mixture(is_of_wanted=True)).plan(n_threads=2)
        batch = Batch.of([1, 2, 3], plan.new_sequence(), "none")
        assert plan.forward(batch).shape == (0, N_VOCAB)

    def test_layers_use_buffers_in_turn(self, make_executors: MakeExecutors) -> None:
        def twice(ops: Any, _: ModelConfig, weights: Mapping[str, Any]) -> Any:
            x = ops.embedding(weights["embd"])
            for n_used, names in ((2, ("gate", "up")), (2, ("up", "gate")), (3, ())):
                gate, up = names or ("gate", "gate")
                experts: Experts[Any] = Experts(
                    *(weights[gate], weights[up], weights["down"]),
                    n_used=n_used,
                    is_normalized=True,
                )
                scores = ops.linear(x, weights["router"])
                x = ops.add(x, ops.experts(x, scores, experts))
            return ops.linear(ops.wanted(x), weights["out"])

        both = make_executors(twice, CONFIG, values(), "F32")
        want = logits(both.reference(), 1, 30)
        assert error(logits(both.plan(n_threads=3), 1, 30), want) <= 1e-5


@pytest.mark.usefixtures("selected_level")
class TestScores:
    def both(
        self, make: MakeExecutors, run: Mixture, router: Array
    ) -> tuple[Array, Array]:
        both = executors(make, run, router=router)
        return logits(both.reference(), 1, 40), logits(both.plan(n_threads=2), 1, 40)

    @pytest.mark.parametrize("is_normalized", [True, False])
    def test_of_equal_ones_the_first_is_chosen(
        self, make_executors: MakeExecutors, is_normalized: bool
    ) -> None:
        run = Mixture(is_normalized=is_normalized)
        for ties in ([0, 0, 0, 0, 0], [1, 0, 1, 0, 1]):
            router = values()["router"][ties]
            want, got = self.both(make_executors, run, router)
            assert error(got, want) <= 1e-5

    def test_nan_is_chosen_last(self, make_executors: MakeExecutors) -> None:
        router = values()["router"]
        router[[0, 3]] = np.nan
        want, got = self.both(make_executors, Mixture(), router)
        assert np.isfinite(got).all()
        assert error(got, want) <= 1e-5

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_those_without_meaning_break_nothing_but_their_rows(
        self, make_executors: MakeExecutors, bad: float
    ) -> None:
        embd = values()["embd"]
        embd[7] = bad
        plan = executors(make_executors, Mixture(), embd=embd).plan(n_threads=2)
        tokens = [1, 7, 2, 7, 3]
        got = plan.forward(Batch.of(tokens, plan.new_sequence(), "all"))
        assert np.isnan(got[[1, 3]]).all()
        sound = plan.forward(Batch.of([1, 2, 3], plan.new_sequence(), "all"))
        np.testing.assert_array_equal(got[[0, 2, 4]], sound)

    def test_far_apart_ones_are_shares_of_one(
        self, make_executors: MakeExecutors
    ) -> None:
        router = values()["router"] * np.float32(1000)
        want, got = self.both(make_executors, Mixture(is_normalized=False), router)
        assert np.isfinite(got).all()
        assert error(got, want) <= 1e-5


def in_groups(**rules: Any) -> tuple[Mixture, dict[str, Array]]:
    """Return a mixture of six experts, and its weights."""
    run = Mixture(rules={"gating": "sigmoid", **rules}, has_choice_bias=True)
    six = [0, 1, 2, 3, 4, 0]
    named = ("router", "gate", "up", "down", "choice.bias")
    weights = {name: values()[name][six] for name in named}
    weights["router"][5] *= np.float32(-0.7)
    return run, weights


@pytest.mark.usefixtures("selected_level")
class TestGroups:
    @pytest.mark.parametrize("name", GROUPS)
    def test_the_plan_computes_what_the_reference_does(
        self, make_executors: MakeExecutors, name: str
    ) -> None:
        run, weights = in_groups(**GROUPS[name])
        both = executors(make_executors, run, "F32", **weights)
        want = logits(both.reference(), 1, 7, 100)
        got = logits(both.plan(n_batch=100, n_threads=2), 1, 7, 100)
        assert error(got, want) <= 1e-5

    def test_nan_and_equal_ones_are_chosen_as_in_the_reference(
        self, make_executors: MakeExecutors
    ) -> None:
        run, weights = in_groups(n_group=3, n_group_used=2)
        first, second = [np.nan, 0, 0, 0, 0, 0], [0, 1, 1, 0, np.nan, 1]
        for bad in (first, second, [9, 9, 1, 1, 9, 9], [0] * 6):
            weights["choice.bias"] = np.array(bad, np.float32)
            weights["router"][:] = 0  # the biases alone choose
            both = executors(make_executors, run, "F32", **weights)
            want = logits(both.reference(), 1, 30)
            assert np.isfinite(want).all()
            assert error(logits(both.plan(), 1, 30), want) <= 1e-5

    def test_a_row_does_not_depend_on_others(
        self, make_executors: MakeExecutors
    ) -> None:
        run, weights = in_groups(n_group=3, n_group_used=2)
        both = executors(make_executors, run, "F32", **weights)
        plan = both.plan(n_threads=2)
        alone = logits(plan, *([1] * 31))
        np.testing.assert_array_equal(logits(plan, 2, 9, 20), alone)

    def test_a_bias_chooses_and_does_not_weigh(
        self, make_executors: MakeExecutors
    ) -> None:
        """A bias that is alike for all experts changes nothing."""
        _, weights = in_groups()
        run = Mixture(rules={"gating": "sigmoid"}, has_choice_bias=True)
        weights["choice.bias"] = np.full(6, 0.25, np.float32)
        got = logits(executors(make_executors, run, "F32", **weights).plan(), 1, 40)
        run = replace(run, has_choice_bias=False)
        want = logits(executors(make_executors, run, "F32", **weights).plan(), 1, 40)
        np.testing.assert_array_equal(got, want)

    def test_gates_of_nothing_weigh_nothing(
        self, make_executors: MakeExecutors
    ) -> None:
        router = np.zeros_like(values()["router"])
        embd = np.ones_like(values()["embd"])
        router[:] = -1000
        run = Mixture(rules={"gating": "sigmoid"})
        both = executors(make_executors, run, router=router, embd=embd)
        want = logits(both.reference(), 3)
        assert np.isfinite(want).all()
        np.testing.assert_allclose(logits(both.plan(), 3), want, atol=1e-4)


def test_groups_that_hold_too_few_experts_are_refused() -> None:
    with pytest.raises(ValueError, match="n_group: wanted a divisor of 8, found 3"):
        Routing(1, 8, 2, True, n_group=3)
    with pytest.raises(ValueError, match="n_group_used: wanted 2 to 4, found 1"):
        Routing(1, 8, 4, True, n_group=4, n_group_used=1)


@pytest.mark.parametrize("n_used", [0, 6, -1])
def test_more_experts_than_there_are_are_refused(n_used: int) -> None:
    with pytest.raises(ValueError, match=f"n_used: wanted 1 to 5, found {n_used}"):
        Routing(8, 5, n_used, True)


class TestSteps:
    def kinds(
        self, make: MakeExecutors, lowered: Callable[..., list[Step]], type_name: str
    ) -> list[str]:
        both = executors(make, Mixture(), type_name)
        steps = lowered(both.forward, CONFIG, pack_weights(both.tensors))
        return [step.kind for step in steps]

    def test_of_quantised_experts(
        self, make_executors: MakeExecutors, lowered: Callable[..., list[Step]]
    ) -> None:
        assert self.kinds(make_executors, lowered, "Q8_0") == [
            *("embedding", "linear store", "route", "group", "gather+prepare"),
            *("experts swiglu", "gather+prepare", "experts store", "mix", "add"),
            *("wanted", "linear store"),
        ]

    def test_floats_are_gathered_once(
        self, make_executors: MakeExecutors, lowered: Callable[..., list[Step]]
    ) -> None:
        ops = self.kinds(make_executors, lowered, "F32")
        assert ops.count("gather") == 1
        assert "gather+prepare" not in ops


def test_cost_is_that_of_the_experts_used(make_executors: MakeExecutors) -> None:
    costs = {}
    for n_used in (1, 2, 5):
        plan = executors(make_executors, Mixture(n_used=n_used), "Q8_0").plan()
        costs[n_used] = plan.cost(0, 1, 1)
    both = executors(make_executors, Mixture(), "Q8_0")
    weights: dict[str, Any] = pack_weights(both.tensors)
    one = sum(weights[name].nbytes for name in ("gate", "up", "down")) // N_EXPERT
    assert costs[2].n_bytes - costs[1].n_bytes == one
    assert costs[5].n_bytes - costs[1].n_bytes == 4 * one
    assert costs[2].n_ops - costs[1].n_ops == 2 * 3 * N_FF * N_EMBD
    rows = both.plan().cost(0, 9, 0).n_ops - both.plan().cost(0, 8, 0).n_ops
    assert rows == 2 * (2 * 3 * N_FF * N_EMBD + N_EXPERT * N_EMBD)
