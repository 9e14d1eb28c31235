"""Answers in the classes of the package openai, which Instructor reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from llamacy.compat.llama_cpp import Llama

pytest.importorskip("openai")

from openai.types.chat import ChatCompletion, ChatCompletionChunk

if TYPE_CHECKING:
    from tests.integrations.compat.conftest import Told

pytestmark = pytest.mark.integrations

MESSAGES = [{"role": "user", "content": "bada"}]


@pytest.fixture(scope="module")
def llm(puppet_path: str) -> Iterator[Llama]:
    with Llama(puppet_path, n_ctx=0) as llm:
        yield llm


def test_an_answer_is_an_object_of_openai(llm: Llama, told: Told) -> None:
    create: Any = llm.create_chat_completion_openai_v1
    answer = create(MESSAGES, **told(llm, "It is sunny."))
    assert isinstance(answer, ChatCompletion)
    assert answer.choices[0].message.content == "It is sunny."
    chunks = list(create(MESSAGES, stream=True, **told(llm, "It is sunny.")))
    assert all(isinstance(chunk, ChatCompletionChunk) for chunk in chunks)
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert "".join(texts) == "It is sunny."


def test_instructor_reads_json_in_an_answer(llm: Llama, told: Told) -> None:
    instructor: Any = pytest.importorskip("instructor")
    from pydantic import create_model

    city = create_model("City", name=(str, ...))
    create = instructor.patch(
        create=llm.create_chat_completion_openai_v1, mode=instructor.Mode.MD_JSON
    )
    options = told(llm, '```json\n{"name": "Köln"}\n```')
    found = create(messages=MESSAGES, response_model=city, **options)
    assert found.name == "Köln"
