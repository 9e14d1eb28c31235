"""Calls of all kinds, each with options of its own, share a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import llamacy
from llamacy.model.mixed_calls import (
    AnswerCall,
    Call,
    EmbeddingCall,
    TextCall,
    each_call,
)

GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": 3}
SUM = [{"role": "user", "content": "What is 12 + 30?"}]


def test_each_call_has_its_own_outcome() -> None:
    refused = llamacy.ArgumentError("no call")
    long = "word " * 99_999
    calls: list[Call | llamacy.LlamacyError] = [
        AnswerCall(SUM, [GREEDY, {**GREEDY, "max_tokens": 1}]),
        EmbeddingCall(["one", "two"], {"dimensions": 4}),
        refused,
        TextCall(["Once", [1, 5]], [{**GREEDY, "max_tokens": 2}] * 2),
        TextCall([long], [GREEDY]),
        TextCall(["Once"], [{"temprature": 1}]),
        AnswerCall([{"role": "user", "content": long}], [GREEDY]),
        EmbeddingCall([long], {}),
        EmbeddingCall([long], {"truncate": True}),
    ]
    with llamacy.load("demo", n_threads=1) as model:
        with each_call(model, calls) as each:
            found: Any = [outcome for _, outcome in sorted(each, key=lambda it: it[0])]
        whole, short = found[0]
        assert (whole.text, short.finish_reason) == ("42", "length")
        wanted = model.embed(["one", "two"], dimensions=4)
        np.testing.assert_array_equal(found[1], wanted)
        assert str(found[2]) == "no call"
        texts = [
            model.generate(prompt, **GREEDY | {"max_tokens": 2})
            for prompt in ("Once", [1, 5])
        ]
        assert [one.text for one in found[3]] == [
            *[texts[0].text] * 2,
            *[texts[1].text] * 2,
        ]
        for index in (4, 6, 7):
            assert isinstance(found[index], llamacy.ContextLengthError)
            assert found[index].n_ctx == model.n_ctx
        assert isinstance(found[5], llamacy.UnknownOptionError)
        assert found[8].cut_counts[0] > 0


def test_markup_of_a_text_is_only_read_where_it_is_asked_for() -> None:
    with llamacy.load("demo", n_threads=1) as model:
        calls = [
            TextCall(["</s>"], [GREEDY], has_marks=marks) for marks in (True, False)
        ]
        with each_call(model, calls) as each:
            found: Any = [outcome for _, outcome in sorted(each, key=lambda it: it[0])]
    marked, plain = (texts[0].usage.prompt_tokens for texts in found)
    assert marked < plain


def test_a_closed_model_ends_them_all() -> None:
    model = llamacy.load("demo", n_threads=1)
    each = each_call(model, [TextCall(["Once"], [GREEDY])])
    model.close()
    with pytest.raises(llamacy.ClosedError):
        list(each)
