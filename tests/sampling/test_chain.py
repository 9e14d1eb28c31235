"""Each sampler of the chain against a plain implementation of its definition."""

from __future__ import annotations

import itertools
import math
import tracemalloc
import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from llamacy.errors import ArgumentError
from llamacy.sampling import Sampler, SamplingParams
from llamacy.sampling.drawing import draw
from llamacy.sampling.dry import Dry
from llamacy.sampling.logprobs import token_logprob

OFF: dict[str, Any] = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "temperature": 1.0}
Row = NDArray[np.float32]


def row(seed: int = 0, n: int = 50) -> Row:
    return np.random.default_rng(seed).normal(0, 2, n).astype(np.float32)


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    weights = np.exp(logits.astype(np.float64) - logits.max())
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def frequencies(
    logits: Row, n_draws: int = 4000, prompt: tuple[int, ...] = (), **options: Any
) -> NDArray[np.float64]:
    """Return how often each token is drawn first after `prompt`."""
    drawn = Counter[int]()
    sampler = Sampler(SamplingParams(seed=3, **(OFF | options)))
    sampler.accept(prompt)
    before = sampler._tokens._n
    for _ in range(n_draws):
        drawn[sampler.sample(logits.copy())] += 1
        sampler._tokens._n = before  # forget the token just drawn
    return np.array([drawn[token] for token in range(len(logits))]) / n_draws


def assert_drawn_from(
    found: NDArray[np.float64], wanted: NDArray[np.float64], n_draws: int = 4000
) -> None:
    """Check by a chi-square test; tokens that are rarely drawn count as one."""
    assert not found[wanted == 0].any()
    rare = wanted * n_draws < 5
    pairs = [*zip(found[~rare], wanted[~rare], strict=True)]
    pairs.append((found[rare].sum(), wanted[rare].sum()))
    statistic = sum(n_draws * (f - w) ** 2 / w for f, w in pairs if w > 0)
    freedom = max(len(pairs) - 1, 1)
    assert statistic <= freedom + 5 * math.sqrt(2 * freedom)


def only(logits: Row, kept: NDArray[Any]) -> NDArray[np.float64]:
    """Return the probabilities if only tokens in the mask `kept` may be drawn."""
    return softmax(np.where(kept, logits, -np.inf))


@pytest.mark.parametrize("n", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("top_k", [0, 5])
def test_top_n_sigma_keeps_logits_near_the_largest(n: float, top_k: int) -> None:
    logits = row()
    kept = logits >= logits.max() - n * logits.astype(np.float64).std()
    if top_k:
        kept &= logits >= np.sort(logits)[-top_k]
    found = frequencies(logits, top_n_sigma=n, top_k=top_k)
    assert_drawn_from(found, only(logits, kept))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("top_k", [0, 20])
def test_typical_p_keeps_tokens_of_expected_surprise(share: float, top_k: int) -> None:
    logits = row(1)
    among = logits >= np.sort(logits)[-top_k] if top_k else np.ones(50, bool)
    p = only(logits, among)
    surprise = -np.log(np.where(p > 0, p, 1))
    distance = np.where(among, abs(surprise - (p * surprise).sum()), np.inf)
    kept, total = np.zeros(50, bool), 0.0
    for token in np.argsort(distance):
        kept[token] = True
        total += p[token]
        if total > share:
            break
    assert_drawn_from(
        frequencies(logits, typical_p=share, top_k=top_k), only(logits, kept)
    )


@pytest.mark.parametrize("threshold", [0.02, 0.1, 0.4, 0.6])
@pytest.mark.parametrize("chance", [0.3, 1.0])
def test_xtc_sometimes_drops_the_likeliest_tokens(
    threshold: float, chance: float
) -> None:
    logits = row(2)
    p = softmax(logits)
    top = np.flatnonzero(p >= threshold)
    kept = np.ones(50, bool)
    if threshold <= 0.5 and len(top) > 1:
        kept[top] = False
        kept[top[p[top].argmin()]] = True
    wanted = chance * only(logits, kept) + (1 - chance) * p
    options: dict[str, Any] = {"xtc_threshold": threshold, "xtc_probability": chance}
    assert_drawn_from(frequencies(logits, **options), wanted)


def test_temperature_0_takes_the_likeliest_typical_token() -> None:
    # the expected surprise is near that of the 20 equal tokens, not of the likeliest
    logits = np.array([2.0, *[0.1] * 20, 0.2], np.float32)
    found = frequencies(logits, 5, temperature=0, typical_p=0.2)
    assert found.argmax() == 21


def test_temperature_0_takes_the_likeliest_token_that_xtc_leaves() -> None:
    logits = np.array([3.0, 2.9, 2.8, 0.0], np.float32)
    found = frequencies(
        logits, 50, temperature=0, xtc_threshold=0.2, xtc_probability=1.0
    )
    assert found.tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize(("spread", "exponent"), [(0.5, 1.0), (2.0, 0.5), (0.8, 3.0)])
def test_dynamic_temperature_rises_with_entropy(spread: float, exponent: float) -> None:
    logits = row(3)
    p = softmax(logits)
    height = (-(p * np.log(p)).sum() / math.log(50)) ** exponent
    low = max(0.0, 1.0 - spread)
    temperature = low + (1.0 + spread - low) * height
    found = frequencies(logits, dynatemp_range=spread, dynatemp_exponent=exponent)
    assert_drawn_from(found, softmax(logits / temperature))


@pytest.mark.parametrize("last_n", [-1, 0, 3, 64])
def test_penalties_lower_the_logits_of_recent_tokens(last_n: int) -> None:
    logits, prompt = row(4), (3, 7, 7, 9, 3, 7, 11)
    options: dict[str, Any] = {
        "repeat_penalty": 1.3,
        "frequency_penalty": 0.4,
        "presence_penalty": 0.7,
    }
    wanted = logits.astype(np.float64)
    window = {-1: prompt, 0: (), 3: prompt[-3:], 64: prompt}[last_n]
    for token, count in Counter(window).items():
        wanted[token] *= 1.3 if wanted[token] <= 0 else 1 / 1.3
        wanted[token] -= count * 0.4 + 0.7
    found = frequencies(logits, prompt=prompt, penalty_last_n=last_n, **options)
    assert_drawn_from(found, softmax(wanted))


def test_generated_tokens_are_penalised_too() -> None:
    params = SamplingParams(temperature=0, presence_penalty=100.0)
    sampler = Sampler(params)
    drawn = [sampler.sample(row()) for _ in range(20)]
    assert drawn == np.argsort(-row(), kind="stable")[:20].tolist()


class Words:
    """A vocabulary whose tokens are given words."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.n_vocab = len(words)

    def token_bytes(self, token: int) -> bytes:
        return self.words[token].encode()

    def encode(self, text: str, *, add_bos: bool, continues: bool) -> list[int]:
        assert continues
        assert not add_bos
        return [self.words.index(letter) for letter in text]


def penalties(tokens: list[int], words: Words | None, **options: Any) -> Row:
    """Return what DRY subtracts from each logit."""
    logits = np.zeros(12, np.float32)
    params = SamplingParams(dry_multiplier=1.0, dry_base=2.0, **options)
    Dry(params, words).penalise(logits, np.array(tokens, np.int32))
    return -logits


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=40), st.integers(0, 4), st.integers(-1, 20))
def test_dry_finds_the_longest_repetitions(
    tokens: list[int], allowed: int, last_n: int
) -> None:
    window = tokens if last_n < 0 else tokens[len(tokens) - min(last_n, len(tokens)) :]
    wanted = np.zeros(12)
    for at in range(1, len(window)):
        length = 0
        while length < at and window[at - 1 - length] == window[-1 - length]:
            length += 1
        if length >= max(allowed, 1):
            token = window[at]
            wanted[token] = max(wanted[token], 2.0 ** (length - allowed))
    found = penalties(
        tokens, None, dry_allowed_length=allowed, dry_penalty_last_n=last_n
    )
    np.testing.assert_allclose(found, wanted)


def test_dry_does_not_reach_across_breakers() -> None:
    words = Words("a", "b", "c", "\n", "x:", "e", "n", "d", "!e", "END")
    a, b, c, line, colon = range(5)
    plain = [a, b, c, a, b]
    assert penalties(plain, words)[c] == 1.0
    for breaker in (line, colon):  # the breaker ":" is part of the token "x:"
        assert not penalties([a, b, c, breaker, a, b, c, a, breaker], words).any()
        found = penalties([c, breaker, a, b, c, breaker, a, b], words)
        assert found[c] == 1.0  # only the two tokens since the breaker count
    # the breaker itself is never penalised
    assert not penalties([a, b, line, a, b], words).any()
    e, n, d, bang_e = 5, 6, 7, 8
    for ending in ([e, n, d], [bang_e, n, d]):  # a breaker of several tokens
        text = [a, b, c, *ending, a, b]
        found = penalties(text, words, dry_sequence_breakers="end")
        assert found[c] == 1.0
        found = penalties(
            [a, *ending, b, c, a, *ending], words, dry_sequence_breakers="end"
        )
        assert not found.any()


def test_the_chain_applies_dry() -> None:
    sampler = Sampler(SamplingParams(temperature=0, dry_multiplier=5.0))
    sampler.accept([1, 2, 3, 1, 2])
    logits = np.zeros(5, np.float32)
    logits[3], logits[4] = 2.0, 1.0
    assert sampler.sample(logits) == 4


@pytest.mark.parametrize("tau", [1.0, 3.0])
@pytest.mark.parametrize("version", [1, 2])
def test_mirostat_keeps_the_surprise_near_its_target(version: int, tau: float) -> None:
    logits = (-1.2 * np.log(np.arange(1, 5001))).astype(np.float32)
    p = softmax(logits)
    params = SamplingParams(
        mirostat=version, mirostat_tau=tau, temperature=1.0, seed=1, top_k=1
    )
    sampler = Sampler(params)
    drawn = [sampler.sample(logits.copy()) for _ in range(1500)]
    surprise = -np.log2(p[drawn])[300:].mean()
    # Mirostat measures surprise among the remaining tokens, where it is a little lower
    assert tau - 0.3 < surprise < tau + 2
    assert len(set(drawn)) > 2


def test_mirostat_2_follows_the_papers_formulas() -> None:
    logits, tau, eta = row(6, 30), 2.0, 0.5
    params = SamplingParams(
        mirostat=2, mirostat_tau=tau, mirostat_eta=eta, temperature=0.7, seed=9
    )
    sampler, uniform = Sampler(params), np.random.default_rng([9, 0])
    p, mu = softmax(logits / 0.7), 2 * tau
    for _ in range(60):
        kept = np.flatnonzero(-np.log2(p) <= mu)
        kept = kept if len(kept) else np.array([p.argmax()])
        q = p[kept] / p[kept].sum()
        token = int(kept[np.searchsorted(q.cumsum(), uniform.random(), "right")])
        assert sampler.sample(logits.copy()) == token
        mu -= eta * (-np.log2(q[kept == token])[0] - tau)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_biases_are_added_to_logits_and_may_ban_tokens(version: int) -> None:
    logits = row(5, 6)
    bias = {0: 1.5, 3: -math.inf, 5: -2.0}
    changed = logits.copy()
    for token, value in bias.items():
        changed[token] += value
    found = frequencies(logits, logit_bias=bias, mirostat=version, mirostat_tau=99.0)
    assert_drawn_from(found, softmax(changed))


def test_processors_run_in_order_and_see_the_tokens() -> None:
    seen: list[tuple[list[int], float]] = []

    def first(ids: NDArray[np.int32], logits: Row) -> None:
        seen.append((ids.tolist(), float(logits[0])))
        with pytest.raises(ValueError, match="read-only"):
            ids[0] = 1
        logits[:] = 0
        logits[0] = 7

    def second(ids: NDArray[np.int32], logits: Row) -> Row:
        seen.append((ids.tolist(), float(logits[0])))
        changed = logits.copy()
        changed[2] = 9
        return changed

    params = SamplingParams(temperature=0, logits_processors=[first, second])
    sampler = Sampler(params)
    sampler.accept([4, 5])
    start = float(row()[0])
    assert [sampler.sample(row()) for _ in range(2)] == [2, 2]
    assert seen == [
        ([4, 5], start),
        ([4, 5], 7.0),
        ([4, 5, 2], start),
        ([4, 5, 2], 7.0),
    ]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (np.zeros(3, np.float32), r"of shape \(50,\) .*found \(3,\)"),
        ([1.0] * 50, "or None"),
        (np.full(50, -np.inf, np.float32), "wanted a finite logit"),
        (np.full(50, np.nan, np.float32), "found nan"),
    ],
)
def test_the_result_of_a_processor_is_checked(result: Any, message: str) -> None:
    params = SamplingParams(logits_processors=lambda ids, logits: result)
    with pytest.raises(ArgumentError, match=message):
        Sampler(params).sample(row())


def test_samples_with_one_seed_differ_but_are_reproducible() -> None:
    def draw(offset: int) -> list[int]:
        sampler = Sampler(SamplingParams(seed=5, **OFF), seed_offset=offset)
        return [sampler.sample(row()) for _ in range(30)]

    draws = [draw(offset) for offset in range(4)]
    assert all(a != b for a, b in itertools.combinations(draws, 2))
    assert draw(2) == draws[2]


EVERYTHING: dict[str, Any] = {
    "dynatemp_range": 0.3,
    "typical_p": 0.9,
    "top_n_sigma": 2.0,
    "xtc_probability": 0.5,
    "repeat_penalty": 1.1,
    "dry_multiplier": 0.8,
    "logit_bias": {0: -1.0},
}


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize("extreme", [1e-30, 1e29])
def test_extreme_options_give_a_token_that_is_allowed(
    version: int, extreme: float
) -> None:
    names = (
        "temperature dynatemp_range dynatemp_exponent repeat_penalty frequency_penalty "
        "presence_penalty top_n_sigma dry_multiplier dry_base mirostat_tau mirostat_eta"
    ).split()
    rng = np.random.default_rng(0)
    for _ in range(100):
        options: Any = dict.fromkeys(rng.choice(names, 3).tolist(), extreme)
        allowed = int(rng.integers(4))
        options["logit_bias"] = {i: -math.inf for i in range(4) if i != allowed}
        sampler = Sampler(SamplingParams(mirostat=version, **options))
        sampler.accept([0, 1, 2, 3] * 3)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(3):
                assert sampler.sample(row()[:4] * 100) == allowed


@pytest.mark.parametrize("n", [1, 2, 39, 41, 1000])
@pytest.mark.parametrize("scale", [0.0, 1e-30, 1.0, 1e36])
@pytest.mark.parametrize("options", [{}, OFF, EVERYTHING, OFF | EVERYTHING], ids=len)
def test_any_logits_give_a_token(n: int, scale: float, options: Any) -> None:
    for version in (0, 1, 2):
        sampler = Sampler(SamplingParams(seed=1, mirostat=version, **options))
        for seed in range(5):
            logits = row(seed, n) * np.float32(scale)
            logits[1::3] = -np.inf
            token = sampler.sample(logits.copy())
            assert 0 <= token < n
            assert logits[token] > -np.inf


@pytest.mark.parametrize("k", [0, 1, 5, 100])
def test_logprobs_are_the_logarithms_of_softmax(k: int) -> None:
    logits = row(7, 20000)
    wanted = np.log(softmax(logits))
    found = token_logprob(logits, 17, k)
    assert found.token == 17
    assert found.logprob == pytest.approx(wanted[17], abs=1e-5)
    best = np.argsort(-logits, kind="stable")[:k].tolist()
    assert [token for token, _ in found.top] == best
    assert [value for _, value in found.top] == pytest.approx(wanted[best], abs=1e-5)


@pytest.mark.parametrize(
    "options", [{}, {"repeat_penalty": 1.1, "dry_multiplier": 0.5}], ids=len
)
def test_sampling_allocates_nothing_as_large_as_the_vocabulary(options: Any) -> None:
    logits = row(8, 131072)
    sampler = Sampler(SamplingParams(**options))
    sampler.accept(range(500))
    sampler.sample(logits)
    tracemalloc.start()
    sampler.sample(logits)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 * 1024


@settings(deadline=None)
@given(st.integers(2, 600), st.integers(1, 300), st.integers(0, 2**32 - 1), st.data())
def test_the_usual_chain_draws_the_same_in_c_and_in_numpy(
    n: int, top_k: int, seed: int, data: st.DataObject
) -> None:
    logits = row(seed, n)
    if data.draw(st.booleans(), "ties"):
        logits = np.round(logits)
    if data.draw(st.booleans(), "some are never drawn"):
        logits[1::2] = -np.inf
    params = SamplingParams(
        top_k=top_k,
        top_p=data.draw(st.sampled_from([1.0, 0.95, 0.5, 0.0])),
        min_p=data.draw(st.sampled_from([0.0, 0.05, 0.5, 1.0])),
        temperature=data.draw(st.sampled_from([1e-6, 0.3, 0.8, 3.0])),
        seed=seed,
    )
    fast, plain = Sampler(params), Sampler(params)
    plain._has_usual_chain = False
    for _ in range(5):
        assert fast.sample(logits.copy()) == plain.sample(logits.copy())


@pytest.mark.parametrize("options", [{"top_k": 1}, {"top_k": 0}, {"temperature": 0}])
@pytest.mark.parametrize("penalty", [1e30, 1e-30])
def test_penalties_that_leave_no_finite_logit_are_an_error(
    options: Any, penalty: float
) -> None:
    logits = np.array([1e9, 2e9], np.float32) * (-1 if penalty > 1 else 1)
    sampler = Sampler(SamplingParams(repeat_penalty=penalty, **options))
    sampler.accept([0, 1])
    with pytest.raises(ArgumentError, match="penalties: wanted a finite"):
        sampler.sample(logits)


@pytest.mark.parametrize("value", [-np.inf, np.inf, np.nan])
def test_nothing_is_drawn_from_logits_of_which_none_is_finite(value: float) -> None:
    with pytest.raises(ValueError, match="wanted a finite one"):
        draw(np.full(5, value, np.float32), 3, 0.9, 0.1, 0.8, 0.5)
