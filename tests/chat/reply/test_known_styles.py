"""Which way of writing calls a template stands for, and calls in each of them."""

from __future__ import annotations

import re
from typing import Any

import pytest

import llamacy
from llamacy.chat.reply.known_styles import tool_call_style
from llamacy.chat.reply.reading import Reply, ReplyReader
from llamacy.chat.reply.schema_types import parameter_types
from llamacy.chat.reply.style import ReplyStyle
from llamacy.chat.reply.tool_call_minimax import MARK
from tests.support.puppet import saying
from tests.support.tool_templates import TEMPLATES

ARGUMENTS: Any = {"city": 'Ro"me', "n": 3, "deep": {"a": [True, None, -1.5]}}
JSON = '{"city": "Ro\\"me", "n": 3, "deep": {"a": [true, null, -1.5]}}'
PYTHON = "{'a': [True, None, -1.5]}"
DEEP = '{"a": [true, null, -1.5]}'
TOOL: Any = {
    "function": {
        "name": "look",
        "parameters": {
            "properties": {
                "city": {"type": "string"},
                "n": {"type": "integer"},
                "deep": {"$ref": "#/$defs/Deep"},
            },
            "$defs": {"Deep": {"type": "object"}},
        },
    }
}
CALL = f'{{"name": "look", "arguments": {JSON}}}'
DSML = "｜DSML｜"


def tags(function: str, parameter: str, end: str, *, deep: str = DEEP) -> str:
    """Write the call in tags; `parameter` has places for name and value."""
    values = {"city": 'Ro"me', "n": "3", "deep": deep}
    return "\n".join([function, *(parameter.format(*x) for x in values.items()), end])


CODER = tags("<function=look>", "<parameter={}>\n{}\n</parameter>", "</function>")
SEED = tags("<function=look>", "<parameter={}>{}</parameter>", "</function>")
INVOKE = tags(
    '<invoke name="look">', '<parameter name="{}">{}</parameter>', "</invoke>"
)
DEEPSEEK = tags(
    f'<{DSML}invoke name="look">',
    f'<{DSML}parameter name="{{}}">{{}}</{DSML}parameter>',
    f"</{DSML}invoke>",
).replace('"city"', '"city" string="true"')
CPM = tags(
    '<function name="look">', '<param name="{}">{}</param>', "</function>", deep=PYTHON
)
ATEM = INVOKE.replace("<", "<atem:").replace("<atem:/", "</atem:")
GLM = tags("look", "<arg_key>{}</arg_key>\n<arg_value>{}</arg_value>", "")
K3 = tags(
    '<|open|>call tool="look" index="1"<|sep|>',
    '<|open|>argument key="{}"<|sep|>{}<|close|>argument<|sep|>',
    "<|close|>call<|sep|>",
).replace('"city"', '"city" type="string"')
HY = ":opensource"
HUNYUAN = re.sub(
    r"(?<=arg_)(key|value)", rf"\1{HY}", GLM.removeprefix("look\n").rstrip()
)
PYTHONIC = f"look(city='Ro\"me', n=3, deep={DEEP})"
GEMMA = 'call:look{city:<|"|>Ro"me<|"|>,deep:{a:[true,None,-1.5]},n:3}'
KIMI = f"<|tool_call_begin|>functions.look:0<|tool_call_argument_begin|>{JSON}"

M3 = MARK.join(
    [
        *("", '<invoke name="look">', '<city>Ro"me', "</city>", "<n>3", "</n>"),
        *("<deep>", "<a>", "<item>true", "</item>", "<item>null", "</item>"),
        *("<item>-1.5", "</item>", "</a>", "</deep>", "</invoke>"),
    ]
)

# the marks in the template, and what the model says
FAMILIES = {
    "hermes": ("<tool_call>", f"<tool_call>\n{CALL}\n</tool_call>"),
    "mistral": ("[TOOL_CALLS]", f"[TOOL_CALLS][{CALL}]"),
    "granite 3": ("<|tool_call|>", f"<|tool_call|>[{CALL}]"),
    "phi 4": ("<|tool_call|><|/tool_call|>", f"<|tool_call|>[{CALL}]<|/tool_call|>"),
    "nemotron": ("<TOOLCALL>", f"<TOOLCALL>[{CALL}]</TOOLCALL>"),
    "apriel": ("<tool_calls>", f"<tool_calls>[{CALL}]</tool_calls>"),
    "gigachat": ("<|function_call|>", f"<|function_call|>{CALL}"),
    "apertus": (
        "<|tools_prefix|>",
        f'<|tools_prefix|>[{{"look": {JSON}}}]<|tools_suffix|>',
    ),
    "cohere": (
        "<|START_ACTION|>",
        '<|START_ACTION|>[\n{"tool_call_id": "0", "tool_name": "look", '
        f'"parameters": {JSON}}}\n]<|END_ACTION|>',
    ),
    "minimax 3": (
        f"{MARK}<invoke",
        f"{MARK}<tool_call>\n{M3}\n{MARK}</tool_call>",
    ),
    "command r plus": (
        "Action: tool_name",
        f'Action: ```json\n[{{"tool_name": "look", "parameters": {JSON}}}]```',
    ),
    "coder": (
        "<tool_call><function=<parameter=",
        f"<tool_call>\n{CODER}\n</tool_call>",
    ),
    "seed": (
        "<seed:tool_call><function=",
        f"<seed:tool_call>\n{SEED}\n</seed:tool_call>",
    ),
    "minimax": (
        "<minimax:tool_call><invoke name=",
        f"<minimax:tool_call>\n{INVOKE}\n</minimax:tool_call>",
    ),
    "invoke": (
        '<function_calls><invoke name="',
        f"<function_calls>\n{INVOKE}\n</function_calls>",
    ),
    "deepseek 3.2": (
        f"{DSML} + 'function_calls>",
        f"<{DSML}function_calls>\n{DEEPSEEK}\n</{DSML}function_calls>",
    ),
    "deepseek 4": (
        f"{DSML} + 'tool_calls",
        f"<{DSML}tool_calls>\n{DEEPSEEK}\n</{DSML}tool_calls>",
    ),
    "atem": (
        "<atem:function_calls><atem:invoke",
        f"<atem:function_calls>\n{ATEM}\n</atem:function_calls>",
    ),
    "minicpm": ('<function name="<param name="', CPM),
    "functionary": ("<function=", f"<function=look>{JSON}</function>"),
    "glm": ("<tool_call><arg_key>", f"<tool_call>{GLM}</tool_call>"),
    "hunyuan 3": (
        "'<tool_calls{}>' '<arg_key{}>' ':opensource'",
        f"<tool_calls{HY}>\n<tool_call{HY}>look<tool_sep{HY}>\n{HUNYUAN}\n"
        f"</tool_call{HY}>\n</tool_calls{HY}>",
    ),
    "kimi k3": (
        "'<|open|>' '<|close|>' open_tag('response') open_tag('tools')",
        f"<|open|>tools<|sep|>{K3}<|close|>tools<|sep|>",
    ),
    "solar open": (
        "<|tool_calls|><|tool_call:begin|>",
        "<|tool_calls|><|tool_call:begin|>a1b2c3d4e5<|tool_call:name|>look"
        f"<|tool_call:args|>{JSON}<|tool_call:end|>",
    ),
    "firefunction": ("functools[", f"functools[{CALL}]"),
    "lfm 2": (
        "<|tool_call_start|>",
        f"<|tool_call_start|>[{PYTHONIC}]<|tool_call_end|>",
    ),
    "olmo 3": ("<function_calls>", f"<function_calls>\n{PYTHONIC}\n</function_calls>"),
    "llama 3.2": ("ipython", f"[{PYTHONIC}]"),
    "llama 3.1": ("python_tag", f"<|python_tag|>{CALL}"),
    "plain json": ("'\"name\": ' '\"arguments\": '", CALL),
    "gemma 4": ("<|tool_call>call:<tool_call|>", f"<|tool_call>{GEMMA}<tool_call|>"),
    "kimi": (
        "<|tool_calls_section_begin|>",
        f"<|tool_calls_section_begin|>{KIMI}<|tool_call_end|><|tool_calls_section_end|>",
    ),
}
families = pytest.mark.parametrize("family", FAMILIES)


def read(template: str, text: str) -> Reply:
    style = tool_call_style(template, parameter_types([TOOL]), lambda _: False)
    assert style is not None
    return ReplyReader(ReplyStyle(tool_calls=style, names=("look",))).whole(text)


@families
def test_calls_of_every_family_are_read(family: str) -> None:
    template, said = FAMILIES[family]
    reply = read(template, f"I look.\n{said}")
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [
        ("look", ARGUMENTS)
    ]
    assert (reply.text, reply.bad_calls) == ("I look.", ())


@families
def test_a_call_that_is_cut_off_is_no_call(family: str) -> None:
    template, said = FAMILIES[family]
    text = said[: said.index("-1.5")]
    reply = read(template, text)
    assert (reply.text, reply.tool_calls) == (text, ())
    assert len(reply.bad_calls) == 1


@families
def test_a_call_in_plain_json_is_read_whatever_the_family(family: str) -> None:
    reply = read(FAMILIES[family][0], f"I look.\n\n{CALL}")
    assert [call.arguments for call in reply.tool_calls] == [ARGUMENTS]


@pytest.mark.parametrize(
    "template",
    [
        "{{ tools }}",
        "{{ tools }}<my_call>",
        "{{ tools }}>>>{{ messages }}",
        "{{ tools }}<|opened|>call tool=",
    ],
)
def test_a_template_whose_calls_cannot_be_read_takes_no_tools(
    puppet: llamacy.Model, template: str
) -> None:
    assert tool_call_style(template, {}, lambda _: False) is None
    asked: Any = {"tools": [TOOL["function"]], "chat_format": template}
    with pytest.raises(llamacy.ArgumentError, match="tool calls llamacy can read"):
        puppet.chat("a", **asked, **saying(puppet, CALL))
    with pytest.raises(llamacy.ArgumentError, match="tool calls llamacy can read"):
        puppet.stream_chat("a", **asked, **saying(puppet, CALL))
    # neither does one that never shows them to the model
    with pytest.raises(llamacy.ArgumentError, match="wanted a template that supports"):
        puppet.chat("a", tools=asked["tools"], chat_format="{{ messages[0].tools }}")


def test_the_two_families_of_one_mark_are_both_read() -> None:
    for template, said in (("hermes", CODER), ("coder", CALL)):
        reply = read(FAMILIES[template][0], f"<tool_call>\n{said}\n</tool_call>")
        assert [call.arguments for call in reply.tool_calls] == [ARGUMENTS]


def test_tokens_of_the_vocabulary_tell_where_the_template_does_not() -> None:
    style = tool_call_style("{{ tools }}", {}, "<|tool_call|>".__eq__)
    assert style is not None
    assert (style.open, style.close) == ("<|tool_call|>", "<|/tool_call|>")


def test_the_miniature_templates_are_known() -> None:
    for family, template in TEMPLATES.items():
        style = tool_call_style(template, {}, lambda _: False)
        assert style is not None or family == "harmony"
