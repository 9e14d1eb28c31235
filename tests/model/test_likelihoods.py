"""Likelihoods of tokens and texts come with the words that they are of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import llamacy

FRANCE = "The capital of France is"


@pytest.fixture(scope="module")
def model() -> Iterator[llamacy.Model]:
    with llamacy.load("demo") as model:
        yield model


def test_logprobs_have_the_texts_of_their_tokens(model: llamacy.Model) -> None:
    done = model.generate(FRANCE, temperature=0, logprobs=2, prompt_logprobs=1)
    assert done.logprobs is not None
    assert done.prompt_logprobs is not None
    assert "".join(one.text for one in done.logprobs) == done.text == " Paris"
    for one in done.logprobs:
        assert one.top_texts[0] == one.text  # the likeliest token was taken
        assert len(one.top_texts) == len(one.top) == 2
    none, *others = done.prompt_logprobs
    assert none is None
    assert "".join(one.text for one in others if one) == FRANCE
    with model.session() as session:
        again = session.generate(FRANCE, temperature=0, logprobs=0).logprobs
    assert [one.text for one in again or ()] == [one.text for one in done.logprobs]
    with model.stream_chat("What is 12 + 30?", temperature=0, logprobs=0) as stream:
        pieces = [one for piece in stream for one in piece.logprobs or ()]
    assert "".join(one.text for one in pieces).strip() == "42"


def test_a_score_has_the_texts_of_its_tokens(model: llamacy.Model) -> None:
    score = model.score(FRANCE)
    assert score.texts == ["<s>", "The", *score.texts[2:]]
    assert "".join(score.texts) == f"<s>{FRANCE}"
    assert len(score.texts) == len(score.tokens) == len(score.logprobs)


def test_score_returns_errors_in_their_places_and_tells_progress(
    model: llamacy.Model,
) -> None:
    shares: list[float] = []
    texts: Any = [FRANCE, [-1]]
    results: Any = model.score(texts, on_error="return", progress=shares.append)
    right, wrong = results
    assert isinstance(right, llamacy.Score)
    assert isinstance(wrong, llamacy.ArgumentError)
    assert wrong.index == 1
    assert shares[-1] == 1.0
