"""Answers of reasoning models."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

import llamacy
from llamacy.chat.messages import with_reasoning_keys
from tests.support.puppet import saying
from tests.support.tool_templates import HARMONY, HERMES

PROMPT = [{"role": "user", "content": "Is it?"}]
THOUGHT = "<think>\nLet me see.\n</think>\n\nIt is."
CHANNELS = (
    "<|channel|>analysis<|message|>Let me see.<|end|><|start|>assistant"
    "<|channel|>final<|message|>It is.<|return|>"
)
CHANNEL = "<|channel>thought\nLet me see.\n<channel|>It is."
GEMMA_4 = """\
{%- for m in messages %}{{ '<|turn>' + m.role + '\\n' }}
{%- if m.reasoning_content %}
{{- '<|channel>thought\\n' + m.reasoning_content + '\\n<channel|>' }}
{%- endif %}{{ m.content + '<turn|>\\n' }}{% endfor %}
{{- '<|turn>model\\n' }}{% if not enable_thinking %}{% endif %}"""


def shown(model: llamacy.Model, messages: Any, **options: Any) -> str:
    ids = model.chat_prompt(messages, **options)
    return model.tokenizer.decode(ids, skip_special=False)


@pytest.mark.parametrize(
    ("template", "text"),
    [(HERMES, THOUGHT), (HARMONY, CHANNELS), (GEMMA_4, CHANNEL)],
    ids=["think", "gpt", "gemma4"],
)
@pytest.mark.parametrize("cut", [1, 3, 1000])
def test_reasoning_is_separated_from_the_answer(
    puppet: llamacy.Model, template: str, text: str, cut: int
) -> None:
    def said() -> Any:
        # long pieces hold marks as control tokens, short ones spell them in letters
        texts = [text[i : i + cut] for i in range(0, len(text), cut)]
        return saying(puppet, *texts) | {"chat_format": template}

    answer = puppet.chat(PROMPT, **said())
    assert (answer.text, answer.reasoning) == ("It is.", "Let me see.")
    assert answer.finish_reason == "stop"
    assert answer.message == {
        "role": "assistant",
        "content": "It is.",
        "reasoning_content": "Let me see.",
    }
    message = answer.message
    assert (message.role, message.content) == ("assistant", "It is.")
    assert (message.reasoning, message.tool_calls) == ("Let me see.", [])
    assert json.loads(json.dumps(message)) == message
    assert str(answer) == "It is."

    with puppet.stream_chat(PROMPT, **said()) as stream:
        pieces = [piece for piece in stream]
    assert stream.completion.tokens == answer.tokens
    assert "".join(piece.reasoning for piece in pieces) == answer.reasoning
    assert "".join(piece.text for piece in pieces) == answer.text
    assert not any(piece.reasoning and piece.text for piece in pieces)


@pytest.mark.parametrize("text", [f"{THOUGHT} ", " \n"], ids=["thought", "nothing"])
def test_pieces_together_have_all_tokens_and_logprobs(
    puppet: llamacy.Model, text: str
) -> None:
    said = saying(puppet, text) | {"logprobs": 1}
    with puppet.stream_chat(PROMPT, **said) as stream:
        pieces = list(stream)
    answer = stream.completion
    n_tokens = sum(len(piece.tokens) for piece in pieces)
    assert [token for piece in pieces for token in piece.tokens] == answer.tokens
    assert answer.logprobs is not None
    assert sum(len(piece.logprobs or ()) for piece in pieces) == n_tokens
    assert len(answer.logprobs) == n_tokens > 1


def test_a_template_may_open_the_reasoning(puppet: llamacy.Model) -> None:
    options: Any = {"template_arguments": {"thinks": True}}
    assert shown(puppet, PROMPT, **options).endswith("assistant\n<think>\n")
    answer = puppet.chat(PROMPT, **options, **saying(puppet, "Hm.</think>It is."))
    assert (answer.reasoning, answer.text) == ("Hm.", "It is.")
    answer = puppet.chat(PROMPT, **options, **saying(puppet, "Hm."))
    assert (answer.reasoning, answer.text) == ("Hm.", "")
    assert "reasoning_content" in answer.message
    # some templates close the reasoning at once to make a model skip it
    closed = HERMES + "{{ '<think>\\n\\n</think>\\n\\n' }}"
    answer = puppet.chat(PROMPT, chat_format=closed, **saying(puppet, "Hm."))
    assert (answer.reasoning, answer.text) == ("", "Hm.")


@pytest.mark.parametrize(
    ("n_most", "reasoning", "text"),
    [
        (1, "", ""),
        (4, "Le", ""),
        (13, "Let me see.", ""),
        (15, "Let me see.", ""),
        (19, "Let me see.", "It"),
    ],
)
def test_an_answer_cut_off_by_max_tokens_is_still_split(
    puppet: llamacy.Model, n_most: int, reasoning: str, text: str
) -> None:
    tokens = ["<think>", *"\nLet me see.\n", "</think>", *"\n\nIt is."]
    said = saying(puppet, *tokens) | {"max_tokens": n_most}
    answer = puppet.chat(PROMPT, **said)
    assert (answer.reasoning, answer.text) == (reasoning, text)
    assert answer.finish_reason == "length"
    assert len(answer.tokens) == n_most


def test_the_completion_of_an_unfinished_stream_has_the_pieces_so_far(
    puppet: llamacy.Model,
) -> None:
    with puppet.stream_chat(PROMPT, **saying(puppet, THOUGHT)) as stream:
        first = next(stream)
        assert (first.reasoning, first.text) == ("L", "")
        assert stream.completion.reasoning == "L"
        assert stream.completion.finish_reason == "cancelled"
    assert list(stream) == []
    assert stream.completion.reasoning == "L"
    assert len(stream.completion.tokens) == len(first.tokens)


def test_the_template_decides_which_past_reasoning_is_sent_back(
    puppet: llamacy.Model,
) -> None:
    answer = puppet.chat(PROMPT, **saying(puppet, THOUGHT)).message
    talk = [*PROMPT, answer, {"role": "user", "content": "Really?"}]
    # this template writes the reasoning of the current turn alone
    assert "see" not in shown(puppet, talk)
    assert "It is." in shown(puppet, talk)
    keeping = (
        "{% for m in messages %}{% if preserve_thinking %}{{ m.reasoning_content }}"
        "{% endif %}{{ m.content }}{% endfor %}"
    )
    assert "see" not in shown(puppet, talk, chat_format=keeping)
    asked: Any = {"template_arguments": {"preserve_thinking": True}}
    assert "Let me see.It is." in shown(puppet, talk, chat_format=keeping, **asked)

    calling = {**answer, "tool_calls": [{"id": "1", "function": {"name": "f"}}]}
    result = {"role": "tool", "content": "5"}
    assert "see" not in shown(puppet, [PROMPT[0], calling, result, PROMPT[0]])
    # the turn is unfinished, so its reasoning stays
    unfinished = [PROMPT[0], calling, result]
    assert "<think>\nLet me see.\n</think>" in shown(puppet, unfinished)


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_is_given_under_the_keys_of_all_templates(key: str) -> None:
    message: dict[str, Any] = {"role": "assistant", "content": "a", key: "Hm."}
    keys = {"reasoning_content": "Hm.", "thinking": "Hm."}
    wanted = {"role": "assistant", "content": "a", **keys}
    assert with_reasoning_keys([message]) == [wanted]
    assert message[key] == "Hm."
    other = {"role": "system", "content": "c", key: "Hm."}
    assert with_reasoning_keys([other]) == [other]
    assert with_reasoning_keys([{**message, key: ""}]) == [
        {"role": "assistant", "content": "a"}
    ]


def test_marks_are_plain_text_for_a_model_without_reasoning(babble_model: Any) -> None:
    with llamacy.load(babble_model) as model:
        answer = model.chat("bada", **saying(model, THOUGHT, ends=True))
        assert answer.text == THOUGHT
        assert answer.message == {"role": "assistant", "content": THOUGHT}


def test_coroutines_separate_reasoning_too(puppet: llamacy.Model) -> None:
    async def main() -> None:
        answer = await puppet.achat(PROMPT, **saying(puppet, THOUGHT))
        assert (answer.reasoning, answer.text) == ("Let me see.", "It is.")

        stream = puppet.astream_chat(PROMPT, **saying(puppet, THOUGHT))
        assert stream.completion.text == ""
        async with stream:
            pieces = [piece async for piece in stream]
        assert "".join(piece.reasoning for piece in pieces) == "Let me see."
        assert "".join(piece.text for piece in pieces) == "It is."
        assert stream.completion.message == answer.message

        async with puppet.astream_chat(PROMPT, **saying(puppet, THOUGHT)) as stream:
            first = await anext(stream)
        assert [piece async for piece in stream] == []
        assert stream.completion.reasoning == first.reasoning == "L"

        endless = puppet.achat(PROMPT, **saying(puppet, ends=False))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(endless, 0.2)
        with pytest.raises(llamacy.ArgumentError, match=r"^messages\[0\]"):
            await puppet.achat([5])  # type: ignore[list-item]
        with pytest.raises(llamacy.ArgumentError, match="^temperature"):
            await anext(puppet.astream_chat(PROMPT, temperature=-1))

    asyncio.run(main())
