"""Many conversations in one call of a model."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sized
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pytest

import llamacy
from llamacy.model.model import Model

GREEDY: Any = {"temperature": 0}


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with llamacy.load("demo", n_threads=1, n_ctx=128) as model:
        yield model


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


SUM, SMALL = "What is 12 + 30?", "What is 3 + 4?"
SEVERAL: dict[str, Any] = {
    "lists": [[user(SUM)], [user(SMALL)]],
    "texts": [SUM, SMALL],
    "mixed": ([user(SUM)], SMALL),
    "array": np.array([SUM, SMALL], object),
}


@pytest.mark.parametrize("form", SEVERAL)
def test_conversations_are_answered_together(model: Model, form: str) -> None:
    several = SEVERAL[form]
    assert [one.text for one in model.chat(several, **GREEDY)] == ["42", "7"]
    found = asyncio.run(model.achat(iter(several), **GREEDY))
    assert [one.text for one in found] == ["42", "7"]
    each = model.chat_each(iter(several), **GREEDY)
    assert [answer.text for _, answer in sorted(each)] == ["42", "7"]


def test_messages_are_one_conversation(model: Model) -> None:
    messages: list[dict[str, Any]] = [
        user(SUM),
        {"role": "assistant", "content": "42"},
        user(SMALL),
    ]
    answer = model.chat(messages, temperature=0)
    assert_type(answer, llamacy.ChatCompletion)
    assert answer.text == model.chat(tuple(messages), **GREEDY).text == "7"
    none: Any = []
    assert model.chat(none) == asyncio.run(model.achat(none)) == []


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([5], r"^messages\[0\]: wanted a dict, found 5"),
        ([user("a"), "b"], r"^messages\[1\]: wanted a dict, found 'b'"),
        (user("a"), "^messages: wanted a list of dicts, or text, .* found a dict"),
        (b"a", "^messages: wanted a list of dicts, or text, found b'a'"),
        (["a", [{"role": 1}]], r"^conversations\[1\]: messages\[0\]\['role'\]: wanted"),
        (["a", []], r"^conversations\[1\]: messages: wanted at least one, found none"),
        (["a", None], r"^conversations\[1\]: messages: wanted a list of dicts"),
    ],
)
def test_bad_conversations_are_named(model: Model, messages: Any, message: str) -> None:
    with pytest.raises(llamacy.ArgumentError, match=message):
        model.chat(messages)


def test_errors_are_returned_in_their_places(model: Model) -> None:
    long = "word " * 200
    talk: list[str | list[dict[str, Any]]] = [SUM, long, [{"role": 1}], SMALL]
    answers = model.chat(talk, on_error="return", temperature=0)
    assert_type(answers, list[llamacy.ChatCompletion | llamacy.LlamacyError])
    assert [type(one).__name__ for one in answers] == [
        "ChatCompletion",
        "ContextLengthError",
        "ArgumentError",
        "ChatCompletion",
    ]
    each = model.chat_each(talk, on_error="return", **GREEDY)
    found = dict(iter(each))
    assert {index: str(one) for index, one in found.items()} == {
        index: str(one) for index, one in enumerate(answers)
    }
    fails = "{% if messages[0].content == 'no' %}{{ raise_exception('no') }}{% endif %}"
    yes, no = model.chat(
        ["yes", "no"], chat_format=fails + "x", on_error="return", max_tokens=1
    )
    assert isinstance(yes, llamacy.ChatCompletion)
    assert isinstance(no, llamacy.ChatTemplateError)
    assert str(no).startswith("conversations[1]: ")


def test_an_error_that_all_conversations_share_is_raised_at_once(
    model: Model, base_model: Path
) -> None:
    bad: Any
    for bad in ({"overflow": "no"}, {"tools": 5}, {"temperature": -1}, {"cancel": 5}):
        for call in (model.chat, model.chat_each):
            with pytest.raises(llamacy.ArgumentError) as info:
                call([SUM, SMALL], on_error="return", **bad)
            assert info.value.index is None
    with llamacy.load(base_model) as base:
        with pytest.raises(llamacy.ChatTemplateError, match="alpaca, chatml"):
            base.chat([SUM, SMALL], on_error="return")
    one: Any
    for one in (SUM, [user(SUM)]):
        with pytest.raises(llamacy.ArgumentError, match="^conversations: wanted an it"):
            model.chat_each(one)


def test_ctrl_c_keeps_the_answers(model: Model) -> None:
    interrupted = threading.Event()

    def interrupt(share: float) -> None:
        if share > 0.25:
            interrupted.set()
            raise KeyboardInterrupt

    def hold(ids: Sized, logits: object) -> None:
        if len(ids) > 50:
            assert interrupted.wait(10)

    endless: Any = {"logit_bias": {2: -1e9}, "progress": interrupt}
    endless["logits_processors"] = hold
    with pytest.raises(llamacy.Interrupted) as one:
        model.chat(SUM, **endless)
    answer = one.value.completion
    assert isinstance(answer, llamacy.ChatCompletion)
    assert answer.finish_reason == "cancelled"
    assert answer.text.startswith("42")
    interrupted.clear()
    with pytest.raises(llamacy.Interrupted) as both:
        model.chat([SUM, SMALL], **endless)
    assert [one.message["role"] for one in both.value.completion] == ["assistant"] * 2


def test_a_stream_that_was_interrupted_has_the_answer_so_far(model: Model) -> None:
    stream = model.stream_chat(SUM, logit_bias={2: -1e9}, max_tokens=60)
    shown = ""
    with pytest.raises(KeyboardInterrupt), stream:
        for piece in stream:
            shown += piece.text
            if len(shown) > 10:
                raise KeyboardInterrupt
    assert stream.completion.text == shown
    assert stream.completion.finish_reason == "cancelled"
    assert stream.completion.message["content"] == stream.completion.text
