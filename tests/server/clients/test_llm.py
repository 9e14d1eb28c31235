"""Datasette's llm, unmodified: the server as an extra model of OpenAI's kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("llm")
pytest.importorskip("llamacy.server", exc_type=ImportError)

pytestmark = pytest.mark.server

CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2}}\n</tool_call>'


@pytest.fixture
def model(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    import llm

    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: here\n  model_name: puppet\n  api_base: {url}/v1\n"
        "  supports_tools: true\n"
    )
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path))
    found = llm.get_model("here")
    found.key = "k"
    return found


def test_a_prompt_is_answered_whole_and_streamed(model: Any) -> None:
    for stream in (True, False):
        response = model.prompt("say It is sunny.", system="Be kind.", stream=stream)
        assert response.text() == "It is sunny."
        assert response.usage().output > 0


def test_a_tool_is_called_and_its_result_told(model: Any) -> None:
    def add(a: int, b: int) -> str:
        """Add two numbers."""
        return str(a + b)

    assert model.chain(f"say {CALL}", tools=[add]).text() == "The tool said 3"
