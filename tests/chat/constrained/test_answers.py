"""Answers that follow a form: behind reasoning, and behind a given beginning."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import llamacy
from tests.support.puppet import ids_of, insisting
from tests.support.tool_templates import HARMONY, HERMES

pytest.importorskip("llguidance")

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 8}, "n": {"enum": [1, 22]}},
    "required": ["name", "n"],
}
ANSWER = '{"name": "Ada", "n": 22}'
VALUE = {"name": "Ada", "n": 22}
USER = {"role": "user", "content": "Who?"}
ALWAYS = """\
{%- for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content }}
{%- if m.reasoning_content %}{{ '<think>' + m.reasoning_content + '</think>' }}
{%- endif %}{{ '<|im_end|>\\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""
SWITCHED = ALWAYS.replace(
    "assistant\\n' }}",
    "assistant\\n<think>\\n' }}{% if not enable_thinking %}{{ '\\n</think>\\n\\n' }}"
    "{% endif %}",
)


def ask(model: Any, says: str, **options: Any) -> llamacy.ChatCompletion:
    given: dict[str, Any] = {
        "json_schema": SCHEMA,
        "max_tokens": 120,
        "chat_format": HERMES,
    } | options
    messages = [USER, *given.pop("begun", [])]
    names = given.keys() & {"chat_format", "template_arguments"}
    prompt = {name: given.pop(name) for name in names}
    given |= insisting(model, messages, says, **prompt)
    answer: llamacy.ChatCompletion = model.chat(messages, **given, **prompt)
    return answer


def begun(text: str, **keys: str) -> dict[str, Any]:
    return {"begun": [{"role": "assistant", "content": text, **keys}]}


def test_an_answer_without_reasoning_follows_at_once(puppet: llamacy.Model) -> None:
    answer = ask(puppet, ANSWER)
    assert (answer.text, answer.parsed, answer.reasoning) == (ANSWER, VALUE, "")
    assert answer.finish_reason == "stop"


@pytest.mark.parametrize("gap", ["", "\n", "\n\n"])
def test_the_form_begins_behind_reasoning(puppet: llamacy.Model, gap: str) -> None:
    says = f'<think>\nIs {{"a": 1}} right?\n</think>{gap}{ANSWER}'
    answer = ask(puppet, says)
    assert (answer.text, answer.parsed) == (ANSWER, VALUE)
    assert answer.reasoning == 'Is {"a": 1} right?'
    options = insisting(puppet, [USER], says, chat_format=HERMES)
    with puppet.stream_chat(
        [USER], json_schema=SCHEMA, chat_format=HERMES, **options
    ) as stream:
        pieces = [piece for piece in stream]
    assert "".join(piece.text for piece in pieces) == ANSWER
    assert "".join(piece.reasoning for piece in pieces) == answer.reasoning
    assert stream.completion.parsed == VALUE


def test_reasoning_that_the_prompt_opens_is_free(puppet: llamacy.Model) -> None:
    answer = ask(
        puppet, f"So it is.</think>{ANSWER}", template_arguments={"thinks": True}
    )
    assert (answer.text, answer.reasoning) == (ANSWER, "So it is.")


def test_a_switched_off_reasoning_does_not_switch_off_the_form(
    puppet: llamacy.Model,
) -> None:
    off = {"template_arguments": {"enable_thinking": False}, "chat_format": SWITCHED}
    assert ask(puppet, ANSWER, **off).parsed == VALUE
    # what does not follow the form is not said, reasoning neither
    answer = ask(puppet, "<think>I will not.", **off)
    assert answer.reasoning == ""
    assert answer.text.startswith('{"name": "')
    on = {"template_arguments": {"enable_thinking": True}, "chat_format": SWITCHED}
    answer = ask(puppet, f"Well.</think>\n\n{ANSWER}", **on)
    assert (answer.text, answer.reasoning) == (ANSWER, "Well.")


@pytest.mark.parametrize("opening", ["", "<think>"])
def test_a_model_that_always_reasons_reasons_first(
    puppet: llamacy.Model, opening: str
) -> None:
    answer = ask(puppet, f"{opening}Well.</think>{ANSWER}", chat_format=ALWAYS)
    assert (answer.text, answer.reasoning) == (ANSWER, "Well.")


def test_the_end_may_not_come_before_the_answer(puppet: llamacy.Model) -> None:
    answer = ask(puppet, "<think>Hm", max_tokens=30)
    assert answer.finish_reason == "length"
    assert (answer.text, answer.parsed) == ("", None)
    assert answer.reasoning.startswith("Hm")


def test_the_letters_of_the_closing_mark_do_not_end_reasoning(
    puppet: llamacy.Model,
) -> None:
    spelt = ids_of(puppet, "</thin\u2581k>")  # never one token
    assert len(spelt) > 1
    letters = [puppet.tokenizer.encode(c, add_bos=False)[-1] for c in "</think>"]
    says: list[int] = [*ids_of(puppet, "<think>so "), *letters]

    def say(given: Any, logits: Any) -> None:
        n_said = len(given) - n_prompt
        logits[says[n_said] if n_said < len(says) else letters[1]] = 1e9

    n_prompt = len(puppet.chat_prompt([USER], chat_format=HERMES))
    answer = puppet.chat(
        [USER],
        json_schema=SCHEMA,
        chat_format=HERMES,
        max_tokens=40,
        temperature=0,
        logits_processors=say,
    )
    assert answer.text == ""
    assert "</think>" not in answer.reasoning
    assert answer.reasoning.startswith("so </think")


def test_gpt_oss_reasons_in_its_channel_and_answers_in_the_final_one(
    puppet: llamacy.Model,
) -> None:
    says = (
        "<|channel|>analysis<|message|>Let me see.<|end|><|start|>assistant"
        f"<|channel|>final<|message|>{ANSWER}<|return|>"
    )
    answer = ask(puppet, says, chat_format=HARMONY)
    assert (answer.text, answer.parsed) == (ANSWER, VALUE)
    assert answer.reasoning == "Let me see."
    answer = ask(puppet, f"<|channel|>final<|message|>{ANSWER}", chat_format=HARMONY)
    assert (answer.parsed, answer.reasoning) == (VALUE, "")
    answer = ask(
        puppet, f"<|channel|>commentary<|message|>{ANSWER}", chat_format=HARMONY
    )
    assert answer.text in ("", answer.text.replace("commentary", ""))


@pytest.mark.parametrize("n", [1, 9, 10, 13, 20, len(ANSWER) - 1])
def test_a_given_beginning_is_followed(puppet: llamacy.Model, n: int) -> None:
    answer = ask(puppet, ANSWER[n:], **begun(ANSWER[:n]))
    assert (answer.text, answer.parsed) == (ANSWER[n:], VALUE)


def test_a_given_beginning_may_have_other_spaces(puppet: llamacy.Model) -> None:
    first = '{\n  "name":"Ada",'
    answer = ask(puppet, '\n  "n": 1\n}', **begun(first))
    assert answer.parsed == {"name": "Ada", "n": 1}
    assert first + answer.text == '{\n  "name":"Ada",\n  "n": 1\n}'


def test_given_reasoning_goes_on_or_is_over(puppet: llamacy.Model) -> None:
    over = {"reasoning_content": "I know.", "content": '{"name": "A'}
    answer = ask(puppet, 'da", "n": 22}', begun=[{"role": "assistant", **over}])
    assert (answer.parsed, answer.text) == (VALUE, 'da", "n": 22}')
    going = [{"role": "assistant", "content": "", "reasoning_content": "I kn"}]
    answer = ask(puppet, f"ow.\n</think>\n\n{ANSWER}", begun=going)
    assert answer.parsed == VALUE


def test_a_beginning_that_breaks_the_form_is_refused(puppet: llamacy.Model) -> None:
    with pytest.raises(
        llamacy.ArgumentError,
        match=r"^messages\[-1\]: wanted the beginning of an answer that json_schema "
        r"allows, found '5' behind 9 characters of one$",
    ):
        ask(puppet, "", **begun('{"name": 5'))


def test_conversations_together_and_in_a_task_follow_the_form(
    puppet: llamacy.Model,
) -> None:
    options: dict[str, Any] = {
        "json_schema": SCHEMA,
        "chat_format": SWITCHED,
        "template_arguments": {"enable_thinking": False},
        "max_tokens": 60,
        "temperature": 0,
    }
    answers = puppet.chat(["Who?", "And who?"], **options)
    assert all(answer.parsed["n"] in (1, 22) for answer in answers)
    (one,) = puppet.chat_each(["Who?"], **options)
    assert one.result.parsed == answers[0].parsed
    assert asyncio.run(puppet.achat("Who?", **options)).parsed == answers[0].parsed

    async def run() -> Any:
        async with puppet.astream_chat("Who?", **options) as stream:
            text = "".join([piece.text async for piece in stream])
        return text, stream.completion

    text, whole = asyncio.run(run())
    assert (text, whole.parsed) == (answers[0].text, answers[0].parsed)
