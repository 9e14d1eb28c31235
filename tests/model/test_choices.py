"""`choose`: the likeliest of several labels, by the model's own logits."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import llamacy
from llamacy.ops.batch import Batch

FRANCE, ITALY = "The capital of France is", "The capital of Italy is"
CITIES = ["Rome", "Paris", "Berlin"]


@pytest.fixture(scope="module")
def model() -> Iterator[llamacy.Model]:
    with llamacy.load("demo") as model:
        yield model


def logprob(model: llamacy.Model, prompt: list[int], label: list[int]) -> float:
    """The log-probability of a label after a prompt, from all logits."""
    rows = model.logits([*prompt, *label]).astype(np.float64)[len(prompt) - 1 : -1]
    logs = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
    return math.fsum(logs[range(len(label)), label])


def test_logprobs_are_those_of_a_label_with_a_space_and_without(
    model: llamacy.Model,
) -> None:
    choice = model.choose(FRANCE, CITIES)
    prompt = model.tokenize(FRANCE)
    for label in CITIES:
        forms = [model.tokenize(FRANCE + text + label) for text in ("", " ")]
        assert [form[: len(prompt)] for form in forms] == [prompt] * 2
        parts = [logprob(model, prompt, form[len(prompt) :]) for form in forms]
        wanted = np.logaddexp(parts[0], parts[1])
        assert choice.logprobs[label] == pytest.approx(wanted, abs=1e-4)
    assert (choice.label, choice.index, str(choice)) == ("Paris", 1, "Paris")
    assert sum(choice.probabilities.values()) == pytest.approx(1)
    assert [*choice.probabilities] == [*choice.logprobs] == CITIES


@pytest.mark.parametrize("prompt", [FRANCE, f"{FRANCE} "])
def test_neither_a_space_after_the_prompt_nor_before_a_label_matters(
    model: llamacy.Model, prompt: str
) -> None:
    plain = model.choose(FRANCE, CITIES)
    spaced = model.choose(prompt, [f" {city}" for city in CITIES])
    assert spaced.label == f" {plain.label}"
    assert [*spaced.probabilities.values()] == pytest.approx(
        [*plain.probabilities.values()], abs=1e-3
    )


def test_a_label_that_begins_another_does_not_count_the_longer_one(
    model: llamacy.Model,
) -> None:
    # The tale ends "happily ever after."
    tale = "They all lived happily"
    alone = model.choose(tale, [" ever"]).logprobs[" ever"]
    both = model.choose(tale, [" ever", " ever after"])
    assert both.label == " ever after"
    parts = [math.exp(both.logprobs[label]) for label in both.logprobs]
    assert sum(parts) == pytest.approx(math.exp(alone), rel=1e-3)
    three = model.choose(tale, [" ever", " ever after", " ever after."])
    assert three.label == " ever after."
    total = sum(math.exp(each) for each in three.logprobs.values())
    assert total == pytest.approx(math.exp(alone), rel=1e-3)


def test_a_mean_is_of_the_tokens_of_the_likelier_form(model: llamacy.Model) -> None:
    prompt = model.tokenize("Once")
    # one form after ids, as a line before it leaves no other
    label = "\nupon a time"
    n_tokens = len(model.tokenizer.encode(label, add_bos=False, continues=True))
    assert n_tokens > 1
    total = model.choose(prompt, [label]).logprobs[label]
    mean = model.choose(prompt, [label], normalize="mean").logprobs[label]
    assert mean == pytest.approx(total / n_tokens)


def test_a_conversation_is_answered_through_its_template(model: llamacy.Model) -> None:
    messages = [{"role": "user", "content": "What is 12 + 30?"}]
    choice = model.choose(messages, ["40", "42"])
    assert choice.label == "42"
    assert choice == model.choose(model.chat_prompt(messages), ["40", "42"])
    several = model.choose([messages, messages], ["40", "42"])
    assert [each.label for each in several] == ["42", "42"]
    with pytest.raises(llamacy.ArgumentError, match="^chat_format: wanted messages"):
        model.choose(FRANCE, CITIES, chat_format="chatml")


def test_several_prompts_have_a_choice_each_in_order(model: llamacy.Model) -> None:
    prompts = [FRANCE, ITALY] * 10
    choices = model.choose(prompts, CITIES)
    assert [str(choice) for choice in choices] == ["Paris", "Rome"] * 10
    assert choices[0].logprobs == pytest.approx(model.choose(FRANCE, CITIES).logprobs)


def test_the_prompt_is_read_once(
    model: llamacy.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    forward = model.executor.forward

    def counted(batch: Batch, *args: Any, **options: Any) -> Any:
        passes.append(len(batch.tokens))
        return forward(batch, *args, **options)

    monkeypatch.setattr(model.executor, "forward", counted)
    words = ["apple", "banana", "cherry", "nothing of the kind"]
    prompt = model.tokenize("My favourite fruit is the")
    model.choose(prompt, words)
    encode = model.tokenizer.encode
    texts = [space + word for word in words for space in ("", " ")]
    forms = [encode(text, add_bos=False, continues=True) for text in texts]
    n_rows = sum(map(len, {tuple([0, *form[:-1]]) for form in forms}))
    assert sum(passes) == len(prompt) - 1 + n_rows


def test_achoose_chooses_the_same(model: llamacy.Model) -> None:
    async def both() -> tuple[llamacy.Choice, list[llamacy.Choice]]:
        one = model.achoose(FRANCE, CITIES)
        several = model.achoose([FRANCE, ITALY], CITIES)
        return await asyncio.gather(one, several)

    one, (_, other) = asyncio.run(both())
    assert (one.label, other.label) == ("Paris", "Rome")


def test_bad_arguments_and_closed_models_raise(model: llamacy.Model) -> None:
    with pytest.raises(llamacy.ArgumentError, match="^labels: .*found none"):
        model.choose(FRANCE, [])
    with pytest.raises(llamacy.ArgumentError, match="^normalize: wanted one of sum"):
        model.choose(FRANCE, CITIES, normalize="max")  # type: ignore[call-overload]
    with pytest.raises(llamacy.ArgumentError, match="^prompt: "):
        model.choose(7, CITIES)  # type: ignore[call-overload]
    with pytest.raises(llamacy.UnknownOptionError, match="did you mean labels"):
        model.choose(FRANCE, choices=CITIES)  # type: ignore[call-overload]
    with llamacy.load("demo", n_ctx=8) as small:
        with pytest.raises(llamacy.ContextLengthError, match="of 8 tokens"):
            small.choose(FRANCE, ["Paris", "quite another town of the country"])
        assert small.choose("The capital of", ["France"]).index == 0
    with pytest.raises(llamacy.ClosedError):
        small.choose(FRANCE, CITIES)


def test_a_cancelled_choice_raises(model: llamacy.Model) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(llamacy.CancelledError):
        model.choose(FRANCE, CITIES, cancel=cancel)
    assert model.choose(FRANCE, CITIES).label == "Paris"


def test_the_error_of_a_prompt_among_several_names_it(model: llamacy.Model) -> None:
    prompts: Any = [FRANCE, [-1]]
    with pytest.raises(llamacy.ArgumentError, match=r"^prompts\[1\]: ") as info:
        model.choose(prompts, CITIES)
    assert info.value.index == 1
    nothing: Any = []
    assert model.choose(nothing, CITIES) == nothing


def test_progress_ends_at_1(model: llamacy.Model) -> None:
    shares: list[float] = []
    model.choose([FRANCE, ITALY], CITIES, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
