"""Folders of encoders, as transformers saves them, give the ids of its classes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llamacy.model_files.tokenizer import load_tokenizer
from tests.support.random_texts import random_texts

pytestmark = pytest.mark.oracle
transformers = pytest.importorskip("transformers", reason="transformers is absent")

VECTORS = Path(__file__).parents[1] / "tokenizers" / "llama_cpp_vectors.json"
KEYS = {name: made["keys"] for name, made in json.loads(VECTORS.read_text()).items()}
TEXTS = [
    *(row["text"] for row in json.loads(VECTORS.read_text())["bert"]["rows"]),
    *random_texts(200, seed=3),
]


def compare(folder: Path, tokenizer: object) -> None:
    tokenizer.save_pretrained(folder)  # type: ignore[attr-defined]
    ours = load_tokenizer(folder)
    library = transformers.AutoTokenizer.from_pretrained(folder)
    for text in TEXTS:
        wanted = library.encode(text)
        assert ours.encode(text, parse_special=True) == wanted
        shown = library.backend_tokenizer.decode(wanted, skip_special_tokens=True)
        assert ours.decode(wanted) == shown


def test_bert_gives_the_ids_of_transformers(tmp_path: Path) -> None:
    keys = KEYS["bert"]
    rows = zip(keys["tokens"], keys["token_type"], strict=True)
    texts = [
        text if kind != 1 else text[1:] if text[:1] == "▁" else f"##{text}"
        for text, kind in rows
    ]
    (tmp_path / "vocab.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    tokenizer = transformers.BertTokenizer.from_pretrained(tmp_path)
    compare(tmp_path / "saved", tokenizer)


@pytest.mark.parametrize("name", ["T5Tokenizer", "XLMRobertaTokenizer"])
def test_a_unigram_vocabulary_gives_the_ids_of_transformers(
    tmp_path: Path, name: str
) -> None:
    keys = KEYS["t5-plain"]
    pieces = list(zip(keys["tokens"], keys["scores"], strict=True))[3:-1]
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    if name == "T5Tokenizer":
        special = ["<pad>", "</s>", "<unk>"]
    vocab = [(text, 0.0) for text in special] + pieces
    compare(tmp_path, getattr(transformers, name)(vocab=vocab))
