"""The sampler chain against plain NumPy formulas, and the checks of its options."""

from __future__ import annotations

import dataclasses
import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from llamacy.errors import ArgumentError, ModelOutputError, UnknownOptionError
from llamacy.sampling import Sampler, SamplingOptions, SamplingParams
from llamacy.sampling.largest import largest

LOGITS = np.array([1.5, -0.5, 3.0, 2.5, 0.0, 2.9, -4.0, 1.0], np.float32)


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    weights = np.exp(logits.astype(np.float64) - logits.max())
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def expected(logits: NDArray[np.float32], params: SamplingParams) -> Any:
    """Return the probabilities by definition, sorting the whole vocabulary."""
    kept = np.argsort(-logits, kind="stable")
    if params.top_k:
        kept = kept[: params.top_k]
    sums = softmax(logits[kept]).cumsum()
    kept = (
        kept[: int(np.argmax(sums >= params.top_p)) + 1] if params.top_p < 1 else kept
    )
    shares = softmax(logits[kept])
    kept = kept[shares >= params.min_p * shares[0]]
    probabilities = np.zeros(len(logits))
    probabilities[kept] = softmax(logits[kept] / params.temperature)
    return probabilities


OPTIONS = [
    {},
    {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "temperature": 1.0},
    {"top_k": 3, "top_p": 1.0, "min_p": 0.0, "temperature": 1.7},
    {"top_k": 0, "top_p": 0.8, "min_p": 0.0, "temperature": 1.0},
    {"top_k": 0, "top_p": 1.0, "min_p": 0.3, "temperature": 1.0},
    {"top_k": 5, "top_p": 0.9, "min_p": 0.1, "temperature": 2.5},
    {"top_k": 0, "top_p": 0.97, "min_p": 0.02, "temperature": 0.5},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_draws_have_the_distribution_of_the_formulas(options: dict[str, Any]) -> None:
    params = SamplingParams(seed=7, **options)
    sampler, n_draws = Sampler(params), 4000
    counts = np.bincount([sampler.sample(LOGITS) for _ in range(n_draws)], minlength=8)
    wanted = expected(LOGITS, params) * n_draws
    assert not counts[wanted == 0].any()
    seen = wanted > 0
    statistic = ((counts[seen] - wanted[seen]) ** 2 / wanted[seen]).sum()
    # at most 5 standard deviations above the mean of the chi-square distribution
    freedom = int(seen.sum()) - 1
    assert statistic <= freedom + 5 * math.sqrt(2 * freedom) + 1e-9


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 3000) | st.integers(2**14 - 9, 2**15),
    st.integers(1, 3000),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_largest_equals_a_stable_sort(n: int, k: int, seed: int, ties: bool) -> None:
    logits = np.random.default_rng(seed).normal(size=n).astype(np.float32)
    if ties:
        logits = np.round(logits)
    k = min(k, n)
    wanted = np.argsort(-logits, kind="stable")[:k]
    np.testing.assert_array_equal(largest(logits, k), wanted)


def test_a_wide_nucleus_is_found_without_top_k() -> None:
    logits = np.random.default_rng(1).normal(size=5000).astype(np.float32)
    params = SamplingParams(top_k=0, top_p=0.9, min_p=0.0, temperature=1.0, seed=3)
    nucleus = set(np.flatnonzero(expected(logits, params)))
    assert 1000 < len(nucleus) < 4999
    sampler = Sampler(params)
    drawn = {sampler.sample(logits) for _ in range(2000)}
    assert drawn <= nucleus
    assert len(drawn) > 800


@pytest.mark.parametrize("min_p", [0.001, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("top_p", [0.1, 0.9, 0.999])
def test_min_p_applies_within_a_wide_nucleus(min_p: float, top_p: float) -> None:
    logits = np.random.default_rng(6).standard_normal(3000).astype(np.float32)
    params = SamplingParams(top_k=0, top_p=top_p, min_p=min_p, temperature=50.0, seed=1)
    allowed = set(np.flatnonzero(expected(logits, params)).tolist())
    sampler = Sampler(params)
    drawn = {sampler.sample(logits) for _ in range(1000)}
    assert drawn <= allowed
    # nearly uniform at this temperature: if there are few tokens, all are drawn
    assert len(allowed) > 100 or drawn == allowed


def test_temperature_0_is_greedy_with_any_truncation() -> None:
    sampler = Sampler(SamplingParams(temperature=0, top_k=5, top_p=0.1, min_p=0.9))
    assert sampler.sample(LOGITS) == 2
    assert sampler.sample(np.zeros(4, np.float32)) == 0


def test_a_greedy_choice_takes_changes_of_logits_into_account() -> None:
    plain = Sampler(SamplingParams(temperature=0))
    repeated = Sampler(SamplingParams(temperature=0, repeat_penalty=100.0))
    biased = Sampler(SamplingParams(temperature=0, logit_bias={6: 100.0}))
    row = np.array([1.0, 3.0, 2.0, 0.5, 0.4, 0.3, 0.2], np.float32)
    assert [plain.sample(row.copy()) for _ in range(3)] == [1, 1, 1]
    assert [repeated.sample(row.copy()) for _ in range(3)] == [1, 2, 0]
    assert biased.sample(row.copy()) == 6


def test_all_tokens_of_a_long_text_are_recorded() -> None:
    seen: list[list[int]] = []

    def watch(tokens: NDArray[np.int32], logits: NDArray[np.float32]) -> None:
        seen.append(tokens.tolist())

    sampler = Sampler(SamplingParams(temperature=0, logits_processors=watch))
    for token in range(200):
        row = np.zeros(300, np.float32)
        row[token] = 1
        assert sampler.sample(row) == token
    assert seen[-1] == list(range(199))


@pytest.mark.parametrize(
    "options",
    [{"top_k": 1}, {"top_p": 0.0}, {"min_p": 1.0}, {"temperature": 1e-300}],
    ids=str,
)
def test_extreme_truncation_keeps_the_likeliest_token(options: dict[str, Any]) -> None:
    sampler = Sampler(SamplingParams(**options))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert {sampler.sample(LOGITS * 1e37) for _ in range(50)} == {2}
        assert {sampler.sample(LOGITS) for _ in range(50)} == {2}


def test_the_same_seed_draws_the_same_tokens() -> None:
    def draw(seed: int | None) -> list[int]:
        sampler = Sampler(SamplingParams(seed=seed, temperature=2.0))
        return [sampler.sample(LOGITS) for _ in range(40)]

    assert draw(5) == draw(5)
    assert draw(5) != draw(6)
    assert draw(None) != draw(None)
    assert draw(-1) != draw(-1)


def test_a_token_whose_logit_is_minus_infinity_is_never_drawn() -> None:
    logits = np.array([0.0, -np.inf, 0.0, -np.inf], np.float32)
    sampler = Sampler(SamplingParams(top_k=0, top_p=1.0, min_p=0.0, temperature=5.0))
    assert {sampler.sample(logits) for _ in range(200)} == {0, 2}


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_nan_and_infinite_logits_raise(value: float, temperature: float) -> None:
    logits = LOGITS.copy()
    logits[3] = value
    with pytest.raises(ModelOutputError, match="logits: .*found (nan|inf) for token 3"):
        Sampler(SamplingParams(temperature=temperature)).sample(logits)
    with pytest.raises(ModelOutputError, match="found -inf"):
        Sampler(SamplingParams()).sample(np.full(5, -np.inf, np.float32))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("max_tokens", [-1, 1.0, True, "5", math.nan]),
        ("temperature", [-0.1, math.nan, math.inf, 10**400, True, "hot", None, 1j]),
        ("top_k", [-1, 2.5, False, None]),
        ("top_p", [-0.1, 1.1, math.nan, "1"]),
        ("min_p", [-0.1, 1.1, math.nan, True]),
        ("seed", [-2, 2**64, 1.0, True]),
        ("stop", ["", ["a", ""], [1], 5, b"x", True]),
        ("dynatemp_range", [-1, math.inf, "1"]),
        ("typical_p", [-0.1, 1.1, math.nan]),
        ("top_n_sigma", [math.nan, math.inf, None]),
        ("xtc_probability", [-0.1, 1.1]),
        ("xtc_threshold", [-0.1, 1.1]),
        ("repeat_penalty", [0, -1, 1e-320, math.inf]),
        ("frequency_penalty", [math.nan, -math.inf, 1e38, "0"]),
        ("presence_penalty", [math.nan, -math.inf, True]),
        ("penalty_last_n", [-2, 0.5]),
        ("dry_multiplier", [-1, math.nan]),
        ("dry_base", [0, -1]),
        ("dry_allowed_length", [-1, 1.5]),
        ("dry_penalty_last_n", [-2, True]),
        ("dry_sequence_breakers", ["", [1], 7]),
        ("mirostat", [-1, 3, True, 1.0]),
        ("mirostat_tau", [-1, math.inf]),
        ("mirostat_eta", [-1, math.nan]),
        ("logit_bias", [5, [1], {"a": 1.0}, {-1: 1.0}, {1: math.nan}, {1: math.inf}]),
        ("logit_bias", [{1: 1e39}, (1, 2), ((1,),), ((1, 2.0, 3),)]),
        ("logits_processors", [5, [len, 5], "ab"]),
        ("include_stop", [1, None, "yes"]),
        ("logprobs", [-1, 101, True, 1.0]),
        ("prompt_logprobs", [-1, 101, "3"]),
    ],
)
def test_the_error_of_a_bad_option_names_it(name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(ArgumentError, match=f"^{name}: wanted .*, found ") as info:
            SamplingParams(**{name: value})
        assert isinstance(info.value, ValueError)


def test_an_unknown_option_is_refused_by_name() -> None:
    with pytest.raises(UnknownOptionError, match="^top_q: .*did you mean top_"):
        SamplingParams(**{"top_q": 1})  # type: ignore[arg-type]


def test_params_are_immutable_and_compare_by_value() -> None:
    half: Any = np.float32(0.5)
    three: Any = np.int64(3)
    params = SamplingParams(temperature=half, top_k=three, stop=["a"])
    assert params == SamplingParams(temperature=0.5, top_k=3, stop="a")
    assert hash(params) == hash(dataclasses.replace(params, seed=None))
    assert type(params.temperature) is float
    assert type(params.top_k) is int
    assert SamplingParams(stop=None).stop == ()
    with pytest.raises(dataclasses.FrozenInstanceError):
        params.top_k = 4  # type: ignore[misc]


def test_sampling_options_are_the_fields_of_sampling_params() -> None:
    fields = {field.name for field in dataclasses.fields(SamplingParams)}
    assert fields == SamplingOptions.__optional_keys__


def test_a_processor_may_keep_the_arrays_it_is_given_and_returns() -> None:
    kept: list[tuple[NDArray[np.int32], NDArray[np.float32]]] = []
    returned: list[NDArray[np.float32]] = []

    def keep(ids: NDArray[np.int32], logits: NDArray[np.float32]) -> None:
        kept.append((ids, logits))

    def halve(ids: NDArray[np.int32], logits: NDArray[np.float32]) -> Any:
        returned.append((logits / 2).astype(np.float32))
        return returned[-1]

    params = SamplingParams(
        temperature=0, logits_processors=[keep, halve], logit_bias={0: 9.0}
    )
    sampler = Sampler(params)
    rows = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)
    buffer = np.empty(8, np.float32)
    drawn = []
    for row in rows:
        buffer[:] = row
        drawn.append(sampler.sample(buffer))
    assert drawn == [0, 0, 0]
    for n, (ids, logits) in enumerate(kept):
        assert ids.tolist() == [0] * n
        assert np.array_equal(logits, rows[n])
        assert np.array_equal(returned[n], rows[n] / 2)


def test_suppressed_tokens_are_never_chosen_whatever_their_bias() -> None:
    for temperature in (0, 2):
        params = SamplingParams(
            temperature=temperature, seed=1, logit_bias={2: 50.0, 3: 50.0}
        )
        sampler = Sampler(params, suppressed={2, 3})
        drawn = {sampler.sample(LOGITS.copy()) for _ in range(200)}
        assert drawn and not drawn & {2, 3}


def test_tokens_suppressed_at_the_beginning_are_chosen_later() -> None:
    params = SamplingParams(temperature=0)
    sampler = Sampler(params, suppressed={3}, suppressed_first={2})
    sampler.accept([2, 2])
    assert [sampler.sample(LOGITS.copy()) for _ in range(3)] == [5, 2, 2]


def test_a_file_that_suppresses_all_tokens_is_named() -> None:
    sampler = Sampler(SamplingParams(), suppressed=range(len(LOGITS)))
    with pytest.raises(ModelOutputError, match="only those that the model's file"):
        sampler.sample(LOGITS.copy())
