"""Conversations with a model through its Python methods."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import llamacy

OPTIONS: Any = {"max_tokens": 16, "temperature": 0, "logit_bias": {2: -1e9}}


@pytest.fixture(scope="module")
def model(babble_model: Path) -> Iterator[llamacy.Model]:
    with llamacy.load(babble_model) as model:
        yield model


def test_an_answer_continues_the_prompt(model: llamacy.Model) -> None:
    messages = [{"role": "user", "content": "bada"}]
    answer = model.chat(messages, **OPTIONS)
    ids = model.chat_prompt(messages)
    written = "<s>### User:\nbada\n### Model:\n"
    assert model.tokenizer.decode(ids, skip_special=False) == written
    assert answer.text == model.generate(ids, **OPTIONS).text
    assert answer.message == {"role": "assistant", "content": answer.text}
    assert (answer.n_dropped, answer.finish_reason) == (0, "length")
    assert repr(answer).startswith("ChatCompletion(")
    assert model.chat("bada", llamacy.SamplingParams(**OPTIONS)).text == answer.text


def test_the_next_turn_prefills_only_its_new_tokens(model: llamacy.Model) -> None:
    messages: list[Any] = [{"role": "user", "content": "bada bu " * 5}]
    for _ in range(3):
        answer = model.chat(messages, **OPTIONS)
        n_known = answer.usage.total_tokens - 1  # the last token was never read
        messages += [answer.message, {"role": "user", "content": "go on"}]
        assert model.chat_prompt(messages).count(2) == len(messages) // 2  # "</s>"
        usage = model.chat(messages, **OPTIONS).usage
        assert usage.cached_tokens >= n_known
        assert usage.prompt_tokens - usage.cached_tokens < 30


def test_a_stream_yields_the_same_answer_and_can_be_cancelled(
    model: llamacy.Model,
) -> None:
    whole = model.chat("bada", **OPTIONS)
    shares: list[float] = []
    with model.stream_chat("bada", progress=shares.append, **OPTIONS) as stream:
        text = "".join(piece.text for piece in stream)
    assert text == whole.text
    assert stream.completion.message == whole.message
    assert shares[-1] == 1.0
    cancel = threading.Event()
    with model.stream_chat("bada", cancel=cancel, logit_bias={2: -1e9}) as stream:
        next(stream)
        cancel.set()
        list(stream)
    assert stream.completion.finish_reason == "cancelled"


def test_an_answer_ends_at_the_end_token_and_at_the_formats_stop_strings(
    model: llamacy.Model,
) -> None:
    ended = model.chat("bada", max_tokens=16, logit_bias={2: 1e9})
    assert (ended.text, ended.finish_reason) == ("", "stop")
    prompt = model.chat_prompt("bada", chat_format="vicuna")
    user = iter(model.tokenize("USER: da", add_bos=False))
    forced = {"logits_processors": lambda ids, logits: force(next(user), logits)}
    answer = model.chat("bada", chat_format="vicuna", **OPTIONS | forced)
    assert (answer.text.strip(), answer.finish_reason) == ("", "stop")
    assert answer.usage.prompt_tokens == len(prompt)


def force(token: int, logits: Any) -> None:
    logits[token] = 1e9


def test_an_answer_says_how_many_messages_were_left_out(model: llamacy.Model) -> None:
    talk = [
        {"role": role, "content": "bada bu " * 4}
        for role in ["user", "assistant"] * 8 + ["user"]
    ]
    with pytest.raises(llamacy.ContextLengthError, match="of 256 tokens"):
        model.chat(talk, **OPTIONS)
    answer = model.chat(talk, overflow="truncate", **OPTIONS)
    assert answer.n_dropped > 0
    assert answer.n_dropped % 2 == 0
    assert len(answer.tokens) == 16
    with model.stream_chat(talk, overflow="truncate", **OPTIONS) as stream:
        list(stream)
    assert stream.completion.text == answer.text
    assert stream.completion.n_dropped == answer.n_dropped


def test_bad_options_missing_templates_and_closed_models_raise(
    model: llamacy.Model, base_model: Path
) -> None:
    with pytest.raises(llamacy.UnknownOptionError, match="^nonsense: unknown"):
        model.chat("bada", nonsense=1)  # type: ignore[call-overload]
    with pytest.raises(llamacy.ArgumentError, match="^temperature"):
        model.stream_chat("bada", temperature=-1)
    with llamacy.load(base_model) as base:
        for call in (base.chat, base.stream_chat, base.chat_prompt):
            with pytest.raises(llamacy.ChatTemplateError, match="alpaca, chatml"):
                call("bada")
        assert base.chat("bada", chat_format="gemma", **OPTIONS).tokens
    with pytest.raises(llamacy.ClosedError):
        base.chat("bada")
