"""Translates an old file's names, hyperparameters and vocabulary to GGUF's.

The rows of queries and keys keep their order, that of Meta's checkpoints, in which RoPE
rotates neighbours: GGUF files of LLaMA have the same. Source:
`convert_llama_ggml_to_gguf.py` of llama.cpp.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from llamacy.errors import ArgumentError, FormatError, UnsupportedError
from llamacy.formats.legacy.file import LegacyFile
from llamacy.formats.legacy.vocabulary import vocabulary_metadata
from llamacy.formats.metadata import FLOAT32, STRING, UINT32
from llamacy.ggml.types import QUANTIZATION_VERSION
from llamacy.printable import shown

_NAMES: Final = {
    "tok_embeddings": "token_embd",
    "norm": "output_norm",
    "output": "output",
}
_NAMES_OF_LAYER: Final = {
    "attention_norm": "attn_norm",
    "attention.wq": "attn_q",
    "attention.wk": "attn_k",
    "attention.wv": "attn_v",
    "attention.wo": "attn_output",
    "ffn_norm": "ffn_norm",
    "feed_forward.w1": "ffn_gate",
    "feed_forward.w2": "ffn_down",
    "feed_forward.w3": "ffn_up",
}
_OF_LAYER = re.compile(r"layers\.([0-9]{1,5})\.(.+)")
# numbers of llama.cpp's `llama_ftype` that were in use then, with the same meaning
_FILE_TYPES: Final = frozenset([0, 1, 2, 3, 4, *range(7, 19)])


def new_names(file: LegacyFile) -> dict[str, str]:
    """Return GGUF's names of the tensors, by their names in the file.

    Raises
    ------
    UnsupportedError
        A tensor is not one of LLaMA's.
    FormatError
        A layer's number is not below n_layer, or a tensor is missing.
    """
    names = {old: _new_name(file, old) for old in file.tensors}
    found = set(names.values())
    for new in _all_names(file.hparams.n_layer):
        if new not in found:
            raise FormatError(file.paths[0], f"tensor {new}", "one", "no such tensor")
    if len(found) < len(names):
        raise FormatError(file.paths[0], "tensors", "each once", "one twice")
    return names


def _all_names(n_layer: int) -> Iterator[str]:
    """Yield the names of all tensors of a LLaMA model of that time."""
    yield from (f"{new}.weight" for new in _NAMES.values())
    for layer in range(n_layer):
        for new in _NAMES_OF_LAYER.values():
            yield f"blk.{layer}.{new}.weight"


def _new_name(file: LegacyFile, old: str) -> str:
    stem = old.removesuffix(".weight")
    layer = _OF_LAYER.fullmatch(stem)
    part = layer[2] if layer else stem
    new = (_NAMES_OF_LAYER if layer else _NAMES).get(part)
    if new is None or stem == old:
        wanted = "the name of a LLaMA tensor"
        raise UnsupportedError(file.paths[0], f"tensor {shown(old)}", wanted, "another")
    if not layer:
        return f"{new}.weight"
    if int(layer[1]) >= file.hparams.n_layer:
        wanted = f"a layer below n_layer, {file.hparams.n_layer}"
        raise FormatError(file.paths[0], f"tensor {shown(old)}", wanted, layer[1])
    return f"blk.{int(layer[1])}.{new}.weight"


def new_metadata(
    file: LegacyFile, *, name: str, n_ctx: int, eps: float, gqa: int | None
) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the metadata that the GGUF file would have, and the types of the values.

    Parameters
    ----------
    file : LegacyFile
        The old model.
    name : str
        Name of the model.
    n_ctx : int
        Length of the context it was trained for, in tokens; the files do not state it.
    eps : float
        Epsilon of its norms; the files do not state it.
    gqa : int or None
        Query heads per KV head; None derives it from the key matrix.

    Returns
    -------
    metadata : dict of str to Any
        Values by key.
    value_types : dict of str to int
        Types by key, as GGUF numbers them.

    Raises
    ------
    FormatError
        The hyperparameters contradict the tensors.
    ArgumentError
        `gqa` contradicts the key matrix.
    """
    hparams = file.hparams
    if hparams.ftype not in _FILE_TYPES:
        wanted = f"one of {', '.join(map(str, sorted(_FILE_TYPES)))}"
        raise FormatError(file.paths[0], "ftype", wanted, hparams.ftype)
    integers = {
        "general.file_type": hparams.ftype,
        "general.quantization_version": QUANTIZATION_VERSION,
        "llama.context_length": n_ctx,
        "llama.embedding_length": hparams.n_embd,
        "llama.block_count": hparams.n_layer,
        "llama.feed_forward_length": _rows_of(file, "feed_forward.w1"),
        "llama.rope.dimension_count": hparams.n_embd // hparams.n_head,
        "llama.attention.head_count": hparams.n_head,
        "llama.attention.head_count_kv": _n_head_kv(file, gqa),
        "llama.vocab_size": hparams.n_vocab,
    }
    texts = {
        "general.architecture": "llama",
        "general.name": name,
        "general.description": f"converted from {file.version.name}",
    }
    reals = {"llama.attention.layer_norm_rms_epsilon": eps}
    vocabulary, vocabulary_types = vocabulary_metadata(file)
    types = (
        dict.fromkeys(texts, STRING)
        | dict.fromkeys(integers, UINT32)
        | dict.fromkeys(reals, FLOAT32)
        | vocabulary_types
    )
    return {**texts, **integers, **reals, **vocabulary}, types


def _rows_of(file: LegacyFile, name: str) -> int:
    """Return the number of rows of a matrix of the first layer."""
    name = f"layers.0.{name}.weight"
    if name not in file.tensors or len(file.tensors[name].shape) != 2:
        raise FormatError(file.paths[0], f"tensor {name}", "a matrix", "none")
    return file.tensors[name].shape[0]


def _n_head_kv(file: LegacyFile, gqa: int | None) -> int:
    """Return the number of KV heads, from the key matrix.

    In LLaMA 2 70B it is smaller than the number of query heads.
    """
    n_embd, n_head = file.hparams.n_embd, file.hparams.n_head
    head_dim, n_rows = n_embd // n_head, _rows_of(file, "attention.wk")
    n_head_kv = n_rows // head_dim
    if n_rows % head_dim or not n_head_kv or n_head % n_head_kv:
        wanted = f"heads of {head_dim} rows, their number a divisor of {n_head}"
        raise FormatError(file.paths[0], "layers.0.attention.wk", wanted, n_rows)
    if gqa is not None and n_head_kv * gqa != n_head:
        wanted = f"{n_head // n_head_kv}, by the key matrix of {file.paths[0]}"
        raise ArgumentError(f"gqa: wanted {wanted}, found {gqa}")
    return n_head_kv
