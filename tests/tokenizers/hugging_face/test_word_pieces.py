"""WordPiece vocabularies of folders give the ids of the tokenizers library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llamacy.errors import FormatError, UnsupportedError
from llamacy.model_files.tokenizer import load_tokenizer
from llamacy.tokenizers import tokenizer_from_metadata
from llamacy.tokenizers.hugging_face import read_tokenizer_files
from tests.support.hugging_face import write_json

Json = dict[str, Any]

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [
    "the",
    "cat",
    "c",
    "a",
    "t",
    ".",
    "!",
    "'",
    "s",
    "[",
    "]",
    "중",
    "中",
    "é",
    "E",
]
INNER = ["##at", "##s", "##a", "##c", "##t", "##he", "##é"]
VOCAB = [*SPECIAL, *WORDS, *INNER]


def bert(**flags: Any) -> Json:
    known = {"clean_text": True, "handle_chinese_chars": True, "strip_accents": None}
    return {"type": "BertNormalizer", **known, "lowercase": True} | flags


NORMALIZERS: list[Json] = [
    bert(),
    bert(lowercase=False),
    bert(strip_accents=False),
    bert(handle_chinese_chars=False, clean_text=False),
    {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "Lowercase"}]},
]


def whole(normalizer: Json | None = None, **changes: Any) -> Json:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    added = [
        {"id": i, "content": text, "special": True} | flags
        for i, text in enumerate(SPECIAL)
    ]
    pair = {"sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}
    return {
        "version": "1.0",
        "added_tokens": added,
        "normalizer": normalizer or bert(),
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing"} | pair,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {text: i for i, text in enumerate(VOCAB)},
        },
    } | changes


texts = st.lists(
    st.sampled_from(["the", "cat", "s", "c", "at", "x", " ", "\n", ".", "!", "'", "É"])
    | st.sampled_from(
        ["[MASK]", "[CLS", "중", "中", "e\u0301", "\u200b", "▁", "##", "cat "]
    )
    | st.just("cat" * 40),
    max_size=8,
).map("".join)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(normalizer=st.sampled_from(NORMALIZERS), text=texts, cleans=st.booleans())
def test_ids_and_texts_are_the_librarys(
    tmp_path: Path, normalizer: Json, text: str, cleans: bool
) -> None:
    made = whole(normalizer)
    made["decoder"]["cleanup"] = cleans
    write_json(tmp_path / "tokenizer.json", made)
    library = tokenizers.Tokenizer.from_str(json.dumps(made))
    got = load_tokenizer(tmp_path)
    ids = library.encode(text).ids
    assert got.encode(text, parse_special=True) == ids
    assert got.decode(ids) == library.decode(ids)


def test_a_word_of_more_than_100_characters_is_unknown_in_folders_only(
    tmp_path: Path,
) -> None:
    write_json(tmp_path / "tokenizer.json", whole())
    folder = load_tokenizer(tmp_path)
    made = read_tokenizer_files(tmp_path)
    assert made is not None
    own = {key: made.values[key] for key in made.values if "llamacy" not in key}
    file = tokenizer_from_metadata(own, "m.gguf")
    assert folder.encode("a" * 100) == file.encode("a" * 100)
    assert folder.encode("a" * 101) == [2, 1, 3]
    assert len(file.encode("a" * 101)) == 103


def test_a_vocab_txt_gives_the_same_tokens(tmp_path: Path) -> None:
    write_json(tmp_path / "tokenizer.json", whole())
    want = load_tokenizer(tmp_path)
    folder = tmp_path / "txt"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(VOCAB) + "\n", encoding="utf-8")
    got = load_tokenizer(folder)
    for text in ("The cats [MASK] é中!", "x"):
        assert got.encode(text, parse_special=True) == want.encode(
            text, parse_special=True
        )
    assert (got.bos_id, got.eos_id, got.unk_id) == (2, 3, 1)
    write_json(folder / "tokenizer_config.json", {"do_lower_case": False})
    assert load_tokenizer(folder).encode("E", add_bos=False) == [VOCAB.index("E")]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"tokenizer_config.json": {"tokenizer_class": "EsmTokenizer"}},
            "EsmTokenizer",
        ),
        ({"vocab.txt": "a\nb"}, r"a line \[UNK\]"),
        ({"vocab.txt": b"\xff"}, "UTF-8"),
        ({"tokenizer_config.json": {"do_basic_tokenize": False}}, "do_basic_tokenize"),
    ],
)
def test_other_files_of_lines_are_refused(
    tmp_path: Path, files: Json, message: str
) -> None:
    given_files = {"vocab.txt": "\n".join(VOCAB)} | files
    for name, content in given_files.items():
        data = (
            content
            if isinstance(content, bytes)
            else (content if isinstance(content, str) else json.dumps(content)).encode()
        )
        (tmp_path / name).write_bytes(data)
    with pytest.raises((FormatError, UnsupportedError), match=message):
        load_tokenizer(tmp_path)


def model(**changes: Any) -> Json:
    return {"model": whole()["model"] | changes}


NORMALIZED = {"id": len(VOCAB), "content": "new", "special": False, "normalized": True}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (model(continuing_subword_prefix="@@"), "continuing_subword_prefix"),
        (model(unk_token="?"), "unk_token"),
        (model(max_input_chars_per_word=10**6), "max_input_chars_per_word"),
        (model(merges=[]), "merges"),
        ({"pre_tokenizer": None}, "pre_tokenizer"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "found Whitespace"),
        ({"normalizer": {"type": "Prepend", "prepend": "a"}}, "found Prepend"),
        ({"normalizer": bert(strip="x")}, "strip"),
        ({"normalizer": bert(lowercase=1)}, "lowercase"),
        ({"decoder": {"type": "CTC"}}, "found CTC"),
        ({"added_tokens": [*whole()["added_tokens"], NORMALIZED]}, "normalized"),
    ],
)
def test_other_steps_are_refused_by_name(
    tmp_path: Path, changes: Json, message: str
) -> None:
    write_json(tmp_path / "tokenizer.json", whole(**changes))
    with pytest.raises(FormatError, match=message):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    "setting",
    [
        {"do_lower_case": False},
        {"strip_accents": False},
        {"tokenize_chinese_chars": False},
    ],
)
def test_settings_that_contradict_the_normalizer_are_refused(
    tmp_path: Path, setting: Json
) -> None:
    write_json(tmp_path / "tokenizer.json", whole())
    write_json(tmp_path / "tokenizer_config.json", setting)
    with pytest.raises(UnsupportedError, match=next(iter(setting))):
        load_tokenizer(tmp_path)
