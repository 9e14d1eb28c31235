"""Context shift: answers that go on when the context is full, and what they report."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import llamacy
from llamacy.chat.overflow import Shift, Turns
from llamacy.sampling import SamplingParams
from tests.support.puppet import saying

N_CTX = 256
TALK: list[dict[str, Any]] = [{"role": "system", "content": "be"}]
for _turn in range(3):
    TALK += [
        {"role": "user", "content": "bada bu " * 2},
        {"role": "assistant", "content": "dodo du " * 2},
    ]
TALK.append({"role": "user", "content": "go on"})
ENDLESS: Any = {"temperature": 0, "logit_bias": {2: -1e9}, "overflow": "shift"}


@pytest.fixture(scope="module")
def model(babble_model: Any) -> Any:
    with llamacy.load(babble_model) as model:
        yield model


def turns(*lengths: int, roles: str = "suauau") -> Turns:
    """Return a conversation of messages with these lengths; a token is its index."""
    names = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}
    messages = [
        {"role": names[role], "content": [i] * n}
        for i, (role, n) in enumerate(zip(roles, lengths, strict=True))
    ]
    return Turns(messages, lambda some: [i for each in some for i in each["content"]])


@pytest.mark.parametrize(
    ("roles", "kept"),
    [
        # an agent's turn: each answer goes with its results, the question stays
        ("suatatat", [[], [2, 3], [2, 3, 4, 5]]),
        # one answer may have several calls, and results
        ("uattatt", [[], [1, 2, 3]]),
        # turns go first
        ("suauatat", [[], [1, 2], [1, 2, 4, 5]]),
        # the beginning of the answer stays last
        ("uatata", [[], [1, 2], [1, 2, 3, 4]]),
        ("suau", [[], [1, 2]]),
        ("satata", [[], [1, 2], [1, 2, 3, 4]]),
        ("su", [[]]),
        ("ss", [[]]),
    ],
)
def test_an_agents_calls_are_left_out_with_their_results(
    roles: str, kept: list[list[int]]
) -> None:
    """`kept` has the messages left out, at each step."""
    one_each = turns(*[1] * len(roles), roles=roles)
    everything = list(range(len(roles)))
    for without in kept:
        wanted = [i for i in everything if i not in without]
        assert one_each.fit(len(wanted)) == (wanted, len(without))
    # nothing else may go
    assert one_each.fit(0) == (wanted, len(without))


def test_a_shift_drops_whole_turns_first_and_then_the_answers_beginning() -> None:
    shift = Shift(turns(5, 10, 10, 10, 10, 5), 100, 0)
    answer = list(range(100, 150))
    # half of 100 is freed; the answer and the system message alone take more than 50
    ids = shift(answer)
    assert ids == [0] * 5 + [5] * 5 + answer[5:]
    assert (shift.n_dropped, shift.n_forgotten) == (4, 5)
    answer += range(150, 195)
    assert len([*ids, *answer[50:]]) == 100
    assert shift(answer) == [0] * 5 + [5] * 5 + answer[50:]
    assert (shift.n_dropped, shift.n_forgotten) == (4, 50)


def test_a_shift_drops_as_few_turns_as_possible() -> None:
    shift = Shift(turns(5, 30, 30, 5, 5, 5), 100, 0)
    answer = list(range(100, 120))
    assert shift(answer) == [0] * 5 + [3] * 5 + [4] * 5 + [5] * 5 + answer
    assert (shift.n_dropped, shift.n_forgotten) == (2, 0)


def test_a_shift_gives_up_if_the_last_turn_leaves_too_little_room() -> None:
    # the user's last message fills all but a tenth of the context
    shift = Shift(turns(5, 10, 10, 10, 10, 85), 100, 4)
    assert shift(list(range(10))) is None
    shift = Shift(turns(5, 10, 10, 10, 10, 80), 100, 4)
    assert shift(list(range(15))) == [0] * 5 + [5] * 80 + list(range(8, 15))


def test_an_answer_goes_on_past_the_end_of_the_context(
    model: llamacy.Model, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "llamacy")
    prompt = model.chat_prompt(TALK)
    assert len(prompt) < N_CTX - N_CTX // 4
    answer = model.chat(TALK, max_tokens=500, **ENDLESS)
    assert (len(answer.tokens), answer.finish_reason) == (500, "length")
    assert answer.n_dropped == 6
    assert answer.n_forgotten > 200
    assert answer.usage.prompt_tokens == len(prompt)
    assert answer.usage.completion_tokens == 500
    assert "the context is full: 6 messages left out" in caplog.text

    # After each shift, the model generates what it would after the remaining tokens.
    remaining = model.chat_prompt([TALK[0], TALK[-1]])
    n = N_CTX - len(prompt)
    n_forgotten = max(n - (N_CTX - len(remaining)) // 2, 0)
    while n < 500:
        ids = [*remaining, *answer.tokens[n_forgotten:n]]
        assert len(ids) < N_CTX
        n_new = min(N_CTX - len(ids), 500 - n)
        params = SamplingParams(max_tokens=n_new, temperature=0, logit_bias={2: -1e9})
        assert model.generate(ids, params).tokens == answer.tokens[n : n + n_new]
        n += n_new
        if n < 500:
            n_forgotten = n - (N_CTX - len(remaining)) // 2
    assert answer.n_forgotten == n_forgotten


def test_a_stream_goes_on_past_the_end_of_the_context(model: llamacy.Model) -> None:
    answer = model.chat(TALK, max_tokens=300, **ENDLESS)
    with model.stream_chat(TALK, max_tokens=300, **ENDLESS) as stream:
        assert "".join(piece.text for piece in stream) == answer.text
    whole = stream.completion
    assert whole.tokens == answer.tokens
    assert (whole.n_dropped, whole.n_forgotten) == (
        answer.n_dropped,
        answer.n_forgotten,
    )


def test_without_a_shift_the_answer_ends_when_the_context_is_full(
    model: llamacy.Model,
) -> None:
    options = {**ENDLESS, "overflow": "truncate"}
    answer = model.chat(TALK, **options)
    assert answer.finish_reason == "length"
    assert answer.usage.total_tokens == N_CTX
    assert (answer.n_dropped, answer.n_forgotten) == (0, 0)
    # an answer that fits is not affected
    short = model.chat("bada", max_tokens=5, **ENDLESS)
    assert (short.n_dropped, short.n_forgotten) == (0, 0)


def test_the_model_can_end_an_answer_after_a_shift(model: llamacy.Model) -> None:
    said = saying(model, *"bada " * 80) | {"overflow": "shift"}
    answer = model.chat(TALK, **said)
    assert answer.text.strip() == ("bada " * 80).strip()
    assert answer.finish_reason == "stop"
    assert answer.n_forgotten > 0


def test_a_shift_does_not_change_texts_generated_meanwhile(
    model: llamacy.Model,
) -> None:
    alone = model.generate("bada bu", max_tokens=200, temperature=0)
    with model.stream_chat(TALK, max_tokens=500, **ENDLESS) as stream:
        next(stream)
        beside = model.generate("bada bu", max_tokens=200, temperature=0)
        list(stream)
    assert beside.tokens == alone.tokens
    assert (
        stream.completion.tokens == model.chat(TALK, max_tokens=500, **ENDLESS).tokens
    )


def test_a_template_that_fails_during_a_shift_raises(model: llamacy.Model) -> None:
    template = (
        "{% if messages | length < 5 %}{{ raise_exception('too few') }}{% endif %}"
        "{% for m in messages %}{{ m.content }}{% endfor %}"
    )
    with pytest.raises(llamacy.ChatTemplateError, match="too few"):
        model.chat(TALK, chat_format=template, max_tokens=500, **ENDLESS)
    # the model still works
    assert model.chat("bada", max_tokens=5, **ENDLESS).tokens
