"""The built-in chat formats, spelt out."""

from __future__ import annotations

from typing import Any

import pytest

import llamacy
from llamacy.chat.formats import CHAT_FORMATS, TemplateSource, has_template
from llamacy.chat.template import render

TALK = [
    {"role": "system", "content": "SYS"},
    {"role": "user", "content": "one"},
    {"role": "assistant", "content": "two"},
    {"role": "user", "content": "three"},
]
# as the models' makers document them; a first BOS is added by the vocabulary
WANTED = {
    "alpaca": "SYS\n\n### Instruction:\none\n\n### Response:\ntwo</s>\n\n"
    "### Instruction:\nthree\n\n### Response:\n",
    "chatml": "<|im_start|>system\nSYS<|im_end|>\n<|im_start|>user\none<|im_end|>\n"
    "<|im_start|>assistant\ntwo<|im_end|>\n<|im_start|>user\nthree<|im_end|>\n"
    "<|im_start|>assistant\n",
    "deepseek": "SYS<｜User｜>one<｜Assistant｜>two<｜end▁of▁sentence｜><｜User｜>three"
    "<｜Assistant｜>",
    "gemma": "<start_of_turn>user\nSYS\n\none<end_of_turn>\n<start_of_turn>model\n"
    "two<end_of_turn>\n<start_of_turn>user\nthree<end_of_turn>\n"
    "<start_of_turn>model\n",
    "llama-2": "[INST] <<SYS>>\nSYS\n<</SYS>>\n\none [/INST] two </s><s>[INST] three "
    "[/INST]",
    "llama-3": "<|start_header_id|>system<|end_header_id|>\n\nSYS<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\none<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\ntwo<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nthree<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "mistral": "[INST] SYS\n\none [/INST] two</s>[INST] three [/INST]",
    "phi3": "<|system|>\nSYS<|end|>\n<|user|>\none<|end|>\n<|assistant|>\ntwo<|end|>\n"
    "<|user|>\nthree<|end|>\n<|assistant|>\n",
    "vicuna": "SYS USER: one ASSISTANT: two</s>USER: three ASSISTANT:",
    "zephyr": "<|system|>\nSYS</s>\n<|user|>\none</s>\n<|assistant|>\ntwo</s>\n"
    "<|user|>\nthree</s>\n<|assistant|>\n",
}


def written(name: str, messages: list[dict[str, Any]]) -> str:
    values = {
        "messages": messages,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "add_generation_prompt": True,
    }
    return render(TemplateSource({}, "").find(name).template, name, values)


@pytest.mark.parametrize("name", CHAT_FORMATS)
def test_a_format_writes_a_conversation_as_documented(name: str) -> None:
    assert written(name, TALK) == WANTED[name]
    assert "SYS" not in written(name, TALK[1:])


@pytest.mark.parametrize(
    ("name", "begin"), [("alpaca", "Below is an"), ("vicuna", "A chat between")]
)
def test_a_system_message_replaces_the_formats_own_introduction(
    name: str, begin: str
) -> None:
    assert written(name, TALK[1:]).startswith(begin)
    assert not written(name, TALK).startswith(begin)


@pytest.mark.parametrize("name", CHAT_FORMATS)
def test_an_empty_system_message_is_none_at_all_in_words(name: str) -> None:
    text = written(name, [{"role": "system", "content": ""}, TALK[1]])
    assert "one" in text
    for word in ("Below is an", "A chat between", "<<SYS>>", "None"):
        assert word not in text


@pytest.mark.parametrize("name", CHAT_FORMATS)
def test_a_system_message_before_a_greeting_is_written(name: str) -> None:
    greeting = {"role": "assistant", "content": "two"}
    system = {"role": "system", "content": "Be brief."}
    assert written(name, [system, greeting, TALK[1]]).count("Be brief.") == 1


@pytest.mark.parametrize("name", ["gemma", "llama-2", "mistral"])
def test_a_system_message_with_no_question_to_begin_is_refused(name: str) -> None:
    with pytest.raises(llamacy.ChatTemplateError, match="a message of the user after"):
        written(name, [TALK[0]])


OWN = "tokenizer.chat_template"


@pytest.mark.parametrize(
    ("templates", "plain", "with_tools"),
    [
        ({"": "{{ 1 }}", ".tool_use": "{{ 2 }}"}, "{{ 1 }}", "{{ 2 }}"),
        ({"": "{{ 1 }}", ".rag": "{{ 2 }}"}, "{{ 1 }}", "{{ 1 }}"),
        ({".tool_use": "{{ 2 }}"}, "{{ 2 }}", "{{ 2 }}"),
        ({"": "", ".tool_use": "{{ 2 }}"}, "{{ 2 }}", "{{ 2 }}"),
        ({"": "{{ 1 }}", ".tool_use": " "}, "{{ 1 }}", "{{ 1 }}"),
        ({"": "{{ 1 }}", ".default": "{{ 2 }}"}, "{{ 1 }}", "{{ 1 }}"),
        ({".default": "{{ 2 }}", ".tool_use": 5}, "{{ 2 }}", "{{ 2 }}"),
    ],
)
def test_a_files_template_for_tools_is_taken_with_tools(
    templates: dict[str, Any], plain: str, with_tools: str
) -> None:
    metadata = {OWN + name: text for name, text in templates.items()}
    source = TemplateSource(metadata, "model.gguf")
    assert source.find(None).template == plain
    assert source.find(None, has_tools=True).template == with_tools
    assert has_template(metadata)


def test_a_files_templates_can_be_named() -> None:
    metadata = {OWN: "{{ 1 }}", f"{OWN}.rag": "{{ 2 }}", f"{OWN}.chatml": "{{ 3 }}"}
    source = TemplateSource(metadata, "model.gguf")
    rag = source.find("rag")
    assert (rag.template, rag.name) == ("{{ 2 }}", f"model.gguf: {OWN}.rag")
    assert source.find("default").template == "{{ 1 }}"
    # a built-in name keeps its meaning with every file
    assert "<|im_start|>" in source.find("chatml").template
    with pytest.raises(llamacy.ArgumentError, match=r"wanted one of alpaca, .*, rag,"):
        source.find("tool_use")


@pytest.mark.parametrize("empty", ["", " \n", None, 5, []])
def test_an_empty_template_is_none(empty: object) -> None:
    metadata = {OWN: empty}
    assert not has_template(metadata)
    with pytest.raises(llamacy.ChatTemplateError, match="found none"):
        TemplateSource(metadata, "model.gguf").find(None)
    only_named = {OWN: empty, f"{OWN}.rag": "{{ 1 }}"}
    with pytest.raises(llamacy.ChatTemplateError, match="name one .*, of rag"):
        TemplateSource(only_named, "model.gguf").find(None)
