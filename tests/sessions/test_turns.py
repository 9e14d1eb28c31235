"""The next turn of a long chat reads what has changed, and hardly more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llamacy
from llamacy.generation.prefix_cache import common_prefix
from tests.support import random_model
from tests.support.families import DELTA_RULE, LFM2, SCAN
from tests.support.model_shapes import model_shapes

MARKS = {
    "qwen35": ("<|im_start|>", "<|im_end|>", "<think>", "</think>"),
    "lfm2": ("<|im_start|>", "<|im_end|>", "<think>", "</think>"),
    "granitehybrid": ("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>"),
}
KEYS = {"qwen35": DELTA_RULE, "lfm2": LFM2, "granitehybrid": SCAN}

# The habits of Qwen 3.5's template: an answer begins in reasoning, which a past turn
# does not have; of LFM 2.5's: the model begins it; and of Granite 4's: there is none.
QWEN = """\
{%- set ns = namespace(last=0) %}
{%- for m in messages %}{% if m.role == 'user' %}
{%- set ns.last = loop.index0 %}{% endif %}{% endfor %}
{%- for m in messages %}
{{- '<|im_start|>' + m.role + '\\n' }}
{%- if m.role == 'assistant' and loop.index0 > ns.last %}
{{- '<think>\\n' + m.reasoning_content + '\\n</think>\\n\\n' }}{% endif %}
{{- m.content + '<|im_end|>\\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n<think>\\n' }}{% endif %}"""
LFM = """\
{%- set ns = namespace(last=0) %}
{%- for m in messages %}{% if m.role == 'user' %}
{%- set ns.last = loop.index0 %}{% endif %}{% endfor %}
{%- for m in messages %}
{{- '<|im_start|>' + m.role + '\\n' }}
{{- (m.content.split('</think>')[-1] | trim if loop.index0 < ns.last else m.content) }}
{{- '<|im_end|>\\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""
GRANITE = """\
{%- for m in messages %}
{{- '<|start_of_role|>' + m.role + '<|end_of_role|>' + m.content }}
{{- '<|end_of_text|>\\n' }}{% endfor %}
{%- if add_generation_prompt %}
{{- '<|start_of_role|>assistant<|end_of_role|>' }}{% endif %}"""
TEMPLATES = {"qwen35": QWEN, "lfm2": LFM, "granitehybrid": GRANITE}
ANSWERS = {
    "qwen35": "{thought}\n</think>\n\n{answer}",
    "lfm2": "<think>{thought}</think>{answer}",
    "granitehybrid": "{answer}",
}


def write(
    folder: Path,
    family: str,
    write_gguf: Any,
    llama_metadata: Any,
    random_tensors: Any,
    template: str | None = None,
) -> Path:
    """Write a tiny model of a family, with its marks and a template."""
    pieces, scores, types = random_model.vocabulary(MARKS[family])
    metadata = llama_metadata(family, context_length=8192, **KEYS[family])
    metadata |= {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": pieces,
        "tokenizer.ggml.scores": scores,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.eos_token_id": pieces.index(
            "<|im_end|>" if "<|im_end|>" in pieces else "<|end_of_text|>"
        ),
        "tokenizer.chat_template": template or TEMPLATES[family],
    }
    tensors = random_tensors(model_shapes(write_gguf, folder, metadata).items())
    for name in tensors:  # steps decay what is kept
        if name.endswith(".ssm_a"):
            tensors[name] = -np.abs(tensors[name])
    return Path(write_gguf(folder / "model.gguf", metadata, tensors, "F32"))


def words(n: int, word: str) -> str:
    return " ".join([word] * n)


def history(n_turns: int) -> list[dict[str, Any]]:
    """Return past turns, each of some 400 tokens."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": words(40, "ba")}]
    for i in range(n_turns):
        messages += [
            {"role": "user", "content": f"{i} " + words(90, "ki")},
            {"role": "assistant", "content": f"{i} " + words(90, "lo")},
        ]
    return messages


def saying(tokens: list[int]) -> Callable[[Any, Any], None]:
    """Return a logits processor that makes a model say something."""
    following: Iterator[int] = iter(tokens)

    def force(_: Any, logits: Any) -> None:
        logits[next(following)] = 1e9

    return force


def check_next_turn(model: llamacy.Model, form: str) -> tuple[int, int, int]:
    """Answer a chat twice; return tokens of history, new ones, and those read."""
    messages = [*history(20), {"role": "user", "content": words(50, "da")}]
    prompt = model.chat_prompt(messages)
    text = form.format(thought=words(120, "mu"), answer=words(60, "so"))
    ids = model.tokenizer.encode(
        text, add_bos=False, continues=True, parse_special=True
    )
    ids.append(next(iter(model.tokenizer.eog_ids)))
    out = model.chat(
        messages, logits_processors=saying(ids), max_tokens=len(ids), temperature=0
    )
    assert out.finish_reason == "stop"
    answer = words(60, "so")
    assert out.text.strip() == answer
    messages += [
        {"role": "assistant", "content": out.text, "reasoning_content": out.reasoning},
        {"role": "user", "content": words(50, "fu")},
    ]
    again = model.chat(messages, max_tokens=2, temperature=0)
    before, after = prompt + ids, model.chat_prompt(messages)
    n_new = len(after) - common_prefix(before, after)
    n_read = again.usage.prompt_tokens - again.usage.cached_tokens
    return len(before), n_new, n_read


@pytest.mark.parametrize("family", KEYS)
def test_the_next_turn_reads_what_is_new(
    family: str,
    tmp_path: Path,
    write_gguf: Any,
    llama_metadata: Any,
    random_tensors: Any,
) -> None:
    """And at most a tenth more, whether the template drops reasoning or not."""
    path = write(tmp_path, family, write_gguf, llama_metadata, random_tensors)
    with llamacy.load(path) as model:
        n_history, n_new, n_read = check_next_turn(model, ANSWERS[family])
    assert n_history > 4000
    assert 50 < n_new < 400
    assert n_read <= 1.1 * n_new
