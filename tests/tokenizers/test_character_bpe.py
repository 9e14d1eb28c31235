"""Gemma 4's tokenizer: characters merged in lines, bytes for those without a token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llamacy.errors import ArgumentError, UnsupportedError
from llamacy.tokenizers import tokenizer_from_metadata
from llamacy.tokenizers.hugging_face import read_tokenizer_files

SPACE = "\u2581"
CONTROL = ["<pad>", "<eos>", "<bos>", "<unk>", "<turn|>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
MERGES = ["t h", "th e", f"{SPACE} the", f"{SPACE} {SPACE}", "é é", "\n \n"]
WORDS = [
    *("t", "h", "e", "a", SPACE, "é", "\n"),
    *("th", "the", f"{SPACE}the", SPACE * 2, "éé", "\n\n", "\n\n\n\n"),
]
TOKENS = [*CONTROL, *BYTES, *WORDS]


def metadata(**changes: Any) -> dict[str, Any]:
    """Make a file's metadata; keywords replace keys, None drops one."""
    types = [3] * len(CONTROL) + [6] * len(BYTES) + [1] * len(WORDS)
    keys = {
        "model": "gemma4",
        "tokens": TOKENS,
        "token_type": types,
        "merges": MERGES,
        "bos_token_id": 2,
        "eos_token_id": 1,
        "unknown_token_id": 3,
    } | changes
    return {f"tokenizer.ggml.{k}": v for k, v in keys.items() if v is not None}


def pieces(text: str, **changes: Any) -> list[str]:
    tokenizer = tokenizer_from_metadata(metadata(**changes), "m.gguf")
    return [tokenizer.piece(i) for i in tokenizer.encode(text, add_bos=False)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("the the", ["the", f"{SPACE}the"]),
        ("  the", [SPACE, f"{SPACE}the"]),
        ("a  \n  a", ["a", SPACE * 2, "\n", SPACE * 2, "a"]),
        ("ü", ["<0xC3>", "<0xBC>"]),
        ("aé🙂", ["a", "é", "<0xF0>", "<0x9F>", "<0x99>", "<0x82>"]),
        # a mark of spaces in a text is a space
        (f"{SPACE}the", [f"{SPACE}the"]),
        # texts of byte tokens are characters like others
        ("<0xC3>", ["<0x3C>", "<0x30>", "<0x78>", "<0x43>", "<0x33>", "<0x3E>"]),
        # what control tokens look like is text
        ("<eos>", ["<0x3C>", "e", "<0x6F>", "<0x73>", "<0x3E>"]),
    ],
)
def test_texts_become_merged_characters(text: str, wanted: list[str]) -> None:
    assert pieces(text) == wanted


@pytest.mark.parametrize(
    ("n", "wanted"),
    [
        (1, ["\n"]),
        (2, ["\n\n"]),
        # no merge leads to it
        (4, ["\n\n\n\n"]),
        # no token: merged from pairs
        (3, ["\n\n", "\n"]),
        (5, ["\n\n", "\n\n", "\n"]),
    ],
)
def test_a_run_of_newlines_that_is_a_token_is_that_token(
    n: int, wanted: list[str]
) -> None:
    newlines = "\n" * n
    assert pieces(f"a{newlines}a") == ["a", *wanted, "a"]


def test_bytes_without_a_token_are_unknown() -> None:
    tokens = [token if token != "<0xC3>" else "<0xZZ>" for token in TOKENS]
    types = [1 if token == "<0xZZ>" else kind for token, kind in zip(
        tokens, metadata()["tokenizer.ggml.token_type"], strict=True
    )]  # fmt: skip
    assert pieces("ü", tokens=tokens, token_type=types) == ["<unk>", "<0xBC>"]
    changes: dict[str, Any] = {"tokens": tokens, "token_type": types}
    with pytest.raises(ArgumentError, match="no token for some"):
        pieces("ü", **changes, unknown_token_id=None)


@pytest.mark.parametrize("says", [None, False, True])
def test_texts_begin_with_bos_whatever_the_file_says(says: bool | None) -> None:
    tokenizer = tokenizer_from_metadata(metadata(add_bos_token=says), "m.gguf")
    assert tokenizer.encode("a") == [2, TOKENS.index("a")]
    assert tokenizer.encode("a", add_bos=False) == [TOKENS.index("a")]


def test_texts_come_back() -> None:
    tokenizer = tokenizer_from_metadata(metadata(), "m.gguf")
    for text in ("  the\n\n\nthe é ü🙂", " a", "\n", "", "a  "):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.eog_ids == {1, 4}


def test_spaces_in_added_tokens_are_shown_as_spaces() -> None:
    types = metadata()["tokenizer.ggml.token_type"].copy()
    types[TOKENS.index(SPACE * 2)] = 4
    tokenizer = tokenizer_from_metadata(metadata(token_type=types), "m.gguf")
    assert tokenizer.decode(tokenizer.encode("a  a")) == "a  a"


def test_texts_may_repeat() -> None:
    """Google's own files repeat three; a text becomes the last of its tokens."""
    tokens = [*TOKENS, "the", "<0x41>"]
    types = [*metadata()["tokenizer.ggml.token_type"], 1, 1]
    changed = metadata(tokens=tokens, token_type=types)
    tokenizer = tokenizer_from_metadata(changed, "m.gguf")
    assert tokenizer.n_vocab == len(TOKENS) + 2
    assert tokenizer.encode("the", add_bos=False) == [len(TOKENS)]
    assert tokenizer.decode([len(TOKENS), TOKENS.index("the")]) == "thethe"
    # a byte is still its own token
    assert tokenizer.encode("A", add_bos=False) == [TOKENS.index("<0x41>")]


def write_folder(folder: Path, **model: Any) -> Path:
    """Write the vocabulary as a tokenizer.json."""
    vocab = {token: i for i, token in enumerate(TOKENS)}
    whole = {
        "added_tokens": [
            {"id": i, "content": text, "special": True, "normalized": False}
            | dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
            for i, text in enumerate(CONTROL)
        ],
        "normalizer": {
            "type": "Replace",
            "pattern": {"String": " "},
            "content": SPACE,
        },
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"String": " "},
            "behavior": "MergedWithPrevious",
            "invert": False,
        },
        "model": {
            "type": "BPE",
            "unk_token": "<unk>",
            "byte_fallback": True,
            "fuse_unk": True,
            "vocab": vocab,
            "merges": [merge.split(" ") for merge in MERGES],
        }
        | model,
    }
    (folder / "tokenizer.json").write_text(json.dumps(whole))
    settings = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "config.json").write_text(json.dumps({"model_type": "gemma4_text"}))
    return folder


def test_a_folder_has_the_same_vocabulary(tmp_path: Path) -> None:
    """Scores could not stand for these merges: SentencePiece merges all it can."""
    read = read_tokenizer_files(write_folder(tmp_path))
    assert read is not None and read.values["tokenizer.ggml.model"] == "gemma4"
    ours = tokenizer_from_metadata(read.values, "folder")
    theirs = tokenizer_from_metadata(metadata(), "m.gguf")
    for text in ("  the the\n\n\n the", "ü <eos>", "\n\n\n\n"):
        assert ours.encode(text) == theirs.encode(text)
    assert ours.encode("<eos>", parse_special=True) == [2, 1]


PLAIN = [1] * len(BYTES)  # the types that llama.cpp's converter writes


@pytest.mark.parametrize(
    ("pre", "text", "wanted"),
    [
        # as Gemma 4's, with BOS
        ("granite-embed-multi-311m", "the\n\n\n\na", ["the", "\n\n\n\n", "a"]),
        ("gemma4", "the\n\n\n\na", ["the", "\n\n\n\n", "a"]),
        # runs of newlines are merged like all else
        ("sarvam-moe", "the\n\n\n\na", ["the", "\n\n", "\n\n", "a"]),
        ("sarvam-moe", "ü a", ["<0xC3>", "<0xBC>", SPACE, "a"]),
        # words that spaces separate, which stay spaces
        ("whitespace", "the a", ["the", "<0x20>", "a"]),
    ],
)
def test_other_kinds_are_files_of_gpt2(pre: str, text: str, wanted: list[str]) -> None:
    types = [3] * len(CONTROL) + PLAIN + [1] * len(WORDS)
    assert pieces(text, model="gpt2", pre=pre, token_type=types) == wanted
    made = metadata(model="gpt2", pre=pre, token_type=types)
    tokenizer = tokenizer_from_metadata(made, "m.gguf")
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.add_bos == (pre in ("gemma4", "granite-embed-multi-311m"))


def test_characters_without_bytes_are_left_out_as_in_llama_cpp() -> None:
    tokens = [*CONTROL, *WORDS]
    types = [3] * len(CONTROL) + [1] * len(WORDS)
    changes = {"model": "gpt2", "pre": "sarvam-moe", "token_type": types}
    assert pieces("aüthe", tokens=tokens, **changes) == ["a", "the"]


@pytest.mark.parametrize(
    ("lower", "wanted"), [(True, ["the", "a"]), (None, ["h", "a"])]
)
def test_white_space_only_separates_words(
    lower: bool | None, wanted: list[str]
) -> None:
    tokens = [*CONTROL, *WORDS]
    types = [3] * len(CONTROL) + [1] * len(WORDS)
    changes: dict[str, Any] = {
        "model": "whitespace",
        "tokens": tokens,
        "token_type": types,
    }
    changes |= {"normalizer.lowercase": lower, "pre": "whitespace"}
    assert pieces(" ThE\u3000\n a", **changes) == wanted


def test_a_whitespace_vocabulary_has_one_pre_tokenizer() -> None:
    with pytest.raises(UnsupportedError, match="wanted whitespace, found qwen2"):
        pieces("a", model="whitespace", pre="qwen2")
