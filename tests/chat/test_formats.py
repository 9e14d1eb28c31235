"""The built-in chat formats, spelt out."""

from __future__ import annotations

from typing import Any

import pytest

from llamacy.chat.formats import CHAT_FORMATS, TemplateSource
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
