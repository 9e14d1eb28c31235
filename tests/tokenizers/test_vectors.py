"""Real vocabularies give llama.cpp's ids for the same texts."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

from llamacy.model_files.tokenizer import load_tokenizer
from llamacy.tokenizers import Tokenizer
from tests.support.lines_run import lines_run

NAMES = ("llama-spm", "llama-bpe", "qwen2")


@cache
def _load(path: Path) -> Tokenizer:
    return load_tokenizer(path)


def _vectors(shared: Path, name: str) -> list[tuple[str, list[int]]]:
    rows = json.loads((shared / "tokenizers" / f"{name}.json").read_text("utf-8"))
    return [(row["text"], row["ids"]) for row in rows]


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def tokenizer(shared: Path, name: str) -> Tokenizer:
    return _load(shared / "tokenizers" / f"{name}.gguf")


def test_ids_are_those_of_llama_cpp(
    shared: Path, name: str, tokenizer: Tokenizer
) -> None:
    vectors = _vectors(shared, name)
    assert len(vectors) == 47
    for text, ids in vectors:
        assert tokenizer.encode(text, add_bos=False) == ids


def test_decoding_the_ids_gives_the_text(
    shared: Path, name: str, tokenizer: Tokenizer
) -> None:
    for text, ids in _vectors(shared, name):
        assert tokenizer.decode(ids) == text
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_token_bytes_join_to_the_text(
    shared: Path, name: str, tokenizer: Tokenizer
) -> None:
    prefix = b" " if name == "llama-spm" else b""
    for text, ids in _vectors(shared, name):
        wanted = prefix + text.encode() if text else b""
        assert b"".join(map(tokenizer.token_bytes, ids)) == wanted


def test_every_token_has_bytes_or_is_a_control_token(tokenizer: Tokenizer) -> None:
    empty = [i for i in range(tokenizer.n_vocab) if not tokenizer.token_bytes(i)]
    assert all(tokenizer.piece(i).startswith(("<", "[")) for i in empty)
    assert tokenizer.eog_ids <= set(empty)


def test_eight_threads_get_the_same_ids_as_one(
    shared: Path, name: str, tokenizer: Tokenizer
) -> None:
    vectors = _vectors(shared, name) * 4

    def check(shift: int) -> bool:
        turned = vectors[shift:] + vectors[:shift]
        return all(
            tokenizer.encode(text, add_bos=False) == ids
            and tokenizer.decode(ids) == text
            for text, ids in turned
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(check, range(0, 80, 10)))


@pytest.mark.parametrize(
    ("name", "n_vocab", "bos", "eos", "add_bos", "ends"),
    [
        ("llama-spm", 32000, 1, 2, True, {"</s>"}),
        ("llama-bpe", 128256, 128000, 128001, True, {"<|end_of_text|>", "<|eot_id|>"}),
        (
            *("qwen2", 151936, 151643, 151643, False),
            {"<|endoftext|>", "<|im_end|>", "</s>"},  # the last by llama.cpp's rule
        ),
    ],
)
def test_special_ids_are_those_of_the_file(
    shared: Path,
    name: str,
    n_vocab: int,
    bos: int,
    eos: int,
    add_bos: bool,
    ends: set[str],
) -> None:
    tokenizer = _load(shared / "tokenizers" / f"{name}.gguf")
    assert tokenizer.n_vocab == n_vocab
    assert (tokenizer.bos_id, tokenizer.eos_id) == (bos, eos)
    assert (tokenizer.add_bos, tokenizer.add_eos) == (add_bos, False)
    assert {tokenizer.piece(i) for i in tokenizer.eog_ids} == ends
    assert tokenizer.encode("a")[:1] == ([bos] if add_bos else tokenizer.encode("a"))


def test_loading_runs_hardly_a_line_of_python_per_token(shared: Path) -> None:
    path = shared / "tokenizers" / "llama-bpe.gguf"
    n_vocab = _load(path).n_vocab
    assert lines_run(lambda: load_tokenizer(path)) < 1.5 * n_vocab


def test_the_vocabulary_of_a_model_file_is_read(shared: Path) -> None:
    tokenizer = load_tokenizer(shared / "models" / "stories260K-Q8_0.gguf")
    assert tokenizer.n_vocab == 512
    text = "Once upon a time"
    assert tokenizer.decode(tokenizer.encode(text)) == text
