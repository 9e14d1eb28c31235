"""SentencePiece files of encoders get the tokens that their classes add."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llamacy.errors import UnsupportedError
from llamacy.model_files.tokenizer import load_tokenizer
from tests.support.hugging_face import sentencepiece, write_json

TEXTS = ["<unk>", "<s>", "</s>", "▁", "a", "▁a"]
SCORES = [0.0, 0.0, 0.0, -2.0, -3.0, -4.0]
TYPES = [2, 3, 3, 1, 1, 1]


def write(folder: Path, name: str, model_type: int = 1, **settings: Any) -> Path:
    data = sentencepiece(TEXTS, SCORES, TYPES, model_type=model_type)
    (folder / name).write_bytes(data)
    write_json(folder / "tokenizer_config.json", settings)
    return folder


def test_pieces_of_xlm_roberta_have_ids_one_further(tmp_path: Path) -> None:
    name = "sentencepiece.bpe.model"
    write(tmp_path, name, tokenizer_class="XLMRobertaTokenizer")
    tokenizer = load_tokenizer(tmp_path)
    pieces = [tokenizer.piece(i) for i in range(tokenizer.n_vocab)]
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    assert pieces == [*special, *TEXTS[3:], "<mask>"]
    assert tokenizer.encode("a x") == [0, 6, 4, 3, 2]
    assert tokenizer.encode("a <mask>", parse_special=True) == [0, 6, 7, 2]
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.unk_id) == (0, 2, 3)


def test_t5_appends_marks_of_gaps_backwards(tmp_path: Path) -> None:
    write(tmp_path, "spiece.model", tokenizer_class="T5Tokenizer", extra_ids=3)
    tokenizer = load_tokenizer(tmp_path)
    last = [tokenizer.piece(i) for i in range(6, tokenizer.n_vocab)]
    assert last == ["<extra_id_2>", "<extra_id_1>", "<extra_id_0>"]
    assert tokenizer.encode("a") == [5, 2]
    assert tokenizer.encode("<extra_id_0> a", parse_special=True)[0] == 8


def test_the_family_names_the_class_where_the_settings_do_not(tmp_path: Path) -> None:
    write(tmp_path, "spiece.model")
    write_json(tmp_path / "config.json", {"model_type": "t5"})
    assert load_tokenizer(tmp_path).n_vocab == 6 + 100


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("spiece.model", {}, "no such key"),
        ("spiece.model", {"tokenizer_class": "AlbertTokenizer"}, "AlbertTokenizer"),
        ("sentencepiece.bpe.model", {"tokenizer_class": "NllbTokenizer"}, "NllbTok"),
        (
            "spiece.model",
            {"tokenizer_class": "T5Tokenizer", "model_type": 2},
            "Unigram",
        ),
    ],
)
def test_files_of_other_classes_are_refused(
    tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    write(tmp_path, name, **options)
    with pytest.raises(UnsupportedError, match=message):
        load_tokenizer(tmp_path)
