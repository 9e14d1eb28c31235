"""Tokens in, pieces of text out."""

from __future__ import annotations

from typing import Any

import pytest

from llamacy.generation.output import Output
from llamacy.results import TokenLogprob
from llamacy.sampling import SamplingParams
from tests.support.scripted import N_VOCAB, Vocabulary


def output(tokenizer: Any = None, **options: Any) -> Output:
    return Output(SamplingParams(**options), tokenizer)


def push(one: Output, text: str) -> None:
    for token in Vocabulary.ids(text):
        one.push(token, None)


def test_a_piece_has_all_tokens_since_the_one_before() -> None:
    one = output(Vocabulary())
    assert one.piece() is None
    push(one, "ab")
    piece = one.piece()
    assert piece is not None
    assert (piece.text, piece.tokens) == ("ab", Vocabulary.ids("ab"))
    assert one.piece() is None
    assert one.text == "ab"


def test_text_is_held_back_until_it_is_sure() -> None:
    one = output(Vocabulary(), stop="STOP")
    push(one, "aST")
    piece = one.piece()
    assert piece is not None
    assert piece.text == "a"
    assert piece.tokens == Vocabulary.ids("aST")
    assert one.piece() is None
    one.flush()
    piece = one.piece()
    assert piece is not None
    assert (piece.text, piece.tokens) == ("ST", [])
    assert not one.is_stopped


def test_nothing_after_a_stop_string_is_text() -> None:
    one = output(Vocabulary(), stop="STOP")
    push(one, "aSTOPb")
    one.flush()
    piece = one.piece()
    assert piece is not None
    assert piece.text == "a"
    assert one.is_stopped


@pytest.mark.parametrize("tokenizer", [None, Vocabulary()])
def test_a_token_without_text_is_a_piece_only_without_a_tokenizer(
    tokenizer: Vocabulary | None,
) -> None:
    one = output(tokenizer)
    one.push(N_VOCAB - 1, None)
    piece = one.piece()
    assert (piece is None) is (tokenizer is not None)
    assert one.tokens == [N_VOCAB - 1]


def test_likelihoods_go_with_their_tokens() -> None:
    one = output(Vocabulary(), logprobs=0)
    likely = [TokenLogprob(token, -0.5) for token in Vocabulary.ids("ab")]
    one.push(likely[0].token, likely[0])
    first = one.piece()
    one.push(likely[1].token, likely[1])
    second = one.piece()
    assert first is not None
    assert second is not None
    assert (first.logprobs, second.logprobs) == (likely[:1], likely[1:])
    assert one.logprobs == likely


def test_the_last_tokens_without_text_are_a_piece_if_likelihoods_are_wanted() -> None:
    one = output(Vocabulary(), logprobs=0)
    silent = TokenLogprob(N_VOCAB - 1, -0.5)
    one.push(silent.token, silent)
    assert one.piece() is None
    one.flush()
    piece = one.piece()
    assert piece is not None
    assert (piece.text, piece.tokens, piece.logprobs) == ("", [silent.token], [silent])
    assert one.piece() is None
