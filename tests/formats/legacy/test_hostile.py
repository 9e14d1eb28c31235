"""Broken old files raise typed errors, and leave nothing behind."""

from __future__ import annotations

import random
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz.targets import legacy
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import llamacy
from llamacy.formats.legacy.file import is_legacy
from tests.support import old_files
from tests.support.old_files import OldModel

N_EMBD = 64
TOKENS = [b"", b"", b"", *(bytes([byte]) for byte in range(256)), b" a"]


def tensors() -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    rows = {
        "token_embd": len(TOKENS),
        "output": len(TOKENS),
        **dict.fromkeys(
            [f"blk.0.attn_{part}" for part in ("q", "k", "v", "output")], N_EMBD
        ),
        **dict.fromkeys(
            [f"blk.0.ffn_{part}" for part in ("gate", "up", "down")], N_EMBD
        ),
    }
    made = {
        f"{name}.weight": rng.standard_normal((n, N_EMBD), dtype=np.float32)
        for name, n in rows.items()
    }
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        made[f"{name}.weight"] = np.ones(N_EMBD, np.float32)
    return made


@pytest.fixture(scope="module")
def model() -> OldModel:
    return OldModel("ggjt v1", "Q4_0", tensors(), TOKENS, [0.0] * len(TOKENS), 2, 1)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return tmp_path / "old.bin"


def refused(old: Path) -> llamacy.FormatError:
    """Convert an invalid file; there must be no file at the end."""
    before = sorted(old.parent.iterdir())
    with pytest.raises(llamacy.FormatError) as caught:
        llamacy.convert(old, old.with_name("new.gguf"))
    assert sorted(old.parent.iterdir()) == before
    assert str(old.parent) in str(caught.value)
    assert len(str(caught.value)) < len(str(old)) + 500
    return caught.value


def test_the_file_that_other_tests_corrupt_is_valid(model: OldModel, old: Path) -> None:
    model.write(old)
    assert is_legacy(old)
    done = llamacy.convert(old, old.with_name("new.gguf"))
    assert done.tensor_types == {"Q4_0": 9, "F32": 3}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"n_vocab": 0}, "n_vocab"),
        ({"n_vocab": 2**32 - 1}, "n_vocab"),
        ({"n_embd": 0}, "n_embd"),
        ({"n_embd": 2**31}, "n_embd"),
        ({"n_head": 0}, "n_head"),
        ({"n_head": 3}, "n_head"),
        ({"n_layer": 0}, "n_layer"),
        ({"n_layer": 2}, "tensor blk.1.attn_norm.weight"),
        ({"n_layer": 2**32 - 1}, "n_layer"),
        ({"ftype": 5}, "ftype"),
        ({"n_embd": 96}, "tensor tok_embeddings.weight: shape"),
        ({"n_embd": 64 * 65}, "tensor tok_embeddings.weight: shape"),
    ],
)
def test_impossible_hyperparameters_are_refused(
    model: OldModel, old: Path, changes: dict[str, int], field: str
) -> None:
    replace(model, changes=changes).write(old)
    assert refused(old).field == field


@pytest.mark.parametrize("form", old_files.FORMATS)
def test_every_truncated_file_is_refused(model: OldModel, old: Path, form: str) -> None:
    replace(model, format=form).write(old)
    whole = old.read_bytes()
    for size in [*range(4, 60), *range(60, len(whole), len(whole) // 20)]:
        old.write_bytes(whole[:size])
        refused(old)


@pytest.mark.parametrize("form", old_files.FORMATS)
def test_mutated_headers_are_refused_or_converted(
    model: OldModel, old: Path, form: str
) -> None:
    """Headers with a changed word are refused, or converted to a readable file."""
    replace(model, format=form).write(old)
    whole, rng = old.read_bytes(), random.Random(0)
    heads = len(replace(model, format=form).head()) + 200
    new = old.with_name("new.gguf")
    for _ in range(25):
        data = bytearray(whole)
        word = rng.choice([0, 1, 31, 4096, 2**31, 2**32 - 1, rng.getrandbits(32)])
        struct.pack_into("<I", data, rng.randrange(4, heads), word)
        old.write_bytes(data)
        try:
            llamacy.convert(old, new)
        except llamacy.LlamacyError:
            assert not new.exists()
        else:
            new.unlink()


def header(name: bytes, kind: int, *sizes: int) -> bytes:
    head = (len(sizes), len(name), kind, *sizes)
    return struct.pack(f"<{len(head)}I", *head) + name


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (header(b"output.weight", 4, 64, 2), "found Q4_2"),
        (header(b"output.weight", 99, 64, 2), "found 99"),
        (header(b"output.weight", 12, 256, 2), "wanted one of F32"),  # K types: v3
        (header(b"output.weight", 0, 2**31, 2**31), "sizes from 1"),
        (header(b"output.weight", 0, 2**30, 2**30), "bytes, found"),
        (header(b"output.weight", 0, 0, 2), "sizes from 1"),
        (header(b"output.weight", 2, 33, 2), "multiple of 32"),
        (header(b"output.weight", 0, 1, 1, 1), "1 or 2"),
        (header(b"\xff\xfe", 0, 1), "UTF-8"),
        (header(b"norm.weight", 0, 1) + bytes(4), "found norm.weight"),
        (
            header(b"transformer.h.0.weight", 0, 1) + bytes(4),
            "the name of a LLaMA tensor",
        ),
        (header(b"layers.7.ffn_norm.weight", 0, 1) + bytes(4), "below n_layer"),
        (header(b"layers.00.ffn_norm.weight", 0, 1) + bytes(4), "once"),
    ],
)
def test_an_extra_tensor_is_refused(
    model: OldModel, old: Path, tensor: bytes, said: str
) -> None:
    model = replace(model, format="ggmf v1")  # nothing is aligned
    model.write(old)
    old.write_bytes(old.read_bytes() + tensor)
    assert said in str(refused(old))


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), 1e6])
@pytest.mark.parametrize("form", ["ggml", "ggjt v1", "ggjt v2"])
def test_scales_beyond_float16_are_refused(
    model: OldModel, old: Path, form: str, scale: float
) -> None:
    large = {**model.tensors, "output.weight": np.full((260, 64), 3e6, np.float32)}
    changed = replace(model, format=form, tensors=large, float16_scales=False)
    changed.write(old)
    one = struct.pack("<f", np.float32(3e6) / 7)
    assert one in old.read_bytes()
    old.write_bytes(old.read_bytes().replace(one, struct.pack("<f", scale)))
    error = refused(old)
    assert (error.field, error.wanted) == (
        "tensor output.weight",
        "scales that float16 can hold",
    )


def test_parts_of_different_models_are_refused(model: OldModel, old: Path) -> None:
    model.write(old, n_parts=2)
    second = Path(f"{old}.1")
    sound = second.read_bytes()
    second.write_bytes(sound.replace(b" a", b" b"))
    assert refused(old).field == "tokens"
    replace(model, n_mult=256).write(second)
    assert refused(old).field == "hparams"
    second.write_bytes(sound.replace(b"attention.wk", b"attention.wv", 1))
    assert refused(old).field.startswith("tensor")
    second.unlink()
    with pytest.raises(llamacy.ModelFileError, match=r"old\.bin\.1"):
        llamacy.convert(old, old.with_name("new.gguf"))


def test_tokens_that_are_not_utf8_are_refused(model: OldModel, old: Path) -> None:
    replace(model, tokens=[*TOKENS[:-1], b"\xff\xfe"]).write(old)
    assert refused(old).field == "token 259"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"GGUF" + bytes(40), "a GGUF file, for quantize"),
        (b"PK\x03\x04" + bytes(40), "zip archive"),
        (b"tjgg" + struct.pack("<I", 4), "found 4"),
        (b"fmgg" + struct.pack("<I", 2), "found 2"),
        (b"fmgg", "found 0 before the end"),
        (b"", "empty"),
    ],
)
def test_files_of_other_formats_are_refused(
    old: Path, content: bytes, found: str
) -> None:
    old.write_bytes(content)
    assert found in str(refused(old))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_ctx": 0}, "n_ctx"),
        ({"eps": -1.0}, "eps"),
        ({"eps": float("nan")}, "eps"),
        ({"gqa": 0}, "gqa"),
        ({"progress": 3}, "progress"),
    ],
)
def test_invalid_options_are_refused(
    model: OldModel, old: Path, options: dict[str, Any], message: str
) -> None:
    model.write(old)
    new = old.with_name("new.gguf")
    with pytest.raises(llamacy.ArgumentError, match=message):
        llamacy.convert(old, new, **options)
    assert not new.exists()


def test_source_and_target_must_be_different_and_the_source_exist(
    model: OldModel, old: Path
) -> None:
    model.write(old)
    new = old.with_name("new.gguf")
    with pytest.raises(llamacy.ArgumentError, match="another file than the source"):
        llamacy.convert(old, old)
    with pytest.raises(llamacy.ModelFileError):
        llamacy.convert(old.with_name("none.bin"), new)
    assert not new.exists()


def test_an_error_leaves_the_old_target_unchanged(model: OldModel, old: Path) -> None:
    new = old.with_name("new.gguf")
    new.write_bytes(b"precious")
    model.write(old)

    def stop(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        llamacy.convert(old, new, progress=stop)
    assert new.read_bytes() == b"precious"
    assert len(list(old.parent.iterdir())) == 2


def test_loading_an_old_file_suggests_converting_it(model: OldModel, old: Path) -> None:
    model.write(old)
    with pytest.raises(llamacy.FormatError, match="GGJT file.*llamacy convert"):
        llamacy.load(old)


@given(
    seed=st.sampled_from(legacy.seeds()),
    at=st.integers(0, 400),
    new=st.binary(min_size=1, max_size=4),
)
@settings(max_examples=150, deadline=None)
def test_changed_bytes_of_a_header_are_refused_or_read(
    seed: bytes, at: int, new: bytes
) -> None:
    legacy.run(seed[:at] + new + seed[at + len(new) :])
