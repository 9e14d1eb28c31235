"""Metadata that make no sense give a typed error, or a tokenizer that works."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llamacy.errors import FormatError, LlamacyError, UnsupportedError
from llamacy.tokenizers import Tokenizer, tokenizer_from_metadata

Make = Callable[..., dict[str, Any]]

_SETTINGS = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.text(max_size=5), max_size=5),
    st.lists(st.integers(-(2**63), 2**63), max_size=5),
    st.lists(st.floats(), max_size=5),
    # as GGUF files have them
    st.lists(st.integers(-(2**31), 2**31), max_size=3).map(np.array),
)


@pytest.fixture(params=["spm", "bpe"])
def make(request: pytest.FixtureRequest) -> Make:
    made: Make = request.getfixturevalue(f"{request.param}_metadata")
    return made


def _try(metadata: dict[str, Any]) -> Tokenizer | None:
    """Build and use a tokenizer; only typed errors may be raised."""
    try:
        tokenizer = tokenizer_from_metadata(metadata, "x.gguf")
    except FormatError as error:
        assert error.path == "x.gguf"
        assert error.field.startswith("tokenizer.ggml.")
        return None
    for text in ("", "the cat <s>\n 🙂", "<|eot_id|>\0"):
        try:
            ids = tokenizer.encode(text, parse_special=True)
            assert all(0 <= i < tokenizer.n_vocab for i in ids)
            tokenizer.decode(ids, skip_special=False)
        except LlamacyError:
            pass
    tokenizer.decode(range(tokenizer.n_vocab))
    return tokenizer


@pytest.mark.parametrize("name", ["model", "tokens"])
def test_a_missing_key_is_named(make: Make, name: str) -> None:
    with pytest.raises(FormatError, match="found nothing") as caught:
        tokenizer_from_metadata(make(**{name: None}), "x.gguf")
    assert caught.value.field == f"tokenizer.ggml.{name}"


def test_missing_scores_are_refused(spm_metadata: Make) -> None:
    with pytest.raises(FormatError, match="scores.*found nothing"):
        tokenizer_from_metadata(spm_metadata(scores=None), "x.gguf")


def test_missing_merges_are_refused(bpe_metadata: Make) -> None:
    with pytest.raises(FormatError, match="merges.*found nothing"):
        tokenizer_from_metadata(bpe_metadata(merges=None), "x.gguf")


@pytest.mark.parametrize("name", ["model", "pre"])
def test_unknown_names_are_printed_without_control_characters(
    bpe_metadata: Make, name: str
) -> None:
    # printed as it is, it would clear a terminal and then fill it
    hostile = {name: "\x1b[2J" + "x" * 70_000}
    with pytest.raises(UnsupportedError) as caught:
        tokenizer_from_metadata(bpe_metadata(**hostile), "x.gguf")
    assert len(str(caught.value)) < 2000
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("model", ["rwkv", "no_vocab", ""])
def test_an_unknown_tokenizer_model_is_refused(make: Make, model: str) -> None:
    with pytest.raises(UnsupportedError, match="one of bert, gemma4, gpt2, llama, t5"):
        tokenizer_from_metadata(make(model=model), "x.gguf")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", 3),
        ("tokens", "text"),
        ("tokens", [1, 2]),
        ("tokens", []),
        ("tokens", ["a", 2]),
        ("token_type", [1, 3]),
        ("token_type", "text"),
        ("token_type", 3),
        ("bos_token_id", "1"),
        ("bos_token_id", 1.0),
        ("eos_token_id", True),
        ("eot_token_id", [1]),
        ("add_bos_token", 1),
        ("add_eos_token", "true"),
    ],
)
def test_values_of_wrong_types_and_lengths_are_refused(
    make: Make, name: str, value: Any
) -> None:
    with pytest.raises(FormatError) as caught:
        tokenizer_from_metadata(make(**{name: value}), "x.gguf")
    assert caught.value.field.startswith(f"tokenizer.ggml.{name}")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e39, 10**400])
def test_scores_must_be_finite(spm_metadata: Make, value: float) -> None:
    scores = list(spm_metadata()["tokenizer.ggml.scores"])
    scores[5] = value
    with pytest.raises(FormatError) as caught:
        tokenizer_from_metadata(spm_metadata(scores=scores), "x.gguf")
    assert caught.value.field == "tokenizer.ggml.scores[5]"


@pytest.mark.parametrize("kind", [-1, 7, 2**40])
def test_unknown_token_types_are_refused(make: Make, kind: int) -> None:
    types = list(make()["tokenizer.ggml.token_type"])
    types[9] = kind
    with pytest.raises(FormatError) as caught:
        tokenizer_from_metadata(make(token_type=types), "x.gguf")
    assert caught.value.field == "tokenizer.ggml.token_type[9]"
    assert caught.value.found == kind


def test_duplicate_tokens_are_accepted(make: Make) -> None:
    tokens = list(make()["tokenizer.ggml.tokens"])
    tokens[-1] = tokens[70]
    with pytest.raises(FormatError, match="like token 70") as caught:
        tokenizer_from_metadata(make(tokens=tokens), "x.gguf")
    assert caught.value.field == f"tokenizer.ggml.tokens[{len(tokens) - 1}]"


def test_numpy_arrays_are_accepted(make: Make) -> None:
    plain = make()
    types = np.array(plain["tokenizer.ggml.token_type"], np.int32)
    changes: dict[str, Any] = {"token_type": types}
    if "tokenizer.ggml.scores" in plain:
        changes["scores"] = np.array(plain["tokenizer.ggml.scores"], np.float32)
    one, other = _try(plain), _try(make(**changes))
    assert one and other
    assert one.encode("the cat") == other.encode("the cat")


def test_a_vocabulary_of_control_tokens_alone(make: Make) -> None:
    n = len(make()["tokenizer.ggml.tokens"])
    for kind in range(6):
        _try(make(token_type=[kind] * n))


@_SETTINGS
@given(data=st.data())
def test_any_value_under_any_key_is_refused_or_works(
    make: Make, data: st.DataObject
) -> None:
    keys = [
        *make(),
        "add_bos_token",
        "add_eos_token",
        "eot_token_id",
        "unknown_token_id",
    ]
    key = data.draw(st.sampled_from(keys)).removeprefix("tokenizer.ggml.")
    _try(make(**{key: data.draw(_VALUES)}))


@_SETTINGS
@given(
    seed=st.randoms(use_true_random=False),
    count=st.integers(1, 30),
    other=st.text(max_size=6),
)
def test_mutated_vocabularies_are_refused_or_work(
    make: Make, seed: Any, count: int, other: str
) -> None:
    metadata = make()
    for _ in range(count):
        name = seed.choice(["tokens", "token_type", "scores", "merges"])
        values = list(metadata.get(f"tokenizer.ggml.{name}") or ())
        if not values:
            continue
        new: Any = seed.randrange(7)
        if name == "scores":
            new = seed.uniform(-1e38, 1e38)
        elif name != "token_type":
            new = seed.choice([other, seed.choice(values) + other, "<0x41>", "a b"])
        values[seed.randrange(len(values))] = new
        metadata[f"tokenizer.ggml.{name}"] = values
    _try(metadata)


def test_broken_vocabularies_print_nothing(
    make: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    tokens = list(make()["tokenizer.ggml.tokens"])
    tokens[40], tokens[41] = "\0", "x" * 2_000_000
    _try(make(tokens=tokens))
    _try(make(merges=["a b", "a" * 1000 + " b"]))
    assert capfd.readouterr() == ("", "")
