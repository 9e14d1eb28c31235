"""Unigram vocabularies of folders give the ids of the tokenizers library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llamacy.errors import FormatError
from llamacy.model_files.tokenizer import load_tokenizer
from llamacy.tokenizers import tokenizer_from_metadata
from llamacy.tokenizers.hugging_face import read_tokenizer_files
from tests.support.hugging_face import write_json

Json = dict[str, Any]

VECTORS = Path(__file__).parents[1] / "llama_cpp_vectors.json"
MAP = json.loads(VECTORS.read_text("utf-8"))["t5"]["keys"]["precompiled_charsmap"]
PRECOMPILED = {"type": "Precompiled", "precompiled_charsmap": MAP}
SPACES = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
STRIP = {"type": "Strip", "strip_left": False, "strip_right": True}

PIECES = [
    "<s>",
    "<pad>",
    "</s>",
    "<unk>",
    "▁",
    "a",
    "b",
    "ab",
    "▁a",
    "▁ab",
    "b▁a",
    "fi",
    "é",
]
PIECES += [*(f"<0x{byte:02X}>" for byte in range(256)), "<mask>"]
N_SPECIAL = (0, 1, 2, 3, len(PIECES) - 1)


def sequence(key: str, *steps: Json) -> Json:
    return {"type": "Sequence", key: [*steps]}


def metaspace(scheme: str, *, split: bool = True) -> Json:
    mark = {"type": "Metaspace", "replacement": "▁", "split": split}
    return mark | {"prepend_scheme": scheme}


BY_WORDS = sequence("pretokenizers", {"type": "WhitespaceSplit"}, metaspace("always"))
PARTS: list[Json] = [
    {"normalizer": normalizer, "pre_tokenizer": pre_tokenizer}
    for normalizer, pre_tokenizer in (
        (None, metaspace("always")),
        (PRECOMPILED, metaspace("first")),
        (sequence("normalizers", PRECOMPILED, SPACES), metaspace("first", split=False)),
        (sequence("normalizers", STRIP, SPACES), metaspace("always", split=False)),
        ({"type": "NFKC"}, metaspace("never")),
        (PRECOMPILED, BY_WORDS),
        (sequence("normalizers", {"type": "Nmt"}, {"type": "Lowercase"}), BY_WORDS),
    )
]


def whole(parts: Json, *, in_bytes: bool = False, **changes: Any) -> Json:
    flags = dict.fromkeys(("single_word", "rstrip", "normalized"), False)
    added = [
        {"id": i, "content": PIECES[i], "special": True, "lstrip": i > 3} | flags
        for i in N_SPECIAL
    ]
    scores = [0.0, 0.0, 0.0, 0.0, *(-2.0 - i / 8 for i in range(len(PIECES) - 4))]
    pair = {"sep": ["</s>", 2], "cls": ["<s>", 0]}
    other = {"trim_offsets": True, "add_prefix_space": False}
    return (
        {
            "version": "1.0",
            "added_tokens": added,
            "post_processor": {"type": "RobertaProcessing"} | pair | other,
            "decoder": metaspace("always"),
            "model": {
                "type": "Unigram",
                "unk_id": 3,
                "byte_fallback": in_bytes,
                "vocab": [
                    [text, score] for text, score in zip(PIECES, scores, strict=True)
                ],
            },
        }
        | parts
        | changes
    )


texts = st.lists(
    st.sampled_from(
        ["a", "ab", "b", "x", " ", "  ", "\n", "▁", "é", "e\u0301", "\ufb01"]
    )
    | st.sampled_from(
        ["<mask>", "<0x41>", "猫", "\u3000", "\u200b", "A", "\u00bd", "<s"]
    ),
    max_size=8,
).map("".join)


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(parts=st.sampled_from(PARTS), in_bytes=st.booleans(), text=texts)
def test_ids_are_the_librarys(
    tmp_path: Path, parts: Json, in_bytes: bool, text: str
) -> None:
    made = whole(parts, in_bytes=in_bytes)
    write_json(tmp_path / "tokenizer.json", made)
    library = tokenizers.Tokenizer.from_str(json.dumps(made))
    got = load_tokenizer(tmp_path)
    ids = library.encode(text).ids
    assert got.encode(text, parse_special=True) == ids


def test_texts_are_decoded_as_by_the_library(tmp_path: Path) -> None:
    made = whole(PARTS[0])
    write_json(tmp_path / "tokenizer.json", made)
    library = tokenizers.Tokenizer.from_str(json.dumps(made))
    got = load_tokenizer(tmp_path)
    for text in ("ab a", " a  b", "a<mask> b", "xab"):
        ids = library.encode(text).ids
        assert got.decode(ids) == library.decode(ids)


def test_a_file_made_from_a_folder_gives_the_same_ids(tmp_path: Path) -> None:
    write_json(tmp_path / "tokenizer.json", whole(PARTS[2]))
    made = read_tokenizer_files(tmp_path)
    assert made is not None
    file, folder = tokenizer_from_metadata(made.values, "m"), load_tokenizer(tmp_path)
    for text in ("ab  \ufb01", "x<mask>a"):
        assert file.encode(text) == folder.encode(text)
    # and so it does in a program that knows GGUF's keys only
    own = {key: made.values[key] for key in made.values if "llamacy" not in key}
    assert tokenizer_from_metadata(own, "m").encode("ab  \ufb01") == folder.encode(
        "ab  \ufb01"
    )


def model(**changes: Any) -> Json:
    return {"model": whole({})["model"] | changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (model(unk_id=None), "unk_id"),
        (model(unk_id=10**6), "unk_id"),
        (model(vocab=[]), "vocab"),
        (model(vocab=[["a", "b"]]), r"vocab\[0\]"),
        (model(vocab=[["a", float("nan")]]), r"vocab\[0\]"),
        (model(vocab=[["a", 1e300]]), r"vocab\[0\]"),
        (model(vocab=[["a"]]), r"vocab\[0\]"),
        (model(dropout=0.1), "dropout"),
        ({"pre_tokenizer": None}, "Metaspace"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "found Whitespace"),
        ({"pre_tokenizer": metaspace("last")}, "prepend_scheme"),
        ({"pre_tokenizer": metaspace("never") | {"replacement": "_"}}, "replacement"),
        (
            {
                "pre_tokenizer": sequence(
                    "pretokenizers", {"type": "WhitespaceSplit"}, metaspace("first")
                )
            },
            "prepend_scheme: wanted always",
        ),
        (
            {"normalizer": PRECOMPILED | {"precompiled_charsmap": "AAAAAAAA"}},
            "precompiled_charsmap",
        ),
        ({"normalizer": PRECOMPILED | {"precompiled_charsmap": "?"}}, "base64"),
        ({"normalizer": sequence("normalizers", PRECOMPILED, PRECOMPILED)}, "one step"),
        ({"normalizer": SPACES | {"pattern": {"Regex": "(a+)+$"}}}, "Regex"),
        ({"normalizer": SPACES | {"pattern": {"String": ""}}}, "String"),
        ({"normalizer": SPACES | {"content": "x" * 99}}, "a factor of 64"),
        ({"normalizer": SPACES | {"pattern": None}}, "pattern"),
        ({"decoder": {"type": "CTC"}}, "found CTC"),
    ],
)
def test_other_steps_are_refused_by_name(
    tmp_path: Path, changes: Json, message: str
) -> None:
    write_json(tmp_path / "tokenizer.json", whole(PARTS[0]) | changes)
    with pytest.raises(FormatError, match=message):
        load_tokenizer(tmp_path)
