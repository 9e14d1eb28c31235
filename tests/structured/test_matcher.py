"""Masks and forced tokens, over real vocabularies and the demo model's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import llamacy
from llamacy.sampling import Sampler, SamplingParams
from llamacy.structured.compiling import Compiler, compiler_of
from llamacy.structured.matcher import Matcher
from llamacy.structured.options import schema_form
from llamacy.tokenizers.base import Tokenizer
from tests.support.structured import (
    constraint,
    demo_compiler,
    demo_tokenizer,
    follows,
    form,
)

pytest.importorskip("llguidance")

N_VOCAB = 2560  # of the demo model
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}


@pytest.fixture(scope="module", params=["demo", "llama-bpe", "llama-spm"])
def tokenizer(request: pytest.FixtureRequest) -> Iterator[Tokenizer]:
    if request.param == "demo":
        yield demo_tokenizer()
        return
    shared: Path = request.getfixturevalue("shared")
    yield llamacy.load_tokenizer(shared / f"tokenizers/{request.param}.gguf")


@pytest.fixture(scope="module")
def compiler(tokenizer: Tokenizer) -> Compiler:
    return compiler_of(tokenizer, tokenizer.n_vocab)


def allowed(matcher: Matcher, n_vocab: int = N_VOCAB) -> list[int]:
    logits = np.zeros(n_vocab, np.float32)
    matcher.allow(logits)
    return [int(token) for token in np.flatnonzero(np.isfinite(logits))]


TEXTS = [
    "hello world, this is a test",
    "The quick brown fox\njumped over 12345 lazy dogs.",
    "caf\u00e9 na\u00efve \u4f60\u597d \U0001f600",
    "<think>so</think> <|im_end|> </s>",
    'def f(x):\n\treturn x  # \\ and "quotes"',
]


@pytest.mark.parametrize("text", TEXTS)
def test_forced_tokens_are_those_of_the_tokenizer(
    tokenizer: Tokenizer, compiler: Compiler, text: str
) -> None:
    matcher = compiler.constraint(schema_form("json_schema", {"const": text}, False))
    forced = matcher.forced()
    written = json.dumps(text, ensure_ascii=False)
    assert b"".join(map(tokenizer.token_bytes, forced)).decode() == written
    assert not compiler.vocabulary.special.keys() & set(forced)
    if "<" not in text:  # whose names of tokens the tokenizer takes for tokens
        assert forced == tokenizer.encode(written, add_bos=False, continues=True)
    for token in forced:
        assert allowed(matcher, tokenizer.n_vocab) == [token]
        matcher.accept(token)
    assert matcher.is_over
    assert matcher.is_complete


def test_forced_tokens_do_not_cut_what_may_go_on(compiler: Compiler) -> None:
    """The end of a forced text may be one token with the text that follows."""
    matcher = compiler.constraint(form(json_schema=PERSON))
    text = b"".join(
        compiler.vocabulary.trie.decode_bytes([token]) for token in matcher.forced()
    ).decode()
    assert '{"name": "'.startswith(text)
    assert text.startswith('{"name')


def test_no_special_token_is_allowed_inside_a_string(
    tokenizer: Tokenizer, compiler: Compiler
) -> None:
    matcher = compiler.constraint(schema_form("json_schema", {"type": "string"}, False))
    assert not matcher.accept_text('"a')
    found = set(allowed(matcher, tokenizer.n_vocab))
    assert not found & compiler.vocabulary.special.keys()
    assert all(tokenizer.token_bytes(token) for token in found)
    assert len(found) > tokenizer.n_vocab // 4


def test_tokens_that_end_a_text_are_allowed_just_where_it_is_complete(
    tokenizer: Tokenizer, compiler: Compiler
) -> None:
    matcher = compiler.constraint(form(regex="a(bc)?"))
    for text, is_complete, is_over in (
        ("", False, False),
        ("a", True, False),
        ("b", False, False),
        ("c", True, True),
    ):
        assert not matcher.accept_text(text)
        ends = tokenizer.eog_ids.intersection(allowed(matcher, tokenizer.n_vocab))
        assert (matcher.is_complete, matcher.is_over) == (is_complete, is_over)
        assert ends == (tokenizer.eog_ids if is_complete else set())


def test_padding_of_the_logits_is_never_allowed() -> None:
    tokenizer = demo_tokenizer()
    compiler = compiler_of(tokenizer, tokenizer.n_vocab + 64)
    for text in ("", "a" * 40):  # few tokens may follow the first, many the second
        matcher = compiler.constraint(form(regex="a{40}(?s:.)*"))
        matcher.accept_text(text)
        found = allowed(matcher, tokenizer.n_vocab + 64)
        assert found
        assert max(found) < tokenizer.n_vocab
        assert matcher.n_allowed([found[-1], tokenizer.n_vocab, found[-1]]) == 1


def test_a_key_cannot_be_spelt_anew_by_escapes() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "additionalProperties": {"type": "string"},
    }
    matcher = constraint(schema)
    assert follows(matcher, '{"a": 1, "b": "x"}')
    assert not follows(matcher, r'{"\u0061": "x"}')
    assert not follows(matcher, '{"a": "x"}')


def check_each_alone(mask: list[int], *matchers: tuple[Matcher, int]) -> None:
    """Check which tokens matchers take after `n` others, with a mask and without."""
    some = {*mask[:50], *range(0, N_VOCAB, 29), *demo_tokenizer().eog_ids}
    ending = demo_tokenizer().eog_ids
    for matcher, n in matchers:
        for token in some:
            assert matcher.takes(token) == (token in mask)
            if token in mask and token not in ending:
                matcher.truncate(n)


@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_a_constraint_can_go_back_to_each_token_and_fork_there(data: Any) -> None:
    schema = {"type": "array", "items": {"enum": ["ab", "abc", 1, 12, None]}}
    matcher = constraint({**schema, "maxItems": 4})
    twin = constraint({**schema, "maxItems": 4})
    masks, tokens = [allowed(matcher)], list[int]()
    while len(tokens) < 12:
        choice = [one for one in masks[-1] if one not in demo_tokenizer().eog_ids]
        if not choice:
            break
        tokens.append(data.draw(st.sampled_from(choice)))
        n = len(tokens) - 1
        check_each_alone(masks[-1], (twin, n), (matcher, n))
        assert matcher.n_allowed([*tokens[-1:], 0]) == 1
        matcher.accept(tokens[-1])
        twin.accept(tokens[-1])
        matcher.prepare()
        masks.append(allowed(matcher))
    n = data.draw(st.integers(0, len(tokens)))
    other = matcher.fork()
    matcher.truncate(n)
    assert allowed(matcher) == masks[n]
    assert allowed(other) == masks[-1]
    assert matcher.n_allowed(tokens[n:]) == len(tokens) - n
    n_more, forced = matcher.foresee([*tokens[n:], 0])
    assert n_more == len(tokens) - n
    if n_more:
        assert forced == other.forced()
    assert allowed(matcher) == masks[n]
    for token, mask in zip(tokens[n:], masks[n + 1 :], strict=True):
        matcher.accept(token)
        assert allowed(matcher) == mask


def test_the_share_of_each_allowed_token_is_the_models_own() -> None:
    random = np.random.default_rng(5)
    row: NDArray[np.float32] = random.normal(0, 1.5, N_VOCAB).astype(np.float32)
    matcher = demo_compiler().constraint(form(regex="[a-m ]|or|and|the|12"))
    ids = allowed(matcher)
    assert 10 < len(ids) < 40
    weights = np.exp(row[ids].astype(np.float64))
    n_draws = 4000
    wanted = n_draws * weights / weights.sum()
    params = SamplingParams(top_k=0, top_p=1, min_p=0, temperature=1, seed=3)
    sampler, counts = Sampler(params), dict.fromkeys(ids, 0)
    for _ in range(n_draws):
        logits = row.copy()
        matcher.allow(logits)
        counts[sampler.sample(logits)] += 1
    found = np.array([counts[token] for token in ids])
    chi_square = float(((found - wanted) ** 2 / wanted).sum())
    n_free = len(ids) - 1
    assert abs(chi_square - n_free) < 4 * np.sqrt(2 * n_free)
