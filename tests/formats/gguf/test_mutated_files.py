"""GGUF files with random changes are refused or harmless, and no change hangs."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from fuzz.documents import data_of, document_of
from fuzz.files import write_gguf
from fuzz.targets import gguf as gguf_target
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llamacy.errors import FormatError, LlamacyError
from llamacy.formats.gguf.config import read_config
from llamacy.formats.gguf.file import GGUFFile, open_gguf
from tests.support.changes import changed
from tests.support.gguf_bytes import (
    ARRAY,
    SECONDS,
    STRING,
    U32,
    Raw,
    bounded,
    key,
    tensor,
    text,
    u32,
    u64,
)


def use(file: GGUFFile) -> None:
    """Use every part of a file that was accepted."""
    for each in file.tensors.values():
        weights = each.dequantize()
        assert weights.shape == each.shape
        each.release()
    try:
        config = read_config(file)
    except FormatError:
        return
    assert config.n_layer >= 1


def survives(path: Path, content: bytes) -> bool:
    """Open a file and use it; return whether it was accepted."""
    path.write_bytes(content)
    start = time.thread_time()
    try:
        with open_gguf(path) as file:
            use(file)
            accepted = True
    except LlamacyError as error:
        assert str(path) in str(error)
        accepted = False
    assert time.thread_time() - start < SECONDS
    return accepted


# numbers that overflow, or are too large by one, in whatever field they hit
extremes = st.sampled_from(
    [0, 1, 4, 8, 9, 31, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**60]
    + [2**63 - 1, 2**63, 2**64 - 32, 2**64 - 1]
)
edits = st.one_of(
    st.tuples(st.just("byte"), st.integers(0, 10**6), st.integers(0, 255)),
    st.tuples(st.just("u32"), st.integers(0, 10**6), extremes),
    st.tuples(st.just("u64"), st.integers(0, 10**6), extremes),
    st.tuples(st.just("insert"), st.integers(0, 10**6), extremes),
    st.tuples(st.just("delete"), st.integers(0, 10**6), st.integers(1, 40)),
    st.tuples(st.just("cut"), st.integers(0, 10**6), st.just(0)),
)


def mutate(content: bytes, n_head: int, changes: list[tuple[str, int, int]]) -> bytes:
    """Change some bytes, almost always among the first `n_head`."""
    data = bytearray(content)
    for kind, place, value in changes:
        at = place % min(n_head, len(data) or 1)
        if kind == "byte":
            data[at : at + 1] = bytes([value])
        elif kind == "u32":
            data[at : at + 4] = u32(value & 0xFFFFFFFF)
        elif kind == "u64":
            data[at : at + 8] = u64(value)
        elif kind == "insert":
            data[at:at] = u64(value)
        elif kind == "delete":
            del data[at : at + value]
        else:
            del data[place % (len(data) or 1) :]
    return bytes(data)


small_model = Raw(
    keys=[
        key("general.architecture", STRING, text("llama")),
        key("general.alignment", U32, u32(32)),
        key("llama.block_count", U32, u32(1)),
        key("tokenizer.ggml.tokens", ARRAY, u32(STRING) + u64(3) + text("abc") * 3),
        key("tokenizer.ggml.scores", ARRAY, u32(6) + u64(3) + bytes(12)),
        key("tokenizer.ggml.add_bos_token", 7, b"\1"),
    ],
    tensors=[
        tensor("a", (32, 2), 8, 0),
        tensor("b", (256, 1), 12, 96),
        tensor("c", (4, 2, 2), 1, 256),
    ],
    data=bytes(range(256)) * 2,
).build()
n_small_head = len(small_model) - 512

fuzz = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@settings(fuzz, max_examples=1200)
@given(st.lists(edits, min_size=1, max_size=4))
def test_mutations_of_a_small_model_are_refused_or_harmless(
    path: Path, changes: list[tuple[str, int, int]]
) -> None:
    survives(path, mutate(small_model, n_small_head, changes))


@settings(fuzz, max_examples=600)
@given(st.lists(edits, min_size=1, max_size=3))
def test_mutations_of_a_real_model_are_refused_or_harmless(
    shared: Path, path: Path, changes: list[tuple[str, int, int]]
) -> None:
    content = (shared / "models/stories260K-Q8_0.gguf").read_bytes()
    survives(path, mutate(content, 14_240, changes))


def test_a_change_of_any_header_byte_is_refused_or_harmless(path: Path) -> None:
    """Each byte becomes its complement, 0 and 255 in turn; memory stays bounded."""
    n_accepted = 0
    for at in range(n_small_head):
        for value in (small_model[at] ^ 0xFF, 0, 255):
            content = small_model[:at] + bytes([value]) + small_model[at + 1 :]
            with bounded():
                n_accepted += survives(path, content)
    # most bytes are lengths, types and offsets; names and values may be anything
    assert 0 < n_accepted < 3 * n_small_head


def test_random_bytes_after_the_magic_are_refused(path: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        noise = rng.integers(0, 256, 200, dtype=np.uint8).tobytes()
        sparse = bytes(b if rng.random() < 0.2 else 0 for b in noise)
        survives(path, b"GGUF" + u32(3) + u64(1) + u64(1) + sparse)


GGUF_DOCUMENTS = [each for each in map(document_of, gguf_target.seeds()) if each]


@given(document=changed(GGUF_DOCUMENTS))
@settings(max_examples=80, deadline=None)
def test_a_model_with_one_change_is_refused_or_works(document: dict[str, Any]) -> None:
    gguf_target.run(data_of(document))  # an error that is not typed leaves it


@given(
    texts=st.dictionaries(st.text(min_size=1, max_size=9), st.text(), max_size=4),
    numbers=st.lists(st.integers(0, 2**64 - 1), max_size=9),
    strings=st.lists(st.text(), max_size=9),
)
@settings(max_examples=60, deadline=None)
def test_keys_are_read_as_they_were_written(
    texts: dict[str, str], numbers: list[int], strings: list[str]
) -> None:
    keys: list[Any] = [[f"t.{name}", STRING, text] for name, text in texts.items()]
    keys += [["numbers", ARRAY, numbers, 10], ["strings", ARRAY, strings, STRING]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.gguf"
        write_gguf(path, {"keys": keys, "tensors": []})
        with open_gguf(path) as file:
            found = dict(file.metadata)
    assert found.pop("numbers").tolist() == numbers
    assert found.pop("strings") == strings
    assert found == {f"t.{name}": text for name, text in texts.items()}
