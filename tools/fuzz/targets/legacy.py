"""The formats before GGUF: ggml, ggmf and ggjt."""

from __future__ import annotations

import struct
from typing import TypeAlias

from llamacy.errors import LlamacyError
from llamacy.formats.legacy.file import is_legacy
from llamacy.formats.legacy.model import open_legacy

from .. import files

_PATH = files.scratch() / "model.bin"
_TOKENS = (b"", b"<s>", b"</s>", b"a", b"\xff", b" ab", b"b", b" ")
_MOST = 1 << 16  # bytes of a tensor that is converted
_N_EMBD, _F32, _Q4_0, _Q4_1, _Q8_0 = 32, 0, 2, 3, 8
_V1 = {_F32: 128, _Q4_0: 20, _Q4_1: 24}
_V3 = {_F32: 128, _Q4_0: 18, _Q8_0: 34}
# first words, whether there are scores, alignment, bytes of 32 weights by type
_Format: TypeAlias = tuple[tuple[int, ...], bool, int, dict[int, int]]
_FORMATS: tuple[_Format, ...] = (
    ((0x67676D6C,), False, 1, _V1),
    ((0x67676D66, 1), True, 1, _V1),
    ((0x67676A74, 1), True, 32, _V1),
    ((0x67676A74, 3), True, 32, _V3),
)
_SHAPES = {
    "tok_embeddings.weight": (len(_TOKENS), _N_EMBD),
    "output.weight": (len(_TOKENS), _N_EMBD),
    "norm.weight": (_N_EMBD,),
    "layers.0.attention_norm.weight": (_N_EMBD,),
    "layers.0.ffn_norm.weight": (_N_EMBD,),
    **{f"layers.0.attention.w{part}.weight": (_N_EMBD, _N_EMBD) for part in "qkvo"},
    **{f"layers.0.feed_forward.w{i}.weight": (_N_EMBD, _N_EMBD) for i in "123"},
}


def _model(form: _Format, kind: int) -> bytes:
    words, has_scores, alignment, sizes = form
    hparams = (len(_TOKENS), _N_EMBD, 32, 2, 1, 16, kind)
    data = struct.pack(f"<{len(words) + 7}I", *words, *hparams)
    for i, token in enumerate(_TOKENS):
        data += struct.pack("<I", len(token)) + token
        data += struct.pack("<f", -i) if has_scores else b""
    for name, shape in _SHAPES.items():
        its = kind if len(shape) == 2 else _F32
        head = (len(shape), len(name), its, *shape[::-1])
        data += struct.pack(f"<{len(head)}I", *head)
        data += name.encode()
        data += bytes(-len(data) % alignment)
        rows = shape[0] if len(shape) == 2 else 1
        data += bytes(rows * sizes[its])
    return data


def seeds() -> list[bytes]:
    """Return a model in each format and its types."""
    return [
        _model(form, kind) for form in _FORMATS for kind in form[-1] if kind != _F32
    ]


def run(data: bytes) -> None:
    """Open a model, and present it as a GGUF file."""
    _PATH.write_bytes(data)
    files.attempts(_open, allowed=LlamacyError)


def _open() -> None:
    if not is_legacy(_PATH):
        return
    with open_legacy(_PATH) as model:
        model.fingerprint()
        for tensor in model.tensors.values():
            if tensor.n_bytes < _MOST:
                tensor.dequantize()
