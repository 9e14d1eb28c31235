"""Answers whose parts stand in messages or sections, as Solar Open's and Kimi K3's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import llamacy
from tests.support import random_model
from tests.support.puppet import insisting, saying
from tests.support.tool_templates import HERMES

TEMPLATE = """\
{%- if tools %}{{ '<|begin|>system<|content|>' }}{{ tools | tojson }}<|end|>{% endif %}
{%- for m in messages %}
{%- if m.reasoning %}{{ '<|begin|>assistant<|think|>' + m.reasoning + '<|end|>' }}
{%- endif %}
{%- if m.tool_calls %}{{ '<|begin|>assistant<|tool_calls|>' }}
{%- for call in m.tool_calls %}
{{- '<|tool_call:begin|>' + call.id + '<|tool_call:name|>' + call.function.name }}
{{- '<|tool_call:args|>' }}{{ call.function.arguments | tojson }}<|tool_call:end|>
{%- endfor %}<|calls|>
{%- else %}{{ '<|begin|>' + m.role + '<|content|>' + m.content + '<|end|>' }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{%- if brief %}{{ '<|begin|>assistant<|think|><|end|>' }}{% endif %}
{{- '<|begin|>assistant' }}{% endif %}"""
MARKS = (
    *("<|begin|>", "<|end|>", "<|think|>", "<|content|>", "<|tool_calls|>"),
    *("<|tool_call:begin|>", "<|tool_call:name|>", "<|tool_call:args|>"),
    *("<|calls|>", "<|flush|>"),  # which end answers, so that `<|end|>` does not
    *("<|tool_call:end|>", "<|open|>", "<|close|>", "<|sep|>"),
)
NEXT = "<|begin|>assistant"
CALL = (
    "<|tool_calls|><|tool_call:begin|>a1b2c3d4e5<|tool_call:name|>look"
    '<|tool_call:args|>{"city": "Paris"}<|tool_call:end|>'
)
LOOK: Any = {
    "name": "look",
    "description": "Look.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 6}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
SCHEMA = {"type": "object", "properties": {"n": {"enum": [1, 22]}}, "required": ["n"]}
ASKED = [{"role": "user", "content": "Look!"}]


@pytest.fixture(scope="module")
def puppet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[llamacy.Model]:
    """A model whose vocabulary has the marks."""
    path = tmp_path_factory.mktemp("puppet") / "model.gguf"
    random_model.write(
        str(path),
        chat_template=HERMES,
        marks=MARKS,
        n_ctx=4096,
        space_prefix=False,
    )
    with llamacy.load(path) as model:
        yield model


def ask(model: llamacy.Model, says: str, **options: Any) -> llamacy.ChatCompletion:
    answer: llamacy.ChatCompletion = model.chat(
        ASKED, chat_format=TEMPLATE, **saying(model, says), **options
    )
    return answer


@pytest.mark.parametrize(
    ("says", "reasoning", "text", "n_calls"),
    [
        ("<|content|>It is.<|end|>", "", "It is.", 0),
        (f"<|think|>So.<|end|>{NEXT}<|content|>It is.<|end|>", "So.", "It is.", 0),
        (f"<|think|>So.<|end|>{NEXT}{CALL}", "So.", "", 1),
        (f"<|content|>I look.<|end|>{NEXT}{CALL}", "", "I look.", 1),
        (CALL + CALL.removeprefix("<|tool_calls|>"), "", "", 2),
        ("It is.", "", "It is.", 0),
        ("<|think|>So", "So", "", 0),
    ],
)
def test_messages_are_told_apart(
    puppet: llamacy.Model, says: str, reasoning: str, text: str, n_calls: int
) -> None:
    answer = ask(puppet, says, tools=[LOOK])
    assert (answer.reasoning, answer.text, answer.bad_calls) == (reasoning, text, ())
    assert [call.arguments for call in answer.tool_calls] == [
        {"city": "Paris"}
    ] * n_calls
    if n_calls:
        assert answer.tool_calls[0].id == "a1b2c3d4e5"
    with puppet.stream_chat(
        ASKED, chat_format=TEMPLATE, tools=[LOOK], **saying(puppet, says)
    ) as stream:
        pieces = [piece for piece in stream]
    assert "".join(piece.text for piece in pieces) == text
    assert "".join(piece.reasoning for piece in pieces) == reasoning
    if not n_calls:  # without tools, too
        assert ask(puppet, says).text == text


def test_marks_in_the_arguments_of_calls_stay(puppet: llamacy.Model) -> None:
    answer = ask(puppet, CALL.replace("Paris", "<|end|>"), tools=[LOOK])
    assert answer.tool_calls[0].arguments == {"city": "<|end|>"}


@pytest.mark.parametrize("brief", [False, True])
@pytest.mark.parametrize("lead", ["", f"<|think|>So.<|end|>{NEXT}"])
def test_answers_and_calls_follow_their_forms(
    puppet: llamacy.Model, lead: str, brief: bool
) -> None:
    pytest.importorskip("llguidance")
    variables = {"brief": brief}

    def hold(says: str, **options: Any) -> llamacy.ChatCompletion:
        written: Any = {"chat_format": TEMPLATE, "template_arguments": variables}
        if "tools" in options:
            written["tools"] = options.pop("tools")
        options |= {"max_tokens": 200, **written}
        options |= insisting(puppet, ASKED, says, **written)
        answer: llamacy.ChatCompletion = puppet.chat(ASKED, **options)
        return answer

    answer = hold(f'{lead}<|content|>{{"n": 22}}', json_schema=SCHEMA)
    assert (answer.parsed, answer.text) == ({"n": 22}, '{"n": 22}')
    assert answer.reasoning == ("So." if lead else "")
    unwilling = f"{lead}<|content|>No." if lead else CALL  # else it may reason for long
    answer = hold(unwilling, tools=[LOOK], tool_choice="required")
    assert answer.finish_reason == "tool_calls"
    assert (answer.text, answer.bad_calls) == ("", ())
    assert all(len(call.arguments["city"]) <= 6 for call in answer.tool_calls)
    answer = hold(f"{lead}<|content|>No.", tools=[LOOK], strict_tools=True)
    assert (answer.text, answer.tool_calls) == ("No.", ())
    answer = hold(f"{lead}{CALL}", tools=[LOOK], strict_tools=True)
    assert [call.arguments for call in answer.tool_calls] == [{"city": "Paris"}]


def test_a_begun_answer_goes_on(puppet: llamacy.Model) -> None:
    pytest.importorskip("llguidance")
    begun = [*ASKED, {"role": "assistant", "content": '{"n": 2'}]
    answer = puppet.chat(
        begun, chat_format=TEMPLATE, json_schema=SCHEMA, temperature=0, max_tokens=20
    )
    assert answer.text == "2}"


K3_TEMPLATE = """\
{%- macro open_tag(tag) %}{{ '<|open|>' + tag + '<|sep|>' }}{% endmacro %}
{%- macro close_tag(tag) %}{{ '<|close|>' + tag + '<|sep|>' }}{% endmacro %}
{{- tools }}{% for m in messages %}
{{- open_tag('message') + (m.content or '') + close_tag('message') }}{% endfor %}
{#- open_tag('tools') -#}
{% if add_generation_prompt %}
{{- open_tag('message') + (open_tag('think') if thinking else open_tag('response')) }}
{%- endif %}"""
K3_CALL = (
    '<|open|>tools<|sep|><|open|>call tool="look" index="1"<|sep|>'
    '<|open|>argument key="city" type="string"<|sep|>5<|close|>argument<|sep|>'
    "<|close|>call<|sep|><|close|>tools<|sep|>"
)


@pytest.mark.parametrize("thinking", [False, True])
def test_sections_are_told_apart(puppet: llamacy.Model, thinking: bool) -> None:
    lead = "So.<|close|>think<|sep|><|open|>response<|sep|>" if thinking else ""
    ends = "<|close|>response<|sep|>"
    written: Any = {
        "chat_format": K3_TEMPLATE,
        "template_arguments": {"thinking": thinking},
        "tools": [LOOK],
    }

    def said(says: str, **options: Any) -> llamacy.ChatCompletion:
        options |= {"max_tokens": 300}
        if options.keys() & {"json_schema", "tool_choice", "strict_tools"}:
            options |= insisting(puppet, ASKED, says, **written)
        else:
            options |= saying(puppet, says)
        answer: llamacy.ChatCompletion = puppet.chat(ASKED, **written, **options)
        assert answer.reasoning == ("So." if thinking else "")
        assert answer.bad_calls == ()
        return answer

    answer = said(f"{lead}I look.{ends}{K3_CALL}<|close|>message<|sep|>")
    assert answer.text == "I look."
    assert [call.arguments for call in answer.tool_calls] == [{"city": "5"}]
    assert said(f"{lead}It is.{ends}<|close|>message<|sep|>").text == "It is."
    pytest.importorskip("llguidance")
    answer = said(f'{lead}{{"n": 22}}', json_schema=SCHEMA)
    assert answer.parsed == {"n": 22}
    for choice in ({"tool_choice": "required"}, {"strict_tools": True}):
        answer = said(f"{lead}{ends}{K3_CALL}", **choice)
        assert answer.text == ""
        assert [call.arguments for call in answer.tool_calls] == [{"city": "5"}]
    answer = said(f"{lead}It is.", strict_tools=True)
    assert (answer.text, answer.tool_calls) == ("It is.", ())
