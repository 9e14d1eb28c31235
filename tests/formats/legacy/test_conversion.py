"""Old files, written independently, mean the same after conversion."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import old_files
import pytest
import random_model
from numpy.typing import NDArray
from old_files import OldModel

import llamacy
from llamacy.formats.gguf.config import read_config
from llamacy.formats.gguf.file import open_gguf
from llamacy.model.executors import load_executor
from llamacy.ops.batch import Batch

Floats = NDArray[np.float32]

N_EMBD, N_HEAD, N_LAYER, N_FF = 64, 2, 2, 128
TYPES = {
    "ggml": ["F32", "F16", "Q4_0", "Q4_1"],
    "ggmf v1": ["F32", "F16", "Q4_0", "Q4_1"],
    "ggjt v1": list(old_files.TYPES),
    "ggjt v2": list(old_files.TYPES),
    "ggjt v3": list(old_files.TYPES),
}
CASES = [(form, kind) for form, kinds in TYPES.items() for kind in kinds]
PIECES, SCORES, KINDS = random_model.vocabulary()


def shapes(n_kv: int = N_EMBD) -> dict[str, tuple[int, ...]]:
    block = {
        "attn_norm": (N_EMBD,),
        "attn_q": (N_EMBD, N_EMBD),
        "attn_k": (n_kv, N_EMBD),
        "attn_v": (n_kv, N_EMBD),
        "attn_output": (N_EMBD, N_EMBD),
        "ffn_norm": (N_EMBD,),
        "ffn_gate": (N_FF, N_EMBD),
        "ffn_up": (N_FF, N_EMBD),
        "ffn_down": (N_EMBD, N_FF),
    }
    return {
        "token_embd.weight": (len(PIECES), N_EMBD),
        "output_norm.weight": (N_EMBD,),
        "output.weight": (len(PIECES), N_EMBD),
        **{
            f"blk.{layer}.{name}.weight": shape
            for layer in range(N_LAYER)
            for name, shape in block.items()
        },
    }


def spoken(i: int, piece: str) -> bytes:
    """Return the bytes of a token in old files."""
    if i < 3:
        return [b" \xe2\x81\x87 ", b"", b""][i]
    if i < 259:
        return bytes([i - 3])
    return piece.replace(random_model.SPACE, " ").encode()


@pytest.fixture(scope="module")
def model(random_tensors: Callable[..., dict[str, Floats]]) -> OldModel:
    return OldModel(
        "ggjt v1",
        "Q4_0",
        random_tensors(shapes().items()),
        [spoken(i, piece) for i, piece in enumerate(PIECES)],
        SCORES,
        N_HEAD,
        N_LAYER,
    )


def logits(path: Path) -> Floats:
    """Return the reference executor's logits: the same weights give the same bits."""
    with open_gguf(path) as file:
        executor = load_executor(file, read_config(file), executor="reference")
    batch = Batch.of([1, 270, 300, 320, 7], executor.new_sequence(), "all")
    return executor.forward(batch)


def weights_of(path: Path) -> dict[str, Floats]:
    with open_gguf(path) as file:
        return {name: each.dequantize() for name, each in file.tensors.items()}


@pytest.mark.parametrize(("form", "kind"), CASES)
def test_every_format_and_type_keeps_its_weights(
    tmp_path: Path,
    model: OldModel,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    form: str,
    kind: str,
) -> None:
    stands_for = replace(model, format=form, type=kind).write(tmp_path / "old.bin")
    shares: list[float] = []
    done = llamacy.convert(
        tmp_path / "old.bin", tmp_path / "new.gguf", eps=1e-5, progress=shares.append
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.gguf", "old.bin"]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert (done.source_format, done.n_rounded) == (form, 0)
    matrices = [each for each in stands_for.values() if each.ndim == 2]
    assert done.tensor_types.get(kind, 0) >= len(matrices)
    found = weights_of(tmp_path / "new.gguf")
    assert found.keys() == stands_for.keys()
    for name, weights in stands_for.items():
        np.testing.assert_array_equal(found[name], weights, err_msg=name)
    metadata = llama_metadata(
        block_count=N_LAYER,
        embedding_length=N_EMBD,
        attention__head_count=N_HEAD,
        attention__head_count_kv=N_HEAD,
        feed_forward_length=N_FF,
        vocab_size=len(PIECES),
    )
    direct = write_gguf(tmp_path / "direct.gguf", metadata, stands_for)
    np.testing.assert_array_equal(logits(tmp_path / "new.gguf"), logits(direct))
    with llamacy.load(tmp_path / "new.gguf", n_threads=1) as loaded:
        assert loaded.config.n_ctx_train == 2048
        assert loaded.config.n_ff == N_FF
        ids = loaded.tokenize("bagoku")
        assert loaded.detokenize(ids) == "bagoku"
        assert len(loaded.generate(ids, max_tokens=4).tokens) > 0


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        *(("ggml", "Q4_0"), ("ggml", "Q4_1"), ("ggjt v1", "Q4_0"), ("ggjt v1", "Q8_0")),
        *(("ggjt v2", "Q4_0"), ("ggjt v2", "Q4_1"), ("ggjt v2", "Q8_0")),
    ],
)
def test_float32_scales_are_rounded_and_counted(
    tmp_path: Path, model: OldModel, form: str, kind: str
) -> None:
    old = replace(model, format=form, type=kind, float16_scales=False)
    stands_for = old.write(tmp_path / "old.bin")
    done = llamacy.convert(tmp_path / "old.bin", tmp_path / "new.gguf")
    n_blocks = sum(w.size for w in stands_for.values() if w.ndim == 2) // 32
    n_scales = n_blocks * (2 if kind == "Q4_1" else 1)
    assert 0.95 * n_scales < done.n_rounded <= n_scales
    for name, weights in weights_of(tmp_path / "new.gguf").items():
        blocks = stands_for[name].reshape(-1, 32)
        off = np.abs(weights.reshape(-1, 32) - blocks)
        # d * code and m are each off by half a unit in their last place
        most = np.abs(blocks).max(axis=1, keepdims=True)
        assert (off <= (3 if kind == "Q4_1" else 1) * 2.0**-11 * most + 1e-12).all()


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1"])
def test_files_of_the_first_days_are_recognised(
    tmp_path: Path, model: OldModel, kind: str
) -> None:
    """They store a row's scales before its nibbles, and nothing in them says so."""
    old = replace(model, format="ggml", type=kind, planes=True)
    stands_for = old.write(tmp_path / "old.bin")
    llamacy.convert(tmp_path / "old.bin", tmp_path / "new.gguf")
    for name, weights in weights_of(tmp_path / "new.gguf").items():
        np.testing.assert_array_equal(weights, stands_for[name], err_msg=name)


@pytest.mark.parametrize("kind", ["F16", "Q4_0", "Q4_1"])
@pytest.mark.parametrize("form", ["ggml", "ggmf v1", "ggjt v1"])
def test_a_model_in_several_parts_is_joined(
    tmp_path: Path, model: OldModel, form: str, kind: str
) -> None:
    old = replace(model, format=form, type=kind)
    stands_for = old.write(tmp_path / "old.bin", n_parts=2)
    llamacy.convert(tmp_path / "old.bin", tmp_path / "new.gguf")
    for name, weights in weights_of(tmp_path / "new.gguf").items():
        assert weights.shape == model.tensors[name].shape
        np.testing.assert_array_equal(weights, stands_for[name], err_msg=name)


def test_the_vocabulary_is_converted(
    tmp_path: Path, model: OldModel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "llamacy")
    replace(model, type="F16").write(tmp_path / "old.bin")
    llamacy.convert(tmp_path / "old.bin", tmp_path / "new.gguf")
    with open_gguf(tmp_path / "new.gguf") as file:
        keys = {key.removeprefix("tokenizer.ggml."): file.metadata[key]
                for key in file.metadata if key.startswith("tokenizer.")}  # fmt: skip
    assert keys["tokens"] == PIECES
    assert list(keys["token_type"]) == KINDS
    assert list(keys["scores"]) == SCORES
    assert [keys[f"{name}_token_id"] for name in ("unknown", "bos", "eos")] == [0, 1, 2]
    assert not caplog.records


def test_missing_scores_are_restored(
    tmp_path: Path, model: OldModel, shared: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """LLaMA's own vocabulary without its scores gets the same scores again."""
    caplog.set_level(logging.WARNING, "llamacy")
    path = shared / "tokenizers" / "llama-spm.gguf"
    with open_gguf(path, metadata_only=True) as file:
        pieces = file.metadata["tokenizer.ggml.tokens"]
        scores = list(file.metadata["tokenizer.ggml.scores"])
    tensors = {
        name: np.zeros((len(pieces), N_EMBD), np.float32)
        if name in ("token_embd.weight", "output.weight")
        else weights
        for name, weights in model.tensors.items()
    }
    old = replace(
        model,
        format="ggml",
        type="F16",
        tensors=tensors,
        tokens=[spoken(i, piece) for i, piece in enumerate(pieces)],
        scores=scores,
    )
    old.write(tmp_path / "old.bin")
    llamacy.convert(tmp_path / "old.bin", tmp_path / "new.gguf")
    with open_gguf(tmp_path / "new.gguf") as file:
        assert file.metadata["tokenizer.ggml.tokens"] == pieces
        assert list(file.metadata["tokenizer.ggml.scores"]) == scores
    assert "no token scores" in caplog.text


def test_weights_can_be_quantised_during_the_conversion(
    tmp_path: Path, model: OldModel
) -> None:
    replace(model, type="F16").write(tmp_path / "old.bin")
    done = llamacy.convert(tmp_path / "old.bin", tmp_path / "new.gguf", "Q8_0")
    assert done.tensor_types["Q8_0"] == 2 + 7 * N_LAYER
    with open_gguf(tmp_path / "new.gguf") as file:
        assert file.metadata["general.file_type"] == 7


def test_key_value_heads_and_options_become_metadata(
    tmp_path: Path, model: OldModel, random_tensors: Callable[..., dict[str, Floats]]
) -> None:
    tensors = random_tensors(shapes(n_kv=N_EMBD // 2).items())
    replace(model, type="F16", tensors=tensors).write(tmp_path / "old.bin")
    for gqa in (None, 2):
        llamacy.convert(
            tmp_path / "old.bin", tmp_path / "new.gguf", gqa=gqa, n_ctx=512, eps=1e-6
        )
        with open_gguf(tmp_path / "new.gguf") as file:
            config = read_config(file)
            kind = file.value_types["llama.attention.layer_norm_rms_epsilon"]
            assert kind == gguf.GGUFValueType.FLOAT32
        assert (config.n_head, config.n_head_kv) == (N_HEAD, N_HEAD // 2)
        assert config.n_ctx_train == 512
        assert config.norm_eps == pytest.approx(1e-6)
        assert config.name == "old"
    with pytest.raises(llamacy.ArgumentError, match="gqa: wanted 2"):
        llamacy.convert(tmp_path / "old.bin", tmp_path / "new.gguf", gqa=8)
