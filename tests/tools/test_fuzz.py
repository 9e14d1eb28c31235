"""The fuzzers' targets work without a fuzzer: on their seeds, and on some mutants."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path
from typing import Any

import pytest
from fuzz import files
from fuzz.documents import LARGE, Mutator, data_of, document_of, scrambled, text_of
from fuzz.targets import NAMES

import llamacy
from llamacy.formats.gguf.file import open_gguf

N_MUTANTS = 25


@pytest.mark.parametrize("name", NAMES)
def test_targets_read_their_seeds_and_mutants_of_them(name: str) -> None:
    target: Any = __import__(f"fuzz.targets.{name}", fromlist=["seeds"])
    seeds: list[bytes] = target.seeds()
    mutate = Mutator(seeds)
    rng = random.Random(name)
    for seed in rng.sample(seeds, min(len(seeds), 12)):
        target.run(seed)
    for i in range(N_MUTANTS):
        target.run(mutate(rng.choice(seeds), 1 << 13, i))


def test_a_mutant_is_another_document_within_its_limit() -> None:
    seed = data_of({"a": [1, {"b": "c"}], "d": 0.5})
    mutate = Mutator([seed])
    mutants = [mutate(seed, 200, i) for i in range(200)]
    assert max(map(len, mutants)) <= 200
    assert len(set(mutants)) > 100
    assert sum(document_of(mutant) is not None for mutant in mutants) > 180
    assert mutate(seed, 200, 7) == mutate(seed, 200, 7)


def test_bytes_that_are_no_document_are_scrambled() -> None:
    rng = random.Random(0)
    assert {scrambled(b"", rng) for _ in range(50)} >= {b""}
    assert len({scrambled(b"GGUF", rng) for _ in range(50)}) > 20
    assert document_of(b"GGUF") is None
    assert document_of(b"[1]") is None


def test_documents_become_files(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    keys: list[Any] = [["k", 4, 2**32 + 7], ["a", 9, ["x", "y"], 8], ["f", 6, 0.5]]
    tensors = [["t", [32, 2], 0, 0]]
    files.write_gguf(path, {"keys": keys, "tensors": tensors, "data": 256})
    with open_gguf(path) as file:
        assert file.metadata == {"k": 7, "a": ["x", "y"], "f": 0.5}
        assert file.tensors["t"].shape == (2, 32)
    files.write_safetensors(path, {"t": ["F16", [2, 3]]})
    (n,) = struct.unpack_from("<Q", data := path.read_bytes())
    header = json.loads(data[8 : 8 + n])
    assert header == {"t": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}}
    assert len(data) == 8 + n + 12
    document = {"config.json": {"a": LARGE}, "../b": 1, "tensors": {}, "c": "{"}
    files.write_folder(folder := tmp_path / "folder", document)
    assert (folder / "config.json").read_bytes() == b'{"a": ' + b"9" * 5000 + b"}"
    assert (folder / "c").read_text() == "{"
    names = {each.name for each in folder.iterdir()}
    assert names == {"config.json", "model.safetensors", "c"}
    assert text_of("\ud800") == b"\xed\xa0\x80"


def test_only_typed_errors_pass() -> None:
    def fail(error: Exception) -> None:
        raise error

    read: list[int] = []
    files.attempts(
        lambda: fail(llamacy.FormatError("path", "field", 1, 2)),
        lambda: read.append(1),
        allowed=llamacy.LlamacyError,
    )
    assert read == [1]
    with pytest.raises(ValueError, match="untyped"):
        files.attempts(
            lambda: fail(ValueError("untyped")), allowed=llamacy.LlamacyError
        )
