"""Odd arguments get errors of llamacy's own, which stay short."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import llamacy
from llamacy.arguments import (
    checked_choice,
    checked_integer,
    checked_number,
    checked_strings,
    short,
)
from llamacy.model.model import Model
from llamacy.printable import bounded, shown

LONG = 10**5000  # Python refuses to write it out


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class InBytes:
    def __fspath__(self) -> bytes:
        return b"none.gguf"


ODD: list[Any] = [
    *(None, True, -1, LONG, -LONG, 10**400, float("nan"), float("inf"), 1e308),
    *(Decimal("1e5000"), Decimal("sNaN"), Fraction(LONG), Fraction(1, 3), 1j),
    *(np.float16("inf"), np.uint64(2**64 - 1), np.array(3), np.array([[1, 2], [3, 4]])),
    *("a\ud800", "a\0b", "x" * 10**5, b"a", [LONG], {"a": LONG}, {LONG: 1}, (LONG,)),
    *(frozenset({LONG}), range(LONG), object(), Broken(), [Broken()], int),
    InBytes(),
]


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with llamacy.load("demo", n_ctx=64, n_threads=1) as model:
        yield model


CALLS: dict[str, Callable[[Model, Any], object]] = {
    "generate": lambda model, x: model.generate(x, max_tokens=1),
    "on_error": lambda model, x: model.generate("a", max_tokens=1, on_error=x),
    "cancel": lambda model, x: model.generate("a", max_tokens=1, cancel=x),
    "seed": lambda model, x: llamacy.SamplingParams(seed=x),
    "temperature": lambda model, x: llamacy.SamplingParams(temperature=x),
    "top_k": lambda model, x: llamacy.SamplingParams(top_k=x),
    "stop": lambda model, x: llamacy.SamplingParams(stop=x),
    "logit_bias": lambda model, x: llamacy.SamplingParams(logit_bias=x),
    "bias": lambda model, x: llamacy.SamplingParams(logit_bias={0: x}),
    "logits": lambda model, x: model.logits(x),
    "score": lambda model, x: model.score(x),
    "choose": lambda model, x: model.choose("a", x),
    "normalize": lambda model, x: model.choose("a", ["b", "c"], normalize=x),
    "detokenize": lambda model, x: model.detokenize(x),
    "decode": lambda model, x: model.tokenizer.decode(x),
    "piece": lambda model, x: model.tokenizer.piece(x),
    "split_text": lambda model, x: model.split_text("a b", x),
    "set_adapters": lambda model, x: model.set_adapters(x),
    "scale": lambda model, x: model.set_adapters(("none", x)),
    "load_session": lambda model, x: model.load_session(x),
    "rewind": lambda model, x: model.session().rewind(x),
    "content": lambda model, x: model.chat_prompt([{"role": "user", "content": x}]),
    "n_ctx": lambda model, x: llamacy.load("none.gguf", n_ctx=x),
    "source": lambda model, x: llamacy.load(x),
}


@pytest.mark.parametrize("call", list(CALLS))
def test_odd_values_raise_only_errors_of_llamacys_own(model: Model, call: str) -> None:
    n_refused = 0
    for value in ODD:
        if isinstance(value, range) and call in ("generate", "logits", "score"):
            continue  # it has as many ids as it says
        try:
            CALLS[call](model, value)
        except llamacy.LlamacyError as error:
            n_refused += 1
            assert len(str(error)) < 5000
    assert n_refused > 5


def test_values_in_messages_are_short_whatever_they_are() -> None:
    assert short(LONG) == "a whole number of about 5001 digits"
    assert short([LONG]) == "a list"
    assert short(Broken()) == "a Broken"
    assert len(short("x" * 1000)) == 80
    assert short(10**40) == "1" + "0" * 40
    assert shown(-LONG) == "a whole number of about 5001 digits"
    assert bounded(str, Fraction(LONG)) == "a Fraction"
    error = llamacy.FormatError("file", "field", LONG, -LONG)
    assert str(error).count("5001 digits") == 2
    path = "x" * 10**5
    assert len(str(llamacy.ModelFileError(2, "none", path))) < 5000


def test_numbers_of_other_types_are_taken() -> None:
    assert checked_integer("n", np.int64(3), 0) == 3
    assert checked_number("x", Fraction(1, 4)) == 0.25
    assert checked_number("x", np.float32(0.5)) == 0.5
    assert checked_choice("c", np.str_("a"), ["a", "b"]) == "a"
    assert checked_strings("s", np.array(["a", "b"])) == ("a", "b")
