"""Outlines constrains the texts of `llamacy.compat` by a logits processor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import pytest

from llamacy.compat.llama_cpp import Llama

pytest.importorskip("outlines")
pytest.importorskip("numba")

import outlines
from pydantic import BaseModel

pytestmark = pytest.mark.integrations

PROMPT = "The capital of France is"


class City(BaseModel):
    """The answer that the model has to write."""

    name: Literal["Paris", "Rome"]
    is_large: bool


@pytest.fixture(scope="module")
def llm(demo_path: str) -> Iterator[Llama]:
    with Llama(demo_path, n_ctx=256, verbose=False) as llm:
        yield llm


def test_a_text_is_the_llamas_own(llm: Llama) -> None:
    model = outlines.from_llamacpp(llm, chat_mode=False)
    options: dict[str, Any] = {"max_tokens": 8, "temperature": 0.0}
    wanted = llm(PROMPT, **options)["choices"][0]["text"]
    assert model(PROMPT, **options) == wanted
    assert "".join(model.stream(PROMPT, **options)) == wanted


def test_a_text_follows_a_choice_and_a_schema(llm: Llama) -> None:
    model = outlines.from_llamacpp(llm, chat_mode=False)
    options: dict[str, Any] = {"max_tokens": 60, "temperature": 0.0}
    assert model(PROMPT, Literal["Rome", "Oslo"], **options) in ("Rome", "Oslo")
    City.model_validate_json(model(PROMPT, City, **options))
