"""Both kinds of tokenizer: arguments, BOS and EOS, special tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from llamacy.errors import ArgumentError
from llamacy.tokenizers import Tokenizer, tokenizer_from_metadata

Make = Callable[..., Tokenizer]


@pytest.fixture(params=["spm", "bpe"])
def make(request: pytest.FixtureRequest) -> Make:
    metadata = request.getfixturevalue(f"{request.param}_metadata")
    return lambda **changes: tokenizer_from_metadata(metadata(**changes), "x.gguf")


def _id(tokenizer: Tokenizer, piece: str) -> int:
    return next(i for i in range(tokenizer.n_vocab) if tokenizer.piece(i) == piece)


@pytest.mark.parametrize("value", [b"text", None, 3, ["text"]])
def test_encode_refuses_values_that_are_not_strings(make: Make, value: Any) -> None:
    with pytest.raises(ArgumentError, match="wanted a str, found"):
        make().encode(value)


def test_encode_refuses_half_a_surrogate_pair(make: Make) -> None:
    with pytest.raises(ArgumentError, match=r"U\+D83D at character 2"):
        make().encode("ab\ud83d")


def test_the_parts_of_encode_give_the_same_ids(make: Make) -> None:
    tokenizer = make()
    end = min(tokenizer.eog_ids)
    text = f"the cat{tokenizer.piece(end)} sat"
    parts = tokenizer.split(text)
    assert parts == ["the cat", end, " sat"]
    whole = tokenizer.encode(text, add_bos=False, parse_special=True)
    assert tokenizer.encode_parts(parts) == whole
    plain = tokenizer.encode(text, add_bos=False)
    assert tokenizer.encode_parts([text]) == plain
    goes_on = tokenizer.encode(" sat", add_bos=False, continues=True)
    assert tokenizer.encode_parts(["", " sat"], continues=True) == goes_on
    assert tokenizer.piece(end) in tokenizer.markers
    with pytest.raises(ArgumentError, match="U\\+D83D"):
        tokenizer.split("\ud83d")


@pytest.mark.parametrize("token", [-1, 100_000, 2**70, -(2**70)])
def test_ids_out_of_range_are_refused(make: Make, token: int) -> None:
    tokenizer = make()
    for call in (
        tokenizer.token_bytes,
        tokenizer.piece,
        lambda i: tokenizer.decode([i]),
    ):
        with pytest.raises(
            ArgumentError, match=f"wanted 0 to {tokenizer.n_vocab - 1}, found {token}"
        ):
            call(token)


@pytest.mark.parametrize("token", ["a", 1.0, None])
def test_ids_of_a_wrong_type_are_refused(make: Make, token: Any) -> None:
    with pytest.raises(ArgumentError, match="wanted an int"):
        make().decode([token])


def test_decode_takes_numpy_ids(make: Make) -> None:
    tokenizer = make()
    ids = np.array(tokenizer.encode("the cat"), np.int32)
    assert tokenizer.decode(ids) == "the cat"


def test_invalid_utf8_is_replaced(make: Make) -> None:
    tokenizer = make()
    ids = tokenizer.encode("a🙂", add_bos=False)
    assert tokenizer.decode(ids[:-1]) == "a\ufffd"


def test_an_empty_text_has_only_bos(make: Make) -> None:
    tokenizer = make(add_bos_token=True)
    assert tokenizer.encode("") == [tokenizer.bos_id]
    assert tokenizer.encode("", add_bos=False) == []
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize("in_file", [True, False])
@pytest.mark.parametrize("asked", [True, False, None])
def test_bos_is_added_as_the_file_or_the_caller_says(
    make: Make, in_file: bool, asked: bool | None
) -> None:
    tokenizer = make(add_bos_token=in_file)
    ids = tokenizer.encode("the", add_bos=asked)
    bare = tokenizer.encode("the", add_bos=False)
    added = in_file if asked is None else asked
    assert ids == ([tokenizer.bos_id] if added else []) + bare
    assert tokenizer.decode(ids) == "the"


def test_eos_is_added_as_the_file_says(make: Make) -> None:
    tokenizer = make(add_eos_token=True, add_bos_token=False)
    assert tokenizer.encode("the")[-1] == tokenizer.eos_id
    assert tokenizer.encode("the", add_bos=False)[-1] != tokenizer.eos_id


@pytest.mark.parametrize("which", ["bos", "eos"])
@pytest.mark.parametrize("token", [None, 10**6])
def test_a_token_to_be_added_that_does_not_exist_is_not_added(
    bpe_metadata: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    which: str,
    token: int | None,
) -> None:
    changes = {f"add_{which}_token": True, f"{which}_token_id": token}
    tokenizer = tokenizer_from_metadata(bpe_metadata(**changes), "x.gguf")
    assert (tokenizer.add_bos, tokenizer.add_eos) == (False, False)
    assert tokenizer.encode("a") == tokenizer.encode("a", add_bos=False)
    assert f"add_{which}_token: ignored" in caplog.text


def test_asking_for_a_missing_bos_token_is_an_error(
    bpe_metadata: Callable[..., Any],
) -> None:
    tokenizer = tokenizer_from_metadata(bpe_metadata(bos_token_id=None), "x.gguf")
    assert tokenizer.bos_id is None
    with pytest.raises(ArgumentError, match="no BOS token"):
        tokenizer.encode("a", add_bos=True)


def test_control_tokens_are_parsed_on_request_only(make: Make) -> None:
    tokenizer = make(add_bos_token=False)
    assert tokenizer.eos_id is not None
    piece = tokenizer.piece(tokenizer.eos_id)
    text = f"the{piece}cat"
    plain = tokenizer.encode(text)
    assert tokenizer.eos_id not in plain
    assert tokenizer.decode(plain) == text
    parsed = tokenizer.encode(text, parse_special=True)
    assert parsed.count(tokenizer.eos_id) == 1
    assert tokenizer.decode(parsed, skip_special=False) == text
    assert tokenizer.decode(parsed) == "thecat"


def test_user_defined_tokens_are_always_parsed(make: Make) -> None:
    tokenizer = make(add_bos_token=False)
    tool = _id(tokenizer, "<tool>")
    text = "  a<tool><tool> the"
    ids = tokenizer.encode(text)
    assert ids.count(tool) == 2
    assert tokenizer.decode(ids) == text
    assert tokenizer.token_bytes(tool) == b"<tool>"


def test_unused_tokens_are_never_encoded(make: Make) -> None:
    tokenizer = make(add_bos_token=False)
    for piece in ("[PAD]", "[unused]"):
        ids = tokenizer.encode(piece, parse_special=True)
        assert len(ids) > 1 and tokenizer.decode(ids) == piece


def test_the_longest_special_token_wins(bpe_metadata: Callable[..., Any]) -> None:
    metadata = bpe_metadata()
    tokens = [*metadata["tokenizer.ggml.tokens"], "<a>", "<a>b", "b<a>b"]
    types = [*metadata["tokenizer.ggml.token_type"], 3, 3, 3]
    changed = bpe_metadata(tokens=tokens, token_type=types)
    tokenizer = tokenizer_from_metadata(changed, "x.gguf")
    ids = tokenizer.encode("<a>b<a>b<a>", parse_special=True)
    assert [tokenizer.piece(i) for i in ids] == ["<a>", "b<a>b", "<a>"]


def test_control_tokens_have_no_bytes(make: Make) -> None:
    tokenizer = make()
    assert tokenizer.bos_id is not None
    assert tokenizer.token_bytes(tokenizer.bos_id) == b""
    assert tokenizer.decode([tokenizer.bos_id]) == ""
    written = tokenizer.decode([tokenizer.bos_id], skip_special=False)
    assert written == tokenizer.piece(tokenizer.bos_id)


def test_empty_tokens_are_tolerated(make: Make) -> None:
    full = make()
    tokens = [full.piece(i) for i in range(full.n_vocab)]
    tokens[-1] = tokens[-2] = ""
    tokenizer = make(tokens=tokens)
    assert tokenizer.decode(tokenizer.encode("the cat")) == "the cat"
    assert tokenizer.decode([tokenizer.n_vocab - 1]) == ""
