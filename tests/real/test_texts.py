"""Texts of real models: prompts as transformers renders them, llama.cpp's answers."""

from __future__ import annotations

from typing import Any

import pytest

from llamacy.kernels.levels import Level
from tests.support.real_models import EachLevel, in_group

pytestmark = pytest.mark.real

smollm2_only = pytest.mark.parametrize("name", [in_group("SmolLM2")], indirect=True)


def test_likely_continuations_are_those_of_llama_cpp(
    name: str, level: Level, each_level: EachLevel, vectors: Any
) -> None:
    model = each_level[level.name]
    for case in vectors["models"][name]["greedy"]:
        done = model.generate(case["prompt"], max_tokens=32, temperature=0)
        assert done.text == case["text"]


@smollm2_only
def test_likely_answers_are_those_of_llama_cpp(
    level: Level, each_level: EachLevel, vectors: Any
) -> None:
    model = each_level[level.name]
    for case in vectors["chat"]["answers"]:
        done = model.chat(case["question"], max_tokens=32, temperature=0)
        assert done.text == case["text"]


@smollm2_only
def test_prompts_of_conversations_are_those_of_transformers(
    each_level: EachLevel, vectors: Any
) -> None:
    model = next(iter(each_level.values()))
    for case in vectors["chat"]["renderings"]:
        ids = model.chat_prompt(case["messages"])
        assert model.tokenizer.decode(ids, skip_special=False) == case["text"]
        # marks that somebody types are no marks here
        assert (ids == case["ids"]) != case.get("marked", False)
