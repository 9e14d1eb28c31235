"""Where special tokens are found, by llama.cpp's rules and by a file's own keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llamacy.errors import FormatError
from llamacy.tokenizers import Tokenizer, tokenizer_from_metadata
from llamacy.tokenizers.attributes import SpacePrefix

OWN = "tokenizer.llamacy."
LEFTMOST = {f"{OWN}matching": "leftmost"}


@pytest.fixture
def make(spm_metadata: Callable[..., Any]) -> Callable[..., Tokenizer]:
    """Make a SentencePiece tokenizer from further keys."""

    def made(**keys: Any) -> Tokenizer:
        return tokenizer_from_metadata(spm_metadata() | keys, "x.gguf")

    return made


def split(tokenizer: Tokenizer, text: str) -> list[str]:
    parts = tokenizer.split(text)
    return [tokenizer.piece(p) if isinstance(p, int) else p for p in parts]


@pytest.mark.parametrize("name", ["Phi-3-mini", "my phi3 tune"])
def test_the_tokens_of_phi_3_take_the_white_space_after_them(
    make: Callable[..., Tokenizer], name: str
) -> None:
    tokenizer = make(**{"general.name": name})
    assert split(tokenizer, " <tool> \n a") == [" ", "<tool>", "a"]
    assert split(tokenizer, "</s>\t\u00a0a") == ["</s>", "\u00a0a"]
    assert split(tokenizer, "<s> a<unk> b") == ["<s>", " a", "<unk>", " b"]
    assert split(make(**{"general.name": "Phi-4"}), "<tool> a") == ["<tool>", " a"]


def test_the_mask_of_jina_takes_the_white_space_before_it(
    bpe_metadata: Callable[..., Any],
) -> None:
    metadata = bpe_metadata(pre="jina-v2-de")
    tokens = metadata["tokenizer.ggml.tokens"]
    tokens = ["<mask>" if text == "<tool>" else text for text in tokens]
    metadata |= {"tokenizer.ggml.tokens": tokens}
    tokenizer = tokenizer_from_metadata(metadata, "x.gguf")
    assert split(tokenizer, "a \n<mask> b") == ["a", "<mask>", " b"]


def test_own_keys_give_tokens_their_attributes(
    make: Callable[..., Tokenizer],
) -> None:
    plain = make(**LEFTMOST)
    tool = plain.split("<tool>")[0]
    assert split(plain, "a <tool> b") == ["a ", "<tool>", " b"]
    both = {f"{OWN}lstrip_ids": [tool], f"{OWN}rstrip_ids": [tool]}
    stripped = make(**LEFTMOST, **both)
    assert split(stripped, "a\u00a0 <tool> \nb<tool>") == ["a", "<tool>", "b", "<tool>"]
    alone = make(**LEFTMOST, **{f"{OWN}single_word_ids": [tool]})
    assert split(alone, "a<tool>") == ["a<tool>"]
    assert split(alone, "-<tool>-") == ["-", "<tool>", "-"]


def test_a_million_spaces_after_tokens_take_linear_time(
    make: Callable[..., Tokenizer],
) -> None:
    tool = make().split("<tool>")[0]
    stripped = make(**LEFTMOST, **{f"{OWN}rstrip_ids": [tool]})
    text = "<tool> " * 50_000 + " " * 1_000_000
    assert stripped.split(text) == [tool] * 50_000


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("matching", "rightmost"),
        ("matching", 3),
        ("space_prefix", "sometimes"),
        ("space_prefix", True),
        ("normalizer", "NFC NFX"),
        ("normalizer", "NFC " * 10**5),
        ("begin_ids", [10**6]),
        ("begin_ids", [-1]),
        ("begin_ids", "1"),
        ("lstrip_ids", [True]),
        ("lstrip_ids", [2.5]),
    ],
)
def test_broken_values_of_own_keys_are_refused(
    make: Callable[..., Tokenizer], key: str, value: Any
) -> None:
    with pytest.raises(FormatError) as caught:
        make(**(LEFTMOST | {OWN + key: value}))
    assert caught.value.field == OWN + key
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("prefix", "wanted"),
    [
        ("none", ["", "", "", ""]),
        ("each", [" ", " ", " ", ""]),
        ("first", [" ", "", "", ""]),
        ("always", [" ", "", " ", ""]),
    ],
)
def test_where_a_space_is_added(prefix: str, wanted: list[str]) -> None:
    kind = SpacePrefix(prefix)
    assert [
        kind.before("a", first=True, after_special=True),
        kind.before(" a", first=True, after_special=True),
        kind.before("a", first=False, after_special=True),
        kind.before("a", first=False, after_special=False),
    ] == wanted


def test_texts_get_normal_forms(make: Callable[..., Tokenizer]) -> None:
    composed = make(**{f"{OWN}normalizer": "NFC"})
    assert composed.encode("e\u0301") == composed.encode("é") == make().encode("é")
    assert make().encode("e\u0301") != make().encode("é")
