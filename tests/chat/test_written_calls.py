"""Past tool calls in prompts whose templates leave them out."""

from __future__ import annotations

import json
from typing import Any

import pytest

import llamacy
from llamacy.chat.reply.known_styles import tool_call_style
from llamacy.chat.reply.reading import ReplyReader
from llamacy.chat.reply.style import ReplyStyle
from llamacy.chat.written_calls import with_written_calls

ARGUMENTS: Any = {"city": "R\"o'mé\n", "n": 3, "deep": {"a": [True, None, -1.5, "x"]}}
CONTENT = "{% for m in messages %}{{ m.role }}:{{ m.content }}<|im_end|>{% endfor %}"
WRITTEN = "{% for c in m.tool_calls or [] %}{{ c.function.name }}{% endfor %}"
TEMPLATES = {
    "lfm 2": "{# <|tool_call_start|> #}" + CONTENT,
    "granite 3": "{# <|tool_call|> #}" + CONTENT,
    "phi 4": "{# <|tool_call|> <|/tool_call|> #}" + CONTENT,
}


def talk(content: Any = "So. ", arguments: Any = ARGUMENTS) -> list[dict[str, Any]]:
    calls = [
        {"id": "a", "type": "function", "function": {"name": name, "arguments": given}}
        for name, given in (("look", arguments), ("time", {}))
    ]
    return [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": content, "tool_calls": calls},
    ]


@pytest.mark.parametrize("family", TEMPLATES)
def test_calls_that_a_template_leaves_out_are_written_as_the_model_does(
    family: str,
) -> None:
    template = TEMPLATES[family]
    *_, said = with_written_calls(template, talk(), lambda _: False)
    style = tool_call_style(template, {}, lambda _: False)
    reader = ReplyReader(ReplyStyle(tool_calls=style, names=("look", "time")))
    reply = reader.whole(said["content"])
    calls = [(call.name, call.arguments) for call in reply.tool_calls]
    assert calls == [("look", ARGUMENTS), ("time", {})]
    assert reply.text.strip() == "So."
    in_parts = talk([{"type": "text", "text": "So. "}])
    *_, parted = with_written_calls(template, in_parts, lambda _: False)
    assert "".join(part["text"] for part in parted["content"]) == said["content"]


@pytest.mark.parametrize(
    "template", [TEMPLATES["lfm 2"].replace("<|im_end|>", WRITTEN), CONTENT]
)
def test_calls_are_the_templates_to_write_where_it_does_or_nothing_is_known(
    template: str,
) -> None:
    assert with_written_calls(template, talk(), lambda _: False) == talk()


def test_arguments_of_a_written_call_end_no_turn(puppet: llamacy.Model) -> None:
    given = json.dumps({"city": "<|im_end|>"})
    form = {"chat_format": TEMPLATES["granite 3"]}
    messages = [*talk(arguments=given), {"role": "user", "content": "b"}]
    ids = puppet.chat_prompt(messages, **form)  # type: ignore[arg-type]
    (end,) = puppet.tokenize("<|im_end|>", add_bos=False, parse_special=True)
    assert list(ids).count(end) == 3
    text = puppet.tokenizer.decode(ids, skip_special=False)
    assert '[{"name": "look", "arguments": {"city": "<|im_end|>"}}' in text
