"""A model's calls about its vocabulary."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import llamacy

MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is 12 + 30?"},
]


@pytest.fixture(scope="module")
def model() -> Iterator[llamacy.Model]:
    with llamacy.load("demo", n_ctx=100) as model:
        yield model


def test_a_text_has_the_tokens_that_tokenize_makes(model: llamacy.Model) -> None:
    text = "Once upon a time"
    assert model.count_tokens(text) == len(model.tokenize(text)) == 5


def test_messages_have_the_tokens_of_the_prompt(model: llamacy.Model) -> None:
    assert model.count_tokens(MESSAGES) == len(model.chat_prompt(MESSAGES))
    chatml = model.count_tokens(MESSAGES, chat_format="chatml")
    assert chatml == len(model.chat_prompt(MESSAGES, chat_format="chatml"))
    assert chatml != model.count_tokens(MESSAGES)


def test_messages_beyond_the_context_are_counted(model: llamacy.Model) -> None:
    talk = MESSAGES + [{"role": "assistant", "content": "42"}, MESSAGES[1]] * 10
    with pytest.raises(llamacy.ContextLengthError) as info:
        model.chat_prompt(talk)
    n_tokens = model.count_tokens(talk)
    assert n_tokens == info.value.n_tokens - 1  # which has room for an answer
    assert model.count_tokens(talk, overflow="truncate") == len(
        model.chat_prompt(talk, overflow="truncate")
    )


def test_bad_arguments_of_count_tokens_are_refused(
    model: llamacy.Model, base_model: Path
) -> None:
    with pytest.raises(llamacy.ArgumentError, match="^chat_format: wanted a list of"):
        model.count_tokens("Once", chat_format="chatml")
    with pytest.raises(llamacy.ArgumentError, match="^text: wanted a text, or a list"):
        model.count_tokens(None)  # type: ignore[arg-type]
    with pytest.raises(llamacy.ArgumentError, match="^overflow: wanted"):
        model.count_tokens(MESSAGES, overflow="forget")  # type: ignore[arg-type]
    with llamacy.load(base_model) as base, pytest.raises(llamacy.ChatTemplateError):
        base.count_tokens(MESSAGES)


def test_split_text_is_the_tokenizers(model: llamacy.Model) -> None:
    text = "Once upon a time. The end. " * 9
    assert model.split_text(text, 20) == model.tokenizer.split_text(text, 20)
    chunks = model.split_text(text, 20, overlap=5)
    assert chunks == model.tokenizer.split_text(text, 20, overlap=5)
    assert sum(map(len, chunks)) > len(text)
