"""Byte-level BPE gives the ids of a slow twin that merges one pair at a time."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from llamacy.errors import ArgumentError, FormatError
from llamacy.tokenizers import Tokenizer, tokenizer_from_metadata
from llamacy.tokenizers.bpe import _bounded

_LETTERS = st.text(alphabet="theca isn'ts \n\t10.—ß猫🙂\u0301\0", max_size=60)
# Python's tables of Unicode may be older than the library's: no unassigned characters
_ASSIGNED = st.characters(exclude_categories=["Cs", "Cn"])
_TEXTS = st.one_of(_LETTERS, st.text(_ASSIGNED, max_size=40))
_SETTINGS = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def _kind(char: str) -> str:
    if char.isspace() and char not in "\x1c\x1d\x1e\x1f":  # Unicode's White_Space
        return "space"
    category = unicodedata.category(char)[0]
    return {"L": "letter", "N": "number"}.get(category, "other")


def _gpt2_words(text: str) -> Iterator[str]:
    """Split text into words like GPT-2, without a regular expression."""
    at = 0
    while at < len(text):
        endings = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")
        word = next((end for end in endings if text.startswith(end, at)), "")
        if not word:
            start = at + (text[at] == " " and at + 1 < len(text))
            if _kind(text[start]) == "space":
                start = at
            end = start
            while end < len(text) and _kind(text[end]) == _kind(text[start]):
                end += 1
            # the last of several spaces before a word belongs to the word
            is_space = _kind(text[start]) == "space"
            end -= is_space and end < len(text) and end - at > 1
            word = text[at:end]
        yield word
        at += len(word)


def _slow_encode(metadata: dict[str, Any], text: str) -> list[int]:
    tokens = metadata["tokenizer.ggml.tokens"]
    ids = {token: i for i, token in enumerate(tokens)}
    ranks = {
        tuple(merge.split(" ")): rank
        for rank, merge in enumerate(metadata["tokenizer.ggml.merges"])
    }
    out = []
    for word in _gpt2_words(text):
        parts = [tokens[byte] for byte in word.encode()]
        while True:
            found = [ranks.get(pair) for pair in zip(parts, parts[1:], strict=False)]
            known = [rank for rank in found if rank is not None]
            if not known:
                break
            i = found.index(min(known))
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        out += [ids[part] for part in parts]
    return out


@pytest.fixture
def metadata(bpe_metadata: Callable[..., Any]) -> dict[str, Any]:
    made: dict[str, Any] = bpe_metadata()
    return made


@pytest.fixture
def tokenizer(metadata: dict[str, Any]) -> Tokenizer:
    return tokenizer_from_metadata(metadata, "x.gguf")


@_SETTINGS
@given(text=_TEXTS)
@example(text="   the  cat \n\n  isn't 10  ")
def test_bpe_encodes_like_the_slow_twin(
    metadata: dict[str, Any], tokenizer: Tokenizer, text: str
) -> None:
    assert tokenizer.encode(text, add_bos=False) == _slow_encode(metadata, text)


@_SETTINGS
@given(text=_TEXTS, parse_special=st.booleans())
def test_bpe_decodes_what_it_has_encoded(
    tokenizer: Tokenizer, text: str, parse_special: bool
) -> None:
    ids = tokenizer.encode(text, add_bos=True, parse_special=parse_special)
    assert tokenizer.decode(ids[1:], skip_special=False) == text


@pytest.mark.parametrize(("pre", "wanted"), [("llama-bpe", True), ("gpt-2", False)])
def test_whole_words_are_tokens_if_merges_are_ignored(
    bpe_metadata: Callable[..., Any], pre: str, wanted: bool
) -> None:
    metadata = bpe_metadata()
    tokens = [*metadata["tokenizer.ggml.tokens"], "zebra"]
    types = [*metadata["tokenizer.ggml.token_type"], 1]
    changed = bpe_metadata(tokens=tokens, token_type=types, pre=pre)
    ids = tokenizer_from_metadata(changed, "x.gguf").encode("zebra", add_bos=False)
    assert (ids == [len(tokens) - 1]) == wanted


@pytest.mark.parametrize(
    ("pre", "adds"), [("llama-bpe", True), ("tekken", True), ("qwen2", False)]
)
def test_the_default_for_adding_bos_depends_on_the_pre_tokenizer(
    bpe_metadata: Callable[..., Any], pre: str, adds: bool
) -> None:
    assert tokenizer_from_metadata(bpe_metadata(pre=pre), "x").add_bos == adds
    without = bpe_metadata(pre=pre, bos_token_id=None)
    assert not tokenizer_from_metadata(without, "x").add_bos
    said = bpe_metadata(pre=pre, add_bos_token=not adds)
    assert tokenizer_from_metadata(said, "x").add_bos != adds


def test_a_missing_pre_tokenizer_is_the_default(
    bpe_metadata: Callable[..., Any],
) -> None:
    text = "isn't 2024 the:cat"
    ids = [
        tokenizer_from_metadata(bpe_metadata(pre=pre), "x").encode(text)
        for pre in (None, "", "default")
    ]
    assert ids[0] == ids[1] == ids[2]


@pytest.mark.parametrize(
    "merge", ["", "ab", "a", " ", "a ", " b", "a b c", "a  b"], ids=repr
)
def test_malformed_merges_are_refused(
    bpe_metadata: Callable[..., Any], merge: str
) -> None:
    merges = bpe_metadata()["tokenizer.ggml.merges"]
    metadata = bpe_metadata(merges=[*merges, merge])
    with pytest.raises(FormatError) as caught:
        tokenizer_from_metadata(metadata, "x.gguf")
    assert caught.value.field == f"tokenizer.ggml.merges[{len(merges)}]"
    assert repr(merge) in str(caught.value)


@pytest.mark.parametrize(
    "merge",
    [
        "q q",
        "Ω Ω",
        "Ω q",
        "q Ω",
        "x" * 999 + " x",
        "Ω" * 20_000 + " Ω",
        "\0 \0",
        "\0" * 40 + " \0",
    ],
)
def test_merges_out_of_the_vocabulary_have_no_effect(
    bpe_metadata: Callable[..., Any],
    tokenizer: Tokenizer,
    merge: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    merges = [merge, *bpe_metadata()["tokenizer.ggml.merges"]]
    changed = tokenizer_from_metadata(bpe_metadata(merges=merges), "x.gguf")
    text = "the cat qqqq \0\0"
    assert changed.encode(text) == tokenizer.encode(text)
    assert capfd.readouterr() == ("", "")  # where the library reports panics


def test_bytes_without_a_token_are_refused_or_unknown(
    bpe_metadata: Callable[..., Any],
) -> None:
    tokens = list(bpe_metadata()["tokenizer.ggml.tokens"])
    tokens[ord("z")] = "zzz"
    tokenizer = tokenizer_from_metadata(bpe_metadata(tokens=tokens), "x.gguf")
    with pytest.raises(ArgumentError, match="no token"):
        tokenizer.encode("lazy")
    metadata = bpe_metadata(tokens=tokens, unknown_token_id=7)
    assert 7 in tokenizer_from_metadata(metadata, "x.gguf").encode("lazy")


def test_tokens_outside_of_the_byte_alphabet_stand_for_their_text(
    bpe_metadata: Callable[..., Any],
) -> None:
    metadata = bpe_metadata()
    tokens = [*metadata["tokenizer.ggml.tokens"], "猫 ☺", "<0xE9>"]
    types = [*metadata["tokenizer.ggml.token_type"], 1, 6]
    changed = bpe_metadata(tokens=tokens, token_type=types)
    tokenizer = tokenizer_from_metadata(changed, "x.gguf")
    assert tokenizer.token_bytes(len(tokens) - 2) == "猫 ☺".encode()
    assert tokenizer.token_bytes(len(tokens) - 1) == b"\xe9"


@pytest.mark.parametrize(
    ("text", "n_parts"),
    [
        ("a" + " " * 25_000 + "b", 3),
        ("1" * 30_001, 4),
        ("\n" * 20_000, 2),
        ("A" * 1_000_001, 2),
        ("the cat 10\n" * 10_000, 1),
    ],
)
def test_long_words_are_split(tokenizer: Tokenizer, text: str, n_parts: int) -> None:
    parts = list(_bounded(text))
    assert "".join(parts) == text
    assert len(parts) == n_parts
    assert tokenizer.decode(tokenizer.encode(text)) == text
