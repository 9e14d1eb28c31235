"""Generating under a constraint: on the demo model, through every public call."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import pytest

import llamacy
from llamacy.errors import ArgumentError, ConstraintLimitError
from llamacy.sampling import Sampler, SamplingOptions
from llamacy.structured.matcher import Matcher
from tests.support.drafted import Foretold, drafting, foretelling, wrong_at_random

pytest.importorskip("llguidance")

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "tags": {"type": "array", "items": {"enum": ["red", "blue"]}, "maxItems": 2},
    },
    "required": ["name", "age", "tags"],
}
PROMPT = "Once upon a time"


@pytest.fixture(scope="module")
def model() -> Iterator[llamacy.Model]:
    with llamacy.load("demo") as model:
        yield model


def is_person(value: Any) -> bool:
    return (
        list(value) == ["name", "age", "tags"]
        and len(value["name"]) <= 12
        and 0 <= value["age"] <= 120
        and len(value["tags"]) <= 2
        and set(value["tags"]) <= {"red", "blue"}
    )


SAMPLING: list[dict[str, Any]] = [
    {"temperature": 0},
    {"temperature": 2, "top_k": 0, "top_p": 1, "min_p": 0},
    {"mirostat": 2, "temperature": 1.5},
    {"typical_p": 0.5, "xtc_probability": 0.5, "top_n_sigma": 2},
    {"dry_multiplier": 0.8, "repeat_penalty": 1.3, "frequency_penalty": 1},
]


@pytest.mark.parametrize("options", SAMPLING, ids=str)
def test_every_way_of_sampling_keeps_to_the_schema(
    model: llamacy.Model, options: dict[str, Any]
) -> None:
    params = llamacy.SamplingParams(
        json_schema=PERSON, max_tokens=90, seed=1, **options
    )
    texts = model.generate([PROMPT, "A"], params, n=3)
    for text in (one for several in texts for one in several):
        assert text.finish_reason == "stop"
        assert text.parsed == json.loads(text.text)
        assert is_person(text.parsed)
    if options.get("temperature") == 2:
        assert len({one.text for several in texts for one in several}) == 6


def test_forced_tokens_are_read_together_and_change_no_text(
    model: llamacy.Model,
) -> None:
    for temperature in (0.0, 1.5):
        params = llamacy.SamplingParams(
            json_schema=PERSON,
            max_tokens=90,
            temperature=temperature,
            seed=4,
            drafting=False,
        )
        quick = model.generate(PROMPT, params)
        slow = model.generate(PROMPT, params, logprobs=2)
        assert (quick.text, quick.tokens) == (slow.text, slow.tokens)
        assert slow.logprobs is not None
        assert len(slow.logprobs) == len(slow.tokens)
        n_tokens = len(quick.tokens)
        assert slow.timings.n_passes == n_tokens
        assert quick.timings.n_passes < 0.75 * n_tokens
        assert quick.timings.n_prompt_passes == 1
        assert quick.usage.completion_tokens == n_tokens


@pytest.mark.parametrize("temperature", [0.0, 0.9])
@pytest.mark.parametrize("logprobs", [None, 0])
def test_drafts_under_a_constraint_change_no_text(
    model: llamacy.Model, temperature: float, logprobs: int | None
) -> None:
    params = llamacy.SamplingParams(
        json_schema=PERSON,
        max_tokens=90,
        temperature=temperature,
        seed=2,
        logprobs=logprobs,
    )
    plain = model.generate(PROMPT, params, drafting=False)
    text = model.tokenize(PROMPT) + plain.tokens
    n_passes = []
    for change in (None, wrong_at_random(1, 2560)):
        with drafting(model, foretelling(text, change)):
            drafted = model.generate(PROMPT, params)
        assert (drafted.tokens, drafted.parsed) == (plain.tokens, plain.parsed)
        assert drafted.logprobs == plain.logprobs
        assert drafted.timings.n_generated == plain.timings.n_generated
        n_passes.append(drafted.timings.n_passes)
    if logprobs is None:  # forced tokens and drafts share passes
        assert n_passes[0] <= 2 + len(plain.tokens) // 10
    assert n_passes[0] < n_passes[1] < plain.timings.n_passes


def test_likelihoods_are_those_without_the_constraint(model: llamacy.Model) -> None:
    text = model.generate(PROMPT, regex="[0-9]", temperature=0, logprobs=0)
    assert text.logprobs is not None
    row = model.logits(model.tokenize(PROMPT))[-1].astype(np.float64)
    (token,) = text.tokens
    wanted = row[token] - row.max() - np.log(np.exp(row - row.max()).sum())
    assert text.logprobs[0].logprob == pytest.approx(wanted, abs=1e-4)


def test_a_text_that_is_whole_ends_without_another_pass(model: llamacy.Model) -> None:
    text = model.generate(PROMPT, choices=["yes", "no"], max_tokens=50)
    assert text.text in ("yes", "no")
    assert text.finish_reason == "stop"
    assert text.timings.n_passes <= len(text.tokens)
    end = model.generate(PROMPT, regex="a*", logit_bias={ord("a"): -5}, seed=1)
    assert set(end.text) <= {"a"}
    assert end.finish_reason == "stop"


def test_running_out_of_tokens_leaves_the_partial_text(model: llamacy.Model) -> None:
    whole = model.generate(PROMPT, json_schema=PERSON, temperature=0)
    for n in range(1, len(whole.tokens)):
        cut = model.generate(PROMPT, json_schema=PERSON, temperature=0, max_tokens=n)
        assert cut.tokens == whole.tokens[:n]
        assert whole.text.startswith(cut.text)
        assert (cut.finish_reason, cut.parsed) == ("length", None)
    same = model.generate(
        PROMPT, json_schema=PERSON, temperature=0, max_tokens=len(whole.tokens)
    )
    assert (same.finish_reason, same.parsed) == ("stop", whole.parsed)


def test_a_stop_string_ends_the_text_without_a_value(model: llamacy.Model) -> None:
    text = model.generate(PROMPT, json_schema=PERSON, temperature=0, stop='"age"')
    assert text.text.endswith(", ")
    assert (text.finish_reason, text.parsed) == ("stop", None)


def test_processors_and_biases_cannot_bring_back_what_is_forbidden(
    model: llamacy.Model,
) -> None:
    def insist(_: Any, logits: Any) -> None:
        logits[:] = 0
        logits[model.tokenize("x", add_bos=False)[-1]] = 50

    everything = dict.fromkeys(range(0, model.tokenizer.n_vocab, 7), 100.0)
    for options in ({"logits_processors": insist}, {"logit_bias": everything}):
        text = model.generate(PROMPT, regex="[ab]{3}", temperature=0, **options)
        assert len(text.text) == 3
        assert set(text.text) <= set("ab")


def test_a_bias_that_bans_all_that_may_follow_is_an_error(model: llamacy.Model) -> None:
    bans = dict.fromkeys(range(model.tokenizer.n_vocab), float("-inf"))
    with pytest.raises(llamacy.ArgumentError, match="wanted a finite logit to choose"):
        model.generate(PROMPT, regex="[ab]{3}", logit_bias=bans)


def test_every_call_takes_a_form(model: llamacy.Model) -> None:
    options: SamplingOptions = {"json_schema": PERSON, "temperature": 0}
    wanted = model.generate(PROMPT, **options)
    with model.stream(PROMPT, **options) as stream:
        text = "".join(piece.text for piece in stream)
    assert text == wanted.text
    assert stream.completion.parsed == wanted.parsed
    each = [one.result for one in model.generate_each([PROMPT], **options)]
    assert each[0].parsed == wanted.parsed
    with model.session() as session:
        session.feed(PROMPT)
        assert session.generate(**options).text == wanted.text
        assert session.text.endswith(wanted.text)
        again = session.generate(" and", regex="[0-9]{2}", temperature=0)
        assert again.text.isdecimal()

    async def run() -> Any:
        whole = await model.agenerate([PROMPT, PROMPT], **options)
        async with model.astream(PROMPT, **options) as pieces:
            text = "".join([piece.text async for piece in pieces])
        return whole, text

    whole, text = asyncio.run(run())
    assert [one.text for one in whole] == [wanted.text] * 2
    assert text == wanted.text


def test_a_bad_schema_fails_before_anything_is_generated(model: llamacy.Model) -> None:
    bad: Any = {"properties": {"a": {"not": {}}}}
    with pytest.raises(llamacy.ConstraintError, match="json_schema: #/properties/a/no"):
        model.generate(PROMPT, json_schema=bad)
    with pytest.raises(llamacy.ConstraintError, match="#/properties/a/not"):
        model.stream(PROMPT, json_schema=bad)
    (error,) = model.generate([PROMPT], json_schema=bad, on_error="return")
    assert isinstance(error, llamacy.ConstraintError)


def test_texts_with_and_without_a_form_run_together(model: llamacy.Model) -> None:
    async def run() -> Any:
        calls = [
            model.agenerate(PROMPT, json_schema=PERSON, temperature=0),
            model.agenerate(PROMPT, max_tokens=30, temperature=0),
            model.agenerate(PROMPT, regex="[a-z ]{20}", temperature=0),
        ]
        return await asyncio.gather(*calls)

    person, plain, letters = asyncio.run(run())
    assert is_person(person.parsed)
    assert plain.text == model.generate(PROMPT, max_tokens=30, temperature=0).text
    assert len(letters.text) == 20


def test_a_pydantic_class_parses_the_text_or_refuses_it(model: llamacy.Model) -> None:
    pydantic = pytest.importorskip("pydantic")
    few = pydantic.create_model("Few", n=(int, pydantic.Field(ge=0, le=99)))
    text = model.generate(PROMPT, json_schema=few, temperature=0)
    assert text.parsed == few.model_validate_json(text.text)
    assert isinstance(text.parsed, few)
    listed = model.generate(
        PROMPT, json_schema=pydantic.TypeAdapter(list[bool]), max_tokens=60, seed=1
    )
    assert listed.parsed is None or set(listed.parsed) <= {True, False}

    def refuse(value: int) -> int:
        raise ValueError("not this one")

    number = Annotated[
        int, pydantic.Field(ge=0, le=99), pydantic.AfterValidator(refuse)
    ]
    never = pydantic.create_model("Never", n=(number, ...))
    params = llamacy.SamplingParams(json_schema=never, temperature=0)
    error, _ = model.generate([PROMPT, "A"], params, on_error="return")
    assert isinstance(error, llamacy.MismatchError)
    assert json.loads(error.completion.text).keys() == {"n"}
    assert isinstance(error.__cause__, pydantic.ValidationError)
    with pytest.raises(llamacy.MismatchError, match=r"^prompts\[0\]: json_schema: "):
        model.generate([PROMPT, "A"], params)
    with pytest.raises(llamacy.MismatchError, match="not this one"):
        next(iter(model.generate_each([PROMPT], params)))


GREEDY: list[dict[str, Any]] = [
    {},
    {"repeat_penalty": 1.4, "penalty_last_n": 16},
    {"dry_multiplier": 0.8, "dry_allowed_length": 1, "presence_penalty": 1.5},
    {"logit_bias": {5: 3.0, 300: 40.0, 301: -100}},
]


@pytest.mark.parametrize("options", GREEDY, ids=str)
def test_the_likeliest_token_is_the_same_without_a_mask(
    model: llamacy.Model, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Greedy texts ask for a mask only where the likeliest token may not follow."""
    n_masks = 0
    compute = Matcher._compute

    def counted(self: Matcher) -> Any:
        nonlocal n_masks
        n_masks += 1
        return compute(self)

    params = llamacy.SamplingParams(
        json_schema=PERSON, max_tokens=90, temperature=0, drafting=False, **options
    )
    monkeypatch.setattr(Matcher, "_compute", counted)
    quick = model.generate(PROMPT, params)
    few, n_masks = n_masks, 0
    monkeypatch.setattr(Sampler, "takes_first", False)
    slow = model.generate(PROMPT, params)
    assert (quick.text, quick.tokens) == (slow.text, slow.tokens)
    assert quick.logprobs == slow.logprobs
    assert few < n_masks


def test_biases_that_leave_nothing_to_choose_are_an_error(model: llamacy.Model) -> None:
    bias = dict.fromkeys(range(model.config.n_vocab), -math.inf)
    for temperature in (0, 1):
        with pytest.raises(ArgumentError, match="a finite logit to choose"):
            model.generate(
                PROMPT, json_schema=PERSON, logit_bias=bias, temperature=temperature
            )
    only = {**bias, model.tokenize("b", add_bos=False)[0]: 0.0}
    with pytest.raises(ArgumentError, match="a finite logit to choose"):
        model.generate(PROMPT, regex="[ac]x", logit_bias=only, temperature=0)


class OneAhead(Foretold):
    """Proposes the next token alone."""

    def propose(self, n: int) -> list[int]:
        return super().propose(min(n, 1))


def test_tokens_that_must_follow_a_drafted_one_are_in_its_pass(
    model: llamacy.Model,
) -> None:
    """Each pass leads to two choices, whatever must follow the first one."""
    params = llamacy.SamplingParams(json_schema=PERSON, max_tokens=90, temperature=0)
    plain = model.generate(PROMPT, params, drafting=False)
    text = model.tokenize(PROMPT) + plain.tokens
    with drafting(model, lambda ids: OneAhead(ids, text)):
        found = model.generate(PROMPT, params)
    assert found.tokens == plain.tokens
    n_choices = plain.timings.n_generation_passes
    assert n_choices < len(plain.tokens) - 8  # others had to follow
    assert found.timings.n_generation_passes <= n_choices // 2 + 1
    assert found.usage.accepted_tokens == found.usage.drafted_tokens


def test_an_error_while_a_draft_is_checked_ends_that_text_alone(
    model: llamacy.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = llamacy.SamplingParams(json_schema=PERSON, max_tokens=90, temperature=0)
    plain = model.generate(PROMPT, params, drafting=False)
    text = model.tokenize(PROMPT) + plain.tokens
    errors = [ConstraintLimitError("json_schema: too many states")]
    foresee = Matcher.foresee

    def fail_once(self: Matcher, tokens: list[int]) -> tuple[int, list[int]]:
        if errors:
            raise errors.pop()
        return foresee(self, tokens)

    monkeypatch.setattr(Matcher, "foresee", fail_once)
    with drafting(model, foretelling(text)):
        found = model.generate([PROMPT, PROMPT], params, on_error="return")
    failed = [one for one in found if isinstance(one, ConstraintLimitError)]
    (whole,) = [one for one in found if isinstance(one, llamacy.Completion)]
    assert len(failed) == 1
    assert whole.tokens == plain.tokens
