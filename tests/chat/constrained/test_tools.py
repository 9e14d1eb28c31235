"""Tool calls under constraints: required ones, named ones, and valid arguments."""

from __future__ import annotations

from typing import Any

import pytest

import llamacy
from tests.chat.reply.test_known_styles import FAMILIES
from tests.support.puppet import insisting
from tests.support.tool_templates import HARMONY, HERMES, TEMPLATES

pytest.importorskip("llguidance")

LOOK: Any = {
    "name": "look",
    "description": "Look.",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 6},
            "n": {"type": "integer", "minimum": 0, "maximum": 9},
            "kind": {"enum": ["new", "old", "no/ne"]},
            "deep": {"$ref": "#/$defs/Deep"},
        },
        "required": ["city", "kind", "deep"],
        "$defs": {
            "Deep": {
                "type": "object",
                "properties": {
                    "a": {
                        "type": "array",
                        "items": {"enum": [True, None, "x", 1.5]},
                        "maxItems": 2,
                    }
                },
                "required": ["a"],
                "additionalProperties": False,
            }
        },
        "additionalProperties": False,
    },
}
TIME: Any = {
    "name": "time",
    "description": "Tell the time.",
    "parameters": {"type": "object", "properties": {}},
}
BAD: Any = {
    "name": "bad",
    "description": "Bad.",
    "parameters": {"properties": {"a": {"not": {"type": "null"}}}},
}
FUNCTIONARY = "{{ tools }}{{ messages[0].content }}>>>all{# #}"


def is_look(arguments: dict[str, Any]) -> bool:
    keys = list(arguments)
    return (
        keys in (["city", "n", "kind", "deep"], ["city", "kind", "deep"])
        and len(arguments["city"]) <= 6
        and arguments.get("n", 0) in range(10)
        and arguments["kind"] in ("new", "old", "no/ne")
        and list(arguments["deep"]) == ["a"]
        and all(item in (True, None, "x", 1.5) for item in arguments["deep"]["a"])
    )


def is_valid(call: llamacy.ToolCall) -> bool:
    return is_look(call.arguments) if call.name == "look" else call.arguments == {}


def template_of(family: str) -> str:
    if family in TEMPLATES:
        return TEMPLATES[family]
    if family == "functionary 3.2":
        return "{{ tools }}{{ messages[0].content }}\n>>>{# >>>all #}"
    return (
        f"{{# {FAMILIES[family][0]} #}}{{{{ tools }}}}{{{{ messages[0].content }}}}\n"
    )


def of_k3(key: str, kind: str, value: str) -> str:
    opening = f'<|open|>argument key="{key}" type="{kind}"<|sep|>'
    return f"{opening}{value}<|close|>argument<|sep|>"


LONG = {
    "hunyuan 3": FAMILIES["hunyuan 3"][1],
    "kimi k3": "<|close|>response<|sep|><|open|>tools<|sep|>"
    '<|open|>call tool="look" index="1"<|sep|>'
    + of_k3("city", "string", "Rome")
    + of_k3("n", "number", "3")
    + of_k3("kind", "string", "new")
    + of_k3("deep", "object", '{"a": [1.5]}')
    + "<|close|>call<|sep|><|close|>tools<|sep|>",
}
"""Answers of families whose marks are long."""

ENFORCED = [
    *FAMILIES,
    *(f"{name}" for name in TEMPLATES if name not in FAMILIES),
    "functionary 3.2",
]


def ask(
    puppet: Any, family: str, *, says: str | None = None, **options: Any
) -> llamacy.ChatCompletion:
    given = {"tools": [LOOK, TIME], "max_tokens": 400, "seed": 1, "temperature": 1.5}
    given |= {"chat_format": template_of(family)} | options
    if says is not None:
        prompt = {name: given[name] for name in ("tools", "chat_format")}
        given |= insisting(puppet, "Look!", says, **prompt)
    answer: llamacy.ChatCompletion = puppet.chat("Look!", **given)
    return answer


@pytest.mark.parametrize("family", ENFORCED)
def test_a_required_call_has_valid_arguments(
    puppet: llamacy.Model, family: str
) -> None:
    (think,) = puppet.tokenize("<think>", add_bos=False, parse_special=True)
    options: Any = {"logit_bias": {think: -1e4}, "max_tokens": 2000}
    if family == "harmony":
        options["says"] = "<|channel|>commentary to=functions."
    if family in LONG:  # many calls would be cut off
        options["says"] = LONG[family]
    names = set()
    for seed in range(3):
        answer = ask(puppet, family, tool_choice="required", seed=seed, **options)
        assert answer.finish_reason == "tool_calls", answer
        assert (answer.text, answer.bad_calls) == ("", ())
        assert all(is_valid(call) for call in answer.tool_calls), answer.tool_calls
        names |= {call.name for call in answer.tool_calls}
    assert names
    for name in ("look", "time"):
        answer = ask(puppet, family, tool_choice=name, **options)
        assert [call.name for call in answer.tool_calls] == [name]
        assert is_valid(answer.tool_calls[0])


# text, a call, more text
FREE = [
    "hermes",
    "coder",
    "minimax",
    "glm",
    "lfm 2",
    "kimi",
    "nemotron",
    "deepseek 3.2",
    "command r plus",
    "gemma 4",
    "minimax 3",
    "hunyuan 3",
    "solar open",
    "firefunction",
]


@pytest.mark.parametrize("family", FREE)
def test_strict_tools_leave_text_free_and_arguments_valid(
    puppet: llamacy.Model, family: str
) -> None:
    _, said = FAMILIES[family]
    opening = said[: said.index("look")]
    options: Any = {"strict_tools": True, "max_tokens": 2000}
    answer = ask(puppet, family, says=f"I look.\n{opening}", **options)
    assert answer.text.startswith("I look.")
    assert answer.bad_calls == ()
    assert answer.tool_calls
    assert all(is_valid(call) for call in answer.tool_calls)
    answer = ask(puppet, family, says="I will not.", **options)
    assert (answer.text, answer.finish_reason) == ("I will not.", "stop")


def test_marks_spelt_in_letters_are_no_way_out(puppet: llamacy.Model) -> None:
    """Neither a spelt mark nor a call without marks is read as a call."""
    bare = '{"name": "look", "arguments": {"x": 1}}'
    answer = ask(puppet, "hermes", strict_tools=True, says=bare)
    assert (answer.text, answer.tool_calls) == (bare, ())
    spelt = f"<tool\u2581_call>{bare}".replace("\u2581", "")

    def say(given: Any, logits: Any) -> None:
        n_said = len(given) - n_prompt
        logits[3 + ord(spelt[n_said]) if n_said < len(spelt) else 2] = 1e9

    n_prompt = len(puppet.chat_prompt("Look!", tools=[LOOK], chat_format=HERMES))
    answer = puppet.chat(
        "Look!",
        tools=[LOOK],
        strict_tools=True,
        chat_format=HERMES,
        temperature=0,
        max_tokens=120,
        logits_processors=say,
    )
    assert all(is_valid(call) for call in answer.tool_calls)
    assert "<tool_call>" not in answer.text


def test_reasoning_comes_before_a_required_call(puppet: llamacy.Model) -> None:
    says = "<think>\nHm, <tool_call>?\n</think>\n\n<tool_call>"
    answer = ask(puppet, "hermes", tool_choice="time", says=says, chat_format=HERMES)
    assert answer.reasoning.startswith("Hm, ")
    assert [(call.name, call.arguments) for call in answer.tool_calls] == [("time", {})]


@pytest.mark.parametrize(
    "family", ["hermes", "llama 3.1", "gpt-oss", "functionary 3.2"]
)
def test_an_answer_may_follow_a_form_or_call_a_tool(
    puppet: llamacy.Model, family: str
) -> None:
    template = HARMONY if family == "gpt-oss" else template_of(family)
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
    options: Any = {
        "tools": [LOOK, TIME],
        "json_schema": schema | {"required": ["ok"]},
        "chat_format": template,
        "max_tokens": 300,
        "temperature": 3,
        "top_k": 0,
        "top_p": 1,
        "min_p": 0,
    }
    n_calls = 0
    for seed in range(6):
        answer = puppet.chat("Look!", seed=seed, strict_tools=True, **options)
        if answer.finish_reason == "length":
            continue  # it reasons
        n_calls += bool(answer.tool_calls)
        assert all(is_valid(call) for call in answer.tool_calls)
        if not answer.tool_calls:
            assert answer.parsed["ok"] in (True, False)


def test_one_bad_tool_is_disabled_and_the_others_are_not(
    puppet: llamacy.Model, caplog: pytest.LogCaptureFixture
) -> None:
    answer = ask(puppet, "hermes", tools=[BAD, LOOK, TIME], tool_choice="required")
    assert {call.name for call in answer.tool_calls} <= {"look", "time"}
    (reason,) = answer.disabled_tools
    assert reason.startswith("tools['bad']: #/properties/a/not: wanted")
    assert reason in caplog.text
    for choice, tools in (("bad", [BAD, LOOK]), ("required", [BAD])):
        with pytest.raises(llamacy.ConstraintError, match=r"^tools\['bad'\]: #/prop"):
            ask(puppet, "hermes", tools=tools, tool_choice=choice)
    free = ask(puppet, "hermes", tools=[BAD, LOOK], max_tokens=3)
    assert free.disabled_tools == ()


def test_a_tool_says_itself_whether_it_is_strict(puppet: llamacy.Model) -> None:
    tools = [{**LOOK, "strict": True}, {**BAD, "name": "any"}]
    says = '<tool_call>\n{"name": "any", "arguments": {"a": null}}\n</tool_call>'
    answer = ask(puppet, "hermes", tools=tools, says=says)
    assert [call.arguments for call in answer.tool_calls] == [{"a": None}]
    assert answer.disabled_tools == ()
    says = '<tool_call>\n{"name": "look", "arguments": {"a": null}}\n</tool_call>'
    answer = ask(puppet, "hermes", tools=tools, says=says)
    assert [is_valid(call) for call in answer.tool_calls] == [True]


def test_text_in_tags_is_held_to_rules_or_its_tool_is_disabled(
    puppet: llamacy.Model,
) -> None:
    def tool(name: str, **schema: Any) -> Any:
        parameters = {"properties": {"a": schema}, "required": ["a"]}
        return {"name": name, "description": name, "parameters": parameters}

    tools = [
        tool("free", type="string"),
        tool("maybe", anyOf=[{"type": "string"}, {"type": "null"}]),
        tool("some", type="string", minLength=1, maxLength=3),
        tool("one", const="x y"),
        tool("pattern", type="string", pattern="^a[b-z]{0,3}$"),
        tool("mixed", anyOf=[{"type": "string", "maxLength": 3}, {"type": "null"}]),
        tool("uuid", type="string", format="uuid"),
        tool("joined", allOf=[{"type": "string"}, {"maxLength": 3}]),
        tool("long", type="string", maxLength=100_000),
        tool("named", **{"$ref": "#a", "$defs": {"b": {"$anchor": "a", "const": "z"}}}),
        tool("never", **{"$ref": "#/properties/a/$defs/b", "$defs": {"b": False}}),
        tool("many", type="array", items={"type": "string", "pattern": "^a$"}),
    ]
    answer = ask(puppet, "coder", tools=tools, tool_choice="required", max_tokens=3)
    assert [reason.partition(":")[0] for reason in answer.disabled_tools] == [
        "tools['uuid']",
        "tools['joined']",
        "tools['never']",
    ]
    assert "a format that calls can be held to" in answer.disabled_tools[0]
    assert "which tags cannot hold it to" in answer.disabled_tools[1]
    answer = ask(puppet, "coder", tools=tools, tool_choice="pattern")
    assert answer.tool_calls[0].arguments["a"].startswith("a")
    answer = ask(puppet, "coder", tools=tools, tool_choice="mixed")
    assert len(answer.tool_calls[0].arguments["a"] or "") <= 3
    answer = ask(puppet, "coder", tools=tools, tool_choice="some")
    assert 1 <= len(answer.tool_calls[0].arguments["a"]) <= 3
    for name, text in (("one", "x y"), ("named", "z")):
        answer = ask(puppet, "coder", tools=tools, tool_choice=name)
        assert answer.tool_calls[0].arguments == {"a": text}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tool_choice": "sing"}, "tool_choice: wanted one of auto, .* look, .*'sing'"),
        ({"tool_choice": 3}, "tool_choice: wanted one of"),
        ({"tool_choice": "required", "tools": []}, "tool_choice: wanted tools for"),
        (
            {"tool_choice": "required", "regex": "a"},
            "regex: wanted no form of",
        ),
        ({"strict_tools": "yes"}, "strict_tools: wanted True or False"),
    ],
    ids=str,
)
def test_bad_choices_are_refused(
    puppet: llamacy.Model, options: Any, message: str
) -> None:
    with pytest.raises(llamacy.ArgumentError, match=message):
        ask(puppet, "hermes", **options)


def test_choices_in_openais_shape_and_none(puppet: llamacy.Model) -> None:
    named = {"type": "function", "function": {"name": "time"}}
    answer = ask(puppet, "hermes", tool_choice=named)
    assert [call.name for call in answer.tool_calls] == ["time"]
    options: Any = {"tools": [LOOK], "chat_format": template_of("hermes")}
    without = puppet.chat_prompt("Look!", chat_format=options["chat_format"])
    assert puppet.chat_prompt("Look!", tool_choice="none", **options) == without
    assert puppet.chat_prompt("Look!", tool_choice="auto", **options) != without


def test_keys_of_a_schema_need_not_be_texts(puppet: llamacy.Model) -> None:
    properties = {1: {"const": "x"}}
    tools = [{**TIME, "parameters": {"properties": properties, "required": ["1"]}}]
    answer = ask(puppet, "coder", tools=tools, tool_choice="required")
    assert answer.tool_calls[0].arguments == {"1": "x"}


def test_any_is_a_word_unless_a_tool_has_that_name(puppet: llamacy.Model) -> None:
    for choice in ("any", "required"):
        answer = ask(puppet, "hermes", tools=[TIME], tool_choice=choice)
        assert {call.name for call in answer.tool_calls} == {"time"}
    tools = [TIME, {**TIME, "name": "any"}]
    answer = ask(puppet, "hermes", tools=tools, tool_choice="any")
    assert [call.name for call in answer.tool_calls] == ["any"]
    assert ask(puppet, "hermes", tools=tools, tool_choice="required").tool_calls


@pytest.mark.parametrize("family", ["llama 3.1", "llama 3.2", "plain json"])
def test_where_calls_are_bare_json_an_answer_is_one_call_or_text(
    puppet: llamacy.Model, family: str
) -> None:
    options: Any = {"strict_tools": True, "max_tokens": 900}
    call = '{"name": "look", "parameters": {"city": 1}}'
    answer = ask(puppet, family, says=call, **options)
    assert [is_valid(one) for one in answer.tool_calls] == [True]
    for says in (
        f"I look.\n{call}",
        f"I look.\n\n```json\n{call}\n```",
        "No [look].",
        "",
    ):
        answer = ask(puppet, family, says=says, **options)
        assert (answer.text, answer.tool_calls) == (says, ())
        assert answer.finish_reason == "stop"
    for says in (f" {call}", f"[{call}]", f"```json\n{call}\n```", f"\x1c{call}"):
        answer = ask(puppet, family, says=says, **options)
        assert all(is_valid(one) for one in answer.tool_calls)
    spelt = "<|python_tag\u2581|>".replace("\u2581", "") + call
    answer = ask(puppet, family, says=f"I look.\n{spelt}", **options)
    assert all(is_valid(one) for one in answer.tool_calls)


@pytest.mark.parametrize("family", ["minicpm", "functionary"])
def test_a_template_that_marks_no_calls_cannot_be_strict_about_them(
    puppet: llamacy.Model, family: str
) -> None:
    with pytest.raises(llamacy.ConstraintError, match='use tool_choice="required"'):
        ask(puppet, family, strict_tools=True)
