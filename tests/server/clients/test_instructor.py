"""instructor, unmodified: validated answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

instructor = pytest.importorskip("instructor")
openai = pytest.importorskip("openai")
pytest.importorskip("llamacy.server", exc_type=ImportError)

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client:
        yield client


def test_json_in_an_answer_is_validated(client: Any) -> None:
    asking = instructor.from_openai(client, mode=instructor.Mode.MD_JSON)
    told = 'say ```json\n{"name": "Köln"}\n```'
    messages = [{"role": "user", "content": told}]
    from pydantic import create_model

    city = create_model("City", name=(str, ...))
    found = asking.chat.completions.create(
        model="puppet", messages=messages, response_model=city, max_retries=1
    )
    assert found.name == "Köln"


def test_the_usual_mode_demands_a_call(client: Any) -> None:
    from pydantic import create_model

    city = create_model("City", name=(str, ...))
    told = '{"name": "City", "arguments": {"name": "Köln"}}'
    messages = [{"role": "user", "content": f"say <tool_call>\n{told}\n</tool_call>"}]
    found = instructor.from_openai(client).chat.completions.create(
        model="puppet", messages=messages, response_model=city, max_retries=1
    )
    assert found.name == "Köln"
