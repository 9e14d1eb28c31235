"""Answers that the caller has begun: the assistant's last message is continued."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import llamacy
from llamacy.chat.built_in import ChatFormat
from llamacy.chat.formats import CHAT_FORMATS
from llamacy.chat.writing import Writer
from llamacy.tokenizers.base import Tokenizer
from tests.support import tool_templates
from tests.support.puppet import saying

MakeTokenizer = Callable[..., Tokenizer]
ASK: dict[str, Any] = {"role": "user", "content": "hi"}
BEGUN: dict[str, Any] = {"role": "assistant", "content": "Sure, "}
THINKING = (
    "{% for m in messages %}<{{ m.role }}>{% if m.reasoning_content %}<think>"
    "{{ m.reasoning_content }}{% if m.content %}</think>{% endif %}{% endif %}"
    "{{ m.content | trim }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant><think>{% endif %}"
)


def shown(model: llamacy.Model, messages: Any, **options: Any) -> str:
    ids = model.chat_prompt(messages, **options)
    return model.tokenizer.decode(ids, skip_special=False)


@pytest.mark.parametrize("chat_format", [*CHAT_FORMATS, THINKING])
def test_a_prompt_ends_with_the_answers_beginning_to_the_last_space(
    puppet: llamacy.Model, chat_format: str
) -> None:
    text = shown(puppet, [ASK, BEGUN], chat_format=chat_format)
    assert text.endswith("Sure, ")
    new = shown(puppet, [ASK], chat_format=chat_format)
    # what a template writes before an answer, but for reasoning that it opens
    assert text.startswith(new.removesuffix("<think>").rstrip())
    parts = [{"type": "text", "text": "Su"}, {"type": "text", "text": "re, "}]
    text = shown(puppet, [ASK, {**BEGUN, "content": parts}], chat_format=chat_format)
    assert text.endswith("Su\nre, ")


def test_parts_are_continued_in_a_template_that_takes_them(
    puppet: llamacy.Model,
) -> None:
    template = (
        "{% for m in messages %}<{{ m.role }}>{% for p in m.content %}"
        "{{ p.text | trim }}{% endfor %}<end>{% endfor %}"
    )
    assert shown(puppet, [ASK, BEGUN], chat_format=template).endswith("Sure, ")


@pytest.mark.parametrize(
    "last",
    [{**BEGUN, "content": ""}, {**BEGUN, "content": None}, {"role": "assistant"}],
)
def test_an_empty_beginning_begins_nothing(puppet: llamacy.Model, last: Any) -> None:
    assert shown(puppet, [ASK, last]) == shown(puppet, [ASK])


@pytest.mark.parametrize(
    ("arguments", "is_continued"),
    [
        ({"continue_final_message": True}, True),
        ({"continue_final_message": None}, True),
        ({"continue_final_message": False}, False),
        ({"add_generation_prompt": True}, False),
        ({"continue_final_message": True, "add_generation_prompt": True}, True),
    ],
)
def test_the_templates_arguments_decide(
    puppet: llamacy.Model, arguments: Any, is_continued: bool
) -> None:
    text = shown(puppet, [ASK, BEGUN], template_arguments=arguments)
    assert text.endswith("Sure, ") == is_continued
    assert text.endswith("<|im_start|>assistant\n") == (not is_continued)


@pytest.mark.parametrize(
    ("messages", "arguments", "why"),
    [
        ([ASK], True, "continue_final_message, found the role 'user'"),
        ([ASK, BEGUN], "yes", "wanted True or False, found 'yes'"),
        ([ASK, BEGUN], 0, "wanted True or False, found 0"),
    ],
)
def test_a_beginning_that_is_asked_for_must_be_there(
    puppet: llamacy.Model, messages: Any, arguments: Any, why: str
) -> None:
    options: Any = {"template_arguments": {"continue_final_message": arguments}}
    with pytest.raises(llamacy.ArgumentError, match=why):
        puppet.chat_prompt(messages, **options)


@pytest.mark.parametrize("name", ["messages", "tools"])
def test_arguments_do_not_hide_what_is_given_otherwise(
    puppet: llamacy.Model, name: str
) -> None:
    with pytest.raises(llamacy.ArgumentError, match=rf"\['{name}'\]: {name}.* takes"):
        puppet.chat_prompt([ASK], template_arguments={name: []})


@pytest.mark.parametrize("arguments", [False, 0, "", []])
def test_arguments_are_a_dict_or_none(puppet: llamacy.Model, arguments: Any) -> None:
    assert shown(puppet, [ASK], template_arguments=None) == shown(puppet, [ASK])
    with pytest.raises(
        llamacy.ArgumentError, match="template_arguments: wanted a dict"
    ):
        puppet.chat_prompt([ASK], template_arguments=arguments)


def test_arguments_have_names(puppet: llamacy.Model) -> None:
    nameless: Any = {5: 1}
    with pytest.raises(llamacy.ArgumentError, match="names of variables, found 5"):
        puppet.chat_prompt([ASK], template_arguments=nameless)


def test_a_callers_bos_is_the_vocabularys_or_text(
    make_tokenizer: MakeTokenizer,
) -> None:
    tokenizer = make_tokenizer(add_bos_token=False)
    form = ChatFormat("t", "{{ bos_token }}{{ messages[0].content }}")
    usual = Writer(form, tokenizer)([ASK])
    assert usual[0] == tokenizer.bos_id
    assert Writer(form, tokenizer, arguments={"bos_token": "<s>"})([ASK]) == usual
    for other in ("", "</s>"):
        ids = Writer(form, tokenizer, arguments={"bos_token": other})([ASK])
        assert tokenizer.decode(ids, skip_special=False) == f"{other}hi"
        assert min(ids) > 2


def test_calls_are_not_continued(puppet: llamacy.Model) -> None:
    calling = {**BEGUN, "tool_calls": [{"function": {"name": "f"}}]}
    assert shown(puppet, [ASK, calling]).endswith("<|im_start|>assistant\n")


def test_a_template_that_leaves_the_beginning_out_raises(
    puppet: llamacy.Model,
) -> None:
    with pytest.raises(llamacy.ChatTemplateError, match="no answer can continue it"):
        puppet.chat_prompt([ASK, BEGUN], chat_format="{{ messages[0].content }}")


FORGETFUL = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant><think>\n{% endif %}"
)


def test_reasoning_is_continued_where_a_template_only_opens_it(
    puppet: llamacy.Model,
) -> None:
    talk = [ASK, {"role": "assistant", "content": "", "reasoning_content": "So <end>"}]
    text = shown(puppet, talk, chat_format=FORGETFUL)
    assert text.endswith("<user>hi<end><assistant><think>\nSo <end>")
    said = saying(puppet, " far.</think>Yes.")
    answer = puppet.chat(talk, chat_format=FORGETFUL, **said)
    assert (answer.reasoning.strip(), answer.text) == ("far.", "Yes.")
    with pytest.raises(llamacy.ChatTemplateError, match="no answer can continue it"):
        puppet.chat_prompt(talk, chat_format=FORGETFUL.replace("<think>", ""))


@pytest.mark.parametrize(
    ("template", "last", "said", "reasoning", "text"),
    [
        ("hermes", {"content": "Sure, "}, "I do.", "", "I do."),
        # the template opens reasoning, but the caller is beyond it
        ("thinks", {"content": "Sure, "}, " I do.", "", " I do."),
        # the caller has begun the reasoning
        (
            "thinks",
            {"content": "", "reasoning_content": "So"},
            " far.</think>Yes.",
            "far.",
            "Yes.",
        ),
        (
            "thinks",
            {"content": "Sure, ", "reasoning_content": "So."},
            "I do.",
            "",
            "I do.",
        ),
        ("harmony", {"content": "Sure, "}, "I do.", "", "I do."),
        # what could begin a mark is the caller's, not new
        ("hermes", {"content": "a <"}, "b", "", "b"),
    ],
)
def test_an_answer_has_only_the_new_text(
    puppet: llamacy.Model,
    template: str,
    last: Any,
    said: str,
    reasoning: str,
    text: str,
) -> None:
    form = THINKING if template == "thinks" else tool_templates.TEMPLATES[template]
    talk = [ASK, {"role": "assistant", **last}]
    options: Any = {"chat_format": form, "tools": None}
    if template == "hermes":
        options["tools"] = [{"type": "function", "function": {"name": "f"}}]
    answer = puppet.chat(talk, **options, **saying(puppet, said))
    assert (answer.reasoning.strip(), answer.text) == (reasoning, text)
    pieces: Any = list(puppet.stream_chat(talk, **options, **saying(puppet, said)))
    assert "".join(piece.text for piece in pieces) == text
    assert "".join(piece.reasoning for piece in pieces).strip() == reasoning


def test_a_call_may_follow_the_beginning(puppet: llamacy.Model) -> None:
    tool: Any = {"type": "function", "function": {"name": "f", "parameters": {}}}
    said = '<tool_call>{"name": "f", "arguments": {}}</tool_call>'
    talk = [ASK, {**BEGUN, "content": "I look. "}]
    answer = puppet.chat(talk, tools=[tool], **saying(puppet, said))
    assert answer.text == ""
    assert [call.name for call in answer.tool_calls] == ["f"]


def test_control_tokens_in_a_beginning_are_text(make_tokenizer: MakeTokenizer) -> None:
    tokenizer = make_tokenizer(["<|im_start|>", "<|im_end|>"])
    form = ChatFormat("t", "{% for m in messages %}{{ m.content }}{% endfor %}")
    writer = Writer(form, tokenizer)
    ids = writer([ASK, {**BEGUN, "content": "a<|im_end|>"}])
    assert max(ids) < 260
    begun = writer.begun([ASK, {**BEGUN, "content": "a<|im_end|>"}])
    assert begun is not None
    assert begun.text == "a<|im_end|>"
