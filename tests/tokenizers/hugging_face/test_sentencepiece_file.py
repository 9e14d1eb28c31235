"""tokenizer.model gives the ids of SentencePiece itself, and of GGUF metadata."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.gguf.file import open_gguf
from llamacy.model_files.tokenizer import load_tokenizer
from llamacy.tokenizers import tokenizer_from_metadata
from tests.support.hugging_face import message, number, sentencepiece, write_json

TEXTS = ["", " ", "the cat", "  in  the\nhat", "häßliche 猫", "a tea  ing", "é\0"]


def parts_of(metadata: dict[str, Any]) -> list[list[Any]]:
    return [
        list(metadata[f"tokenizer.ggml.{key}"])
        for key in ("tokens", "scores", "token_type")
    ]


@pytest.mark.parametrize("prefix", [True, False])
def test_a_small_model_equals_its_gguf_metadata(
    tmp_path: Path, spm_metadata: Callable[..., dict[str, Any]], prefix: bool
) -> None:
    metadata = spm_metadata(add_space_prefix=prefix)
    want = tokenizer_from_metadata(metadata, "gguf")
    data = sentencepiece(*parts_of(metadata), add_prefix=prefix)
    (tmp_path / "tokenizer.model").write_bytes(data)
    write_json(tmp_path / "tokenizer_config.json", {"bos_token": "<s>", "eos_token": 3})
    write_json(tmp_path / "config.json", {"eos_token_id": [2, 1], "pad_token_id": None})
    got = load_tokenizer(tmp_path)
    assert got._tokens == want._tokens
    assert got._types == want._types
    assert (got.bos_id, got.eos_id, got.add_bos) == (1, 2, True)
    for text in TEXTS:
        assert got.encode(text) == want.encode(text)


def test_a_model_trained_by_sentencepiece_gives_its_ids(tmp_path: Path) -> None:
    out = io.BytesIO()
    words = "the cat sat on the mat and the rat ate the hat that the cat had".split()
    SentencePieceTrainer.train(
        sentence_iterator=iter(words * 20),
        model_writer=out,
        model_type="bpe",
        vocab_size=300,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        user_defined_symbols=["<tool>"],
        minloglevel=2,
    )
    (tmp_path / "tokenizer.model").write_bytes(out.getvalue())
    library = SentencePieceProcessor(model_proto=out.getvalue())
    got = load_tokenizer(tmp_path)
    assert got.n_vocab == library.vocab_size()
    for text in (*TEXTS[2:], "the hats that rattle"):
        assert got.encode(text, add_bos=False) == library.encode(text)
    assert got.decode(got.encode("a <tool> is")) == "a <tool> is"


def test_a_real_model_equals_its_gguf_metadata(shared: Path, tmp_path: Path) -> None:
    path = shared / "tokenizers" / "llama-spm.gguf"
    with open_gguf(path, metadata_only=True) as file:
        data = sentencepiece(*parts_of(file.metadata))
    (tmp_path / "tokenizer.model").write_bytes(data)
    got, want = load_tokenizer(tmp_path), load_tokenizer(path)
    assert (got._tokens, got._types) == (want._tokens, want._types)
    library = SentencePieceProcessor(model_proto=data)
    for row in json.loads(path.with_suffix(".json").read_text("utf-8")):
        assert got.encode(row["text"], add_bos=False) == row["ids"]
        assert library.encode(row["text"]) == row["ids"]


def test_tokens_added_by_other_files_are_read(
    tmp_path: Path, spm_metadata: Callable[..., dict[str, Any]]
) -> None:
    """Three files add tokens; tokenizer_config.json overrides the others."""
    texts, scores, types = parts_of(spm_metadata())
    n = len(texts)
    data = sentencepiece(texts, scores, types)
    (tmp_path / "tokenizer.model").write_bytes(data)
    write_json(tmp_path / "added_tokens.json", {"<old>": n, "two▁words": n + 1})
    decoder = {
        str(n): {"content": "<|new|>"},
        str(n + 2): {"content": "<end>", "special": True},
    }
    settings = {"added_tokens_decoder": decoder, "eos_token": {"content": "<end>"}}
    write_json(tmp_path / "tokenizer_config.json", settings | {"add_eos_token": True})
    write_json(tmp_path / "special_tokens_map.json", {"pad_token": "<|new|>"})
    got = load_tokenizer(tmp_path)
    assert [got.piece(i) for i in range(n, n + 3)] == ["<|new|>", "two words", "<end>"]
    assert got._types[n:] == [3, 4, 3]
    assert (got.eos_id, got.add_eos) == (n + 2, True)
    assert got.encode("two words", add_bos=False) == [n + 1]
    write_json(tmp_path / "config.json", {"vocab_size": n + 5})
    assert load_tokenizer(tmp_path).n_vocab == n + 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": 4}, "model_type: wanted BPE or unigram, found char"),
        ({"model_type": 9}, "model_type: wanted BPE or unigram, found 9"),
        ({"remove_spaces": True}, "remove_extra_whitespaces: wanted False"),
        ({"extra": message(2, b"map")}, "precompiled_charsmap"),
        ({"extra": number(5, 0)}, "escape_whitespaces"),
    ],
)
def test_other_kinds_of_sentencepiece_models_are_refused(
    tmp_path: Path,
    spm_metadata: Callable[..., dict[str, Any]],
    changes: dict[str, Any],
    message: str,
) -> None:
    data = sentencepiece(*parts_of(spm_metadata()), **changes)
    (tmp_path / "tokenizer.model").write_bytes(data)
    with pytest.raises(UnsupportedError, match=message):
        load_tokenizer(tmp_path)


def trained(**options: Any) -> bytes:
    """Return a Unigram model that sentencepiece trains on a few words."""
    out = io.BytesIO()
    words = (
        "the cat sat on the mat and the rat ate the ﬁne hat that the cat had".split()
    )
    SentencePieceTrainer.train(
        sentence_iterator=iter(words * 20),
        model_writer=out,
        model_type="unigram",
        vocab_size=300,
        hard_vocab_limit=False,
        minloglevel=2,
        **options,
    )
    return out.getvalue()


UNIGRAM: dict[str, dict[str, Any]] = {
    "as it is": {},
    "bytes": {"byte_fallback": True},
    "no map": {"normalization_rule_name": "identity"},
    "all spaces": {"remove_extra_whitespaces": False, "add_dummy_prefix": False},
}


@pytest.mark.parametrize("name", UNIGRAM)
def test_a_unigram_model_gives_the_ids_and_texts_of_sentencepiece(
    tmp_path: Path, name: str
) -> None:
    data = trained(**UNIGRAM[name])
    (tmp_path / "tokenizer.model").write_bytes(data)
    got, want = load_tokenizer(tmp_path), SentencePieceProcessor(model_proto=data)
    for text in ("", "the cat", "  a ﬁne\u3000  hat ", "e\u0301 猫猫!", "<0x41>", "\n"):
        ids = want.encode(text)
        assert got.encode(text, add_bos=False) == ids
        unknown = " \u2047 "  # what sentencepiece writes for it
        assert got.decode(ids) == want.decode(ids).replace(unknown, "")


def test_a_unigram_model_with_a_broken_map_is_refused(tmp_path: Path) -> None:
    spoilt = sentencepiece(
        ["<unk>", "a"], [0.0, -1.0], [2, 1], model_type=1, extra=message(2, b"map")
    )
    (tmp_path / "tokenizer.model").write_bytes(spoilt)
    with pytest.raises(FormatError, match="precompiled_charsmap"):
        load_tokenizer(tmp_path)


BROKEN = {
    "an unknown kind": b"\x0f",
    "no end": b"\x0a",
    "a number without an end": b"\x08" + b"\xff" * 11,
    "longer than the file": b"\x0a\xff\xff\xff\x7fabc",
    "a piece that is cut": message(1, b"\x0a\x05abc"),
    "no pieces": message(2, number(3, 2)),
    "text": b"not a model at all",
    "a text that is a number": message(1, number(1, 5)),
    "no UTF-8": message(1, message(1, b"\xff")),
    "a score that is a number": message(1, message(1, b"a") + number(2, 5)),
    "a score that is none": message(1, message(1, b"a") + b"\x15\0\0\xc0\x7f"),
    "a type that is none": message(1, message(1, b"a") + number(3, 99)),
    "a byte that is none": message(1, message(1, b"a") + number(3, 6)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_models_are_refused(tmp_path: Path, name: str) -> None:
    rest = b"" if name == "no pieces" else sentencepiece(["a"], [0.0], [1])
    (tmp_path / "tokenizer.model").write_bytes(BROKEN[name] + rest)
    with pytest.raises(FormatError) as caught:
        load_tokenizer(tmp_path)
    assert caught.value.path == str(tmp_path / "tokenizer.model")


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_changed_byte_is_refused_or_harmless(
    tmp_path: Path, data: st.DataObject
) -> None:
    texts = ["<unk>", "<s>", "</s>", "<0x61>", "a", "▁a"]
    raw = bytearray(sentencepiece(texts, [0.0] * 6, [2, 3, 3, 6, 1, 1]))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    (tmp_path / "tokenizer.model").write_bytes(raw)
    try:
        tokenizer = load_tokenizer(tmp_path)
    except FormatError:
        return
    assert all(0 <= i < tokenizer.n_vocab for i in tokenizer.encode("a", add_bos=False))
