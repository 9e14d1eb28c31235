"""GGUF files: header, tensors, hyperparameters, vocabulary, adapters."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from llamacy.chat.formats import own_templates
from llamacy.errors import LlamacyError
from llamacy.formats.gguf.file import open_gguf
from llamacy.formats.lora.gguf_adapter import read_gguf_adapter
from llamacy.model_files.inspecting import inspect_file
from llamacy.model_files.opening import open_model
from llamacy.sampling.file_defaults import file_defaults
from llamacy.tokenizers import tokenizer_from_metadata

from .. import files
from ..documents import data_of, document_of

_PATH = files.scratch() / "model.gguf"
_MOST = 1 << 16  # weights of a tensor that are computed
_U8, _U32, _F32, _BOOL, _STRING, _ARRAY, _I32 = 0, 4, 6, 7, 8, 9, 5
_SHAPES: dict[str, list[int]] = {
    "attn_q": [32, 32],
    "attn_k": [32, 16],
    "attn_v": [32, 16],
    "attn_output": [32, 32],
    "ffn_gate": [32, 64],
    "ffn_up": [32, 64],
    "ffn_down": [64, 32],
    "attn_norm": [32],
    "ffn_norm": [32],
}
_DENSE = ("ffn_gate.weight", "ffn_up.weight", "ffn_down.weight")


def _keys(family: str, **more: Any) -> list[list[Any]]:
    sizes = {
        "block_count": 1,
        "context_length": 64,
        "embedding_length": 32,
        "feed_forward_length": 64,
        "attention.head_count": 2,
        "attention.head_count_kv": 1,
        "vocab_size": 8,
    } | more
    return [
        ["general.architecture", _STRING, family],
        ["general.sampling.temp", _F32, 0.5],
        ["general.alignment", _U32, 32],
        [f"{family}.attention.layer_norm_rms_epsilon", _F32, 1e-5],
        *([f"{family}.{key}", _U32, value] for key, value in sizes.items()),
    ]


def _vocabulary(kind: str) -> list[list[Any]]:
    space = "\u0120" if kind == "gpt2" else "\u2581"
    tokens = ["<unk>", "<s>", "</s>", "a", "b", "ab", space, "<0x41>"]
    return [
        ["tokenizer.ggml.model", _STRING, kind],
        ["tokenizer.ggml.pre", _STRING, "default"],
        ["tokenizer.ggml.tokens", _ARRAY, tokens, _STRING],
        ["tokenizer.ggml.scores", _ARRAY, [0, 0, 0, -1, -2, -3, -4, 0], _F32],
        ["tokenizer.ggml.token_type", _ARRAY, [2, 3, 3, 1, 1, 1, 1, 6], _I32],
        ["tokenizer.ggml.merges", _ARRAY, ["a b"], _STRING],
        ["tokenizer.ggml.bos_token_id", _U32, 1],
        ["tokenizer.ggml.eos_token_id", _U32, 2],
        ["tokenizer.ggml.add_bos_token", _BOOL, 1],
        ["tokenizer.chat_template", _STRING, "{{ messages[0].content }}"],
    ]


def _of_encoder(kind: str) -> list[list[Any]]:
    """Return the keys of a vocabulary of WordPiece, or of Unigram."""
    return [
        *_vocabulary(kind),
        ["tokenizer.ggml.unknown_token_id", _U32, 0],
        ["tokenizer.ggml.seperator_token_id", _U32, 2],
        ["tokenizer.ggml.normalizer.lowercase", _BOOL, 0],
        ["tokenizer.ggml.remove_extra_whitespaces", _BOOL, 1],
        ["tokenizer.ggml.add_space_prefix", _BOOL, 1],
        ["tokenizer.ggml.precompiled_charsmap", _ARRAY, [*files.character_map()], _U8],
    ]


def _tensors(kind: int, more: dict[str, list[int]]) -> tuple[list[list[Any]], int]:
    """Return a layer's tensors and the bytes they take, matrices of F32 or Q8_0."""
    shapes = {f"blk.0.{name}.weight": shape for name, shape in _SHAPES.items()}
    shapes |= {f"blk.0.{name}": shape for name, shape in more.items()}
    shapes |= {"token_embd.weight": [32, 8], "output_norm.weight": [32]}
    made, at = [], 0
    for name, shape in shapes.items():
        if "ffn_gate_inp.weight" in more and name.removeprefix("blk.0.") in _DENSE:
            continue
        n = math.prod(shape)
        is_block = len(shape) > 1 and kind == 8
        made.append([name, shape, 8 if is_block else 0, at])
        at += (-(-n // 32) * 34 + 31) // 32 * 32 if is_block else 4 * n
    return made, at


def _document(
    keys: list[list[Any]], kind: int = 0, more: dict[str, list[int]] | None = None
) -> bytes:
    tensors, size = _tensors(kind, more or {})
    return data_of({"version": 3, "keys": keys, "tensors": tensors, "data": size})


def seeds() -> list[bytes]:
    """Return models of several families, an adapter and a vocabulary alone."""
    scaled: Any = ["llama.rope.scaling.type", _STRING, "yarn"]
    factor: Any = ["llama.rope.scaling.factor", _F32, 4.0]
    window = _keys("gemma3", **{"attention.sliding_window": 8})
    biases = {"attn_q.bias": [32], "attn_k.bias": [16], "attn_v.bias": [16]}
    norms = {f"attn_{part}_norm.weight": [16] for part in "qk"}
    norms |= {f"post_{part}_norm.weight": [32] for part in ("attention", "ffw")}
    experts = {"ffn_gate_inp.weight": [32, 2], "ffn_gate_exps.weight": [32, 64, 2]}
    experts |= {"ffn_up_exps.weight": [32, 64, 2], "ffn_down_exps.weight": [64, 32, 2]}
    adapter = [
        ["general.architecture", _STRING, "llama"],
        ["general.type", _STRING, "adapter"],
        ["adapter.type", _STRING, "lora"],
        ["adapter.lora.alpha", _F32, 16.0],
    ]
    pair = [
        ["blk.0.attn_q.weight.lora_a", [32, 2], 0, 0],
        ["blk.0.attn_q.weight.lora_b", [2, 32], 0, 256],
    ]
    whole = [
        _document(_keys("llama") + _vocabulary("llama")),
        _document(_keys("llama") + [scaled, factor] + _vocabulary("gpt2"), 8),
        _document(window + _vocabulary("llama"), 0, norms),
        _document(_keys("qwen2") + _vocabulary("gpt2"), 0, biases),
        _document(_keys("llama", expert_count=2, expert_used_count=1), 0, experts),
        _document(_keys("gpt-oss", expert_count=2, expert_used_count=1), 0, experts),
        data_of({"keys": adapter, "tensors": pair, "data": 512}),
        data_of({"keys": _of_encoder("bert"), "tensors": [], "data": 0}),
        data_of({"keys": _of_encoder("t5"), "tensors": [], "data": 0}),
        data_of({"keys": _vocabulary("llama"), "tensors": [], "data": 0}),
    ]
    files.write_gguf(_PATH, document_of(whole[-1]) or {})
    return [*whole, _PATH.read_bytes()]


def run(data: bytes) -> None:
    """Read a file, written from a document or as it is, in every way."""
    document = document_of(data)
    if document is None:
        _PATH.write_bytes(data)
    else:
        files.write_gguf(_PATH, document)
    files.attempts(
        _model, _tokenizer, lambda: read_gguf_adapter(_PATH), allowed=LlamacyError
    )


def _model() -> None:
    with open_model(Path(_PATH)) as file:
        own_templates(file.metadata)
        file_defaults(file.metadata, str(_PATH))
        file.fingerprint()
        for tensor in file.tensors.values():
            if tensor.n_bytes < _MOST:
                tensor.dequantize()
        inspect_file(file)


def _tokenizer() -> None:
    with open_gguf(_PATH, metadata_only=True) as file:
        tokenizer = tokenizer_from_metadata(file.metadata, "model.gguf")
    ids = tokenizer.encode("ab </s>ba b", parse_special=True)
    tokenizer.decode(ids, skip_special=False)
