"""SentencePiece gives the ids of a slow twin that merges one pair at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llamacy.errors import ArgumentError, FormatError
from llamacy.tokenizers import Tokenizer, tokenizer_from_metadata

_LETTERS = st.text(alphabet="thecating ▁\n<>s/é猫🙂\0", max_size=60)
_TEXTS = st.one_of(_LETTERS, st.text(max_size=40))
_SETTINGS = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def _slow_encode(metadata: dict[str, Any], text: str) -> list[int]:
    """Merge neighbours into the token with the highest score, leftmost first."""
    tokens = metadata["tokenizer.ggml.tokens"]
    types = metadata["tokenizer.ggml.token_type"]
    scores = metadata["tokenizer.ggml.scores"]
    ids = {t: i for i, t in enumerate(tokens) if types[i] in (1, 4)}
    parts = list((" " + text).replace(" ", "▁"))
    while True:
        made = [ids.get(a + b) for a, b in zip(parts, parts[1:], strict=False)]
        best = max(
            (i for i, token in enumerate(made) if token is not None),
            key=lambda i: scores[made[i]],
            default=None,
        )
        if best is None:
            break
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    out = []
    for part in parts:
        known = ids.get(part)
        out += [3 + byte for byte in part.encode()] if known is None else [known]
    return out


@pytest.fixture
def metadata(spm_metadata: Callable[..., Any]) -> dict[str, Any]:
    made: dict[str, Any] = spm_metadata()
    return made


@pytest.fixture
def tokenizer(metadata: dict[str, Any]) -> Tokenizer:
    return tokenizer_from_metadata(metadata, "x.gguf")


@_SETTINGS
@given(text=_TEXTS)
def test_sentencepiece_encodes_like_the_slow_twin(
    metadata: dict[str, Any], tokenizer: Tokenizer, text: str
) -> None:
    wanted = _slow_encode(metadata, text) if text else []
    assert tokenizer.encode(text, add_bos=False) == wanted


@_SETTINGS
@given(text=_TEXTS, parse_special=st.booleans(), add_bos=st.booleans())
def test_sentencepiece_decodes_what_it_has_encoded(
    tokenizer: Tokenizer, text: str, parse_special: bool, add_bos: bool
) -> None:
    ids = tokenizer.encode(text, add_bos=add_bos, parse_special=parse_special)
    bare = ids[1:] if add_bos else ids
    assert tokenizer.decode(bare, skip_special=False) == text.replace("▁", " ")


def test_the_space_prefix_can_be_turned_off(spm_metadata: Callable[..., Any]) -> None:
    off = tokenizer_from_metadata(spm_metadata(add_space_prefix=False), "x.gguf")
    on = tokenizer_from_metadata(spm_metadata(), "x.gguf")
    assert off.encode(" the") == on.encode("the")
    assert off.decode(off.encode(" the")) == " the"
    assert off.decode(off.encode("the")) == "the"


def test_bytes_of_a_leading_space_are_kept(tokenizer: Tokenizer) -> None:
    first = tokenizer.encode("the", add_bos=False)[0]
    assert tokenizer.piece(first) == "▁the"
    assert tokenizer.token_bytes(first) == b" the"


def test_sentencepiece_defaults_add_bos_and_a_space(
    spm_metadata: Callable[..., Any],
) -> None:
    names = ("bos_token_id", "eos_token_id", "unknown_token_id")
    metadata = spm_metadata(**dict.fromkeys(names))
    tokenizer = tokenizer_from_metadata(metadata, "x.gguf")
    assert (tokenizer.unk_id, tokenizer.bos_id, tokenizer.eos_id) == (0, 1, 2)
    assert (tokenizer.add_bos, tokenizer.add_eos) == (True, False)


def test_token_types_may_be_missing(
    spm_metadata: Callable[..., Any], tokenizer: Tokenizer
) -> None:
    untyped = tokenizer_from_metadata(spm_metadata(token_type=None), "x.gguf")
    text = "the <s> 🙂\n"
    assert untyped.encode(text) == tokenizer.encode(text)
    assert untyped.decode(untyped.encode(text)) == text


def test_without_byte_tokens_text_is_unknown(spm_metadata: Callable[..., Any]) -> None:
    full = spm_metadata()
    kept = [i for i, kind in enumerate(full["tokenizer.ggml.token_type"]) if kind != 6]
    few = {
        name: [full[f"tokenizer.ggml.{name}"][i] for i in kept]
        for name in ("tokens", "token_type", "scores")
    }
    tokenizer = tokenizer_from_metadata(spm_metadata(**few), "x.gguf")
    assert tokenizer.encode("the🙂", add_bos=False)[-1] == tokenizer.unk_id
    few["token_type"][0] = 3
    without = spm_metadata(**few, unknown_token_id=10**6)
    # the default unknown token exists all the same
    assert tokenizer_from_metadata(without, "x.gguf").unk_id == 0


def test_bytes_without_a_byte_token_are_unknown(
    spm_metadata: Callable[..., Any],
) -> None:
    types = list(spm_metadata()["tokenizer.ggml.token_type"])
    types[3 + 0xF0] = 5
    metadata = spm_metadata(token_type=types)
    tokenizer = tokenizer_from_metadata(metadata, "x.gguf")
    assert tokenizer.encode("\n", add_bos=False)[-1] == 3 + 0x0A
    assert tokenizer.unk_id in tokenizer.encode("🙂", add_bos=False)


def test_unused_pieces_are_merged_further_and_never_given(
    spm_metadata: Callable[..., Any], tokenizer: Tokenizer
) -> None:
    """As in sentencepiece; llama.cpp gives them, and they stand for no text."""
    tokens = spm_metadata()["tokenizer.ggml.tokens"]
    types = list(spm_metadata()["tokenizer.ggml.token_type"])
    types[tokens.index("th")] = 5
    changed = tokenizer_from_metadata(spm_metadata(token_type=types), "x.gguf")

    def pieces(of: Tokenizer, text: str) -> list[str]:
        return [of.piece(i) for i in of.encode(text, add_bos=False)]

    assert pieces(tokenizer, "kth the") == ["▁", "k", "th", "▁the"]
    assert pieces(changed, "kth the") == ["▁", "k", "t", "h", "▁the"]


def test_u2581_is_the_mark_of_a_space(tokenizer: Tokenizer) -> None:
    """As in sentencepiece and llama.cpp, which mark spaces with it."""
    for text in ("▁the▁cat", "a▁b ▁", "▁▁"):
        assert tokenizer.encode(text) == tokenizer.encode(text.replace("▁", " "))
    assert tokenizer.decode(tokenizer.encode("the▁cat")) == "the cat"


def test_text_that_no_token_can_represent_is_refused(
    spm_metadata: Callable[..., Any],
) -> None:
    metadata = spm_metadata(
        tokens=["a", "b"],
        token_type=[1, 1],
        scores=[0.0, 0.0],
        add_bos_token=False,
        add_space_prefix=False,
        **dict.fromkeys(("bos_token_id", "eos_token_id", "unknown_token_id")),
    )
    tokenizer = tokenizer_from_metadata(metadata, "x.gguf")
    assert tokenizer.encode("ab") == [0, 1]
    tokenizer.unk_id = None
    with pytest.raises(ArgumentError, match="no token"):
        tokenizer.encode("abc")


@pytest.mark.parametrize("token", ["<0x0G>", "0A", "<0x100>", ""])
def test_byte_tokens_must_name_a_byte(
    spm_metadata: Callable[..., Any], token: str
) -> None:
    tokens = list(spm_metadata()["tokenizer.ggml.tokens"])
    tokens[13] = token
    with pytest.raises(FormatError) as caught:
        tokenizer_from_metadata(spm_metadata(tokens=tokens), "x.gguf")
    assert caught.value.field == "tokenizer.ggml.tokens[13]"


def test_two_tokens_for_one_byte_are_refused(spm_metadata: Callable[..., Any]) -> None:
    tokens = list(spm_metadata()["tokenizer.ggml.tokens"])
    tokens[20] = "<0x0a>"  # besides <0x0A>
    with pytest.raises(FormatError, match="sentencepiece"):
        tokenizer_from_metadata(spm_metadata(tokens=tokens), "x.gguf")


@pytest.mark.parametrize(
    "text",
    ["the cat in 10 " * 5000, " " * 100_000, "é" * 50_000],
    ids=["words", "spaces", "letters"],
)
def test_long_texts_are_encoded(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_tokens_of_any_length(spm_metadata: Callable[..., Any]) -> None:
    """Lengths of 128 bytes and more take two bytes in sentencepiece's own file."""
    made = spm_metadata()
    names = ("tokens", "token_type", "scores")
    tokens, types, scores = (list(made[f"tokenizer.ggml.{name}"]) for name in names)
    long = ["x" * 118, "y" * 119, "z" * 128, "é" * 200]
    tokens += long
    types += [4] * len(long)
    scores += [0.0] * len(long)
    fields = {"tokens": tokens, "token_type": types, "scores": scores}
    tokenizer = tokenizer_from_metadata(spm_metadata(**fields), "x.gguf")
    for token in long:
        ids = tokenizer.encode(f"the{token}", add_bos=False)
        assert ids == [tokens.index("▁the"), tokens.index(token)]
