"""The entries of conversations, and the templates that write them."""

from __future__ import annotations

from pathlib import Path

import pytest

import llamacy
from llamacy.integrations.messages import has_chat_template, takes_tools
from tests.support import random_model, tool_templates

PLAIN = "{# knows no tools #}{{ messages[0].content }}"
NAMED = {"name": "tool_use", "template": tool_templates.HERMES}


@pytest.mark.parametrize(
    ("templates", "is_taken"),
    [
        ([{"name": "default", "template": PLAIN}], False),
        ([{"name": "default", "template": PLAIN}, NAMED], True),
        ([NAMED], True),
    ],
)
def test_template_for_tools_may_be_one_with_a_name(
    tmp_path: Path, templates: list[dict[str, str]], is_taken: bool
) -> None:
    path = tmp_path / "model.gguf"
    random_model.write(str(path), chat_template=templates)
    with llamacy.load(path) as model:
        assert has_chat_template(model)
        assert takes_tools(model) == is_taken
        assert not takes_tools(model, "chatml")
        assert takes_tools(model, tool_templates.HERMES)
