"""Writes LLaMA models in the file formats of 2023, weight by weight.

Follows llama.cpp of that time, and shares nothing with the package's reader: blocks are
written with `struct`, one after another.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q5_0": 6, "Q5_1": 7, "Q8_0": 8}
FTYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q5_0": 8, "Q5_1": 9, "Q8_0": 7}
# first words, whether there are scores, alignment
FORMATS = {
    "ggml": ((0x67676D6C,), False, 1),
    "ggmf v1": ((0x67676D66, 1), True, 1),
    "ggjt v1": ((0x67676A74, 1), True, 32),
    "ggjt v2": ((0x67676A74, 2), True, 32),
    "ggjt v3": ((0x67676A74, 3), True, 32),
}
BEFORE_V2 = ("ggml", "ggmf v1", "ggjt v1")
NAMES = {
    "token_embd": "tok_embeddings",
    "output_norm": "norm",
    "output": "output",
    "attn_norm": "attention_norm",
    "attn_q": "attention.wq",
    "attn_k": "attention.wk",
    "attn_v": "attention.wv",
    "attn_output": "attention.wo",
    "ffn_norm": "ffn_norm",
    "ffn_gate": "feed_forward.w1",
    "ffn_down": "feed_forward.w2",
    "ffn_up": "feed_forward.w3",
}
BY_COLUMNS = ("token_embd", "attn_output", "ffn_down")


@dataclass
class OldModel:
    """A model to write as an old file.

    Attributes
    ----------
    format : str
        One of `FORMATS`.
    type : str
        Type of the matrices.
    tensors : mapping of str to float32
        Weights by GGUF's names.
    tokens : sequence of bytes
        Bytes of each token.
    scores : sequence of float
        Score of each token.
    float16_scales : bool
        Round scales, so that no later format loses anything.
    planes : bool
        Put all scales of a row before all its nibbles, as in the first days.
    """

    format: str
    type: str
    tensors: Mapping[str, Floats]
    tokens: Sequence[bytes]
    scores: Sequence[float]
    n_head: int
    n_layer: int
    float16_scales: bool = True
    planes: bool = False
    n_mult: int = 32
    changes: dict[str, int] = field(default_factory=dict)

    def write(self, path: Path, n_parts: int = 1) -> dict[str, Floats]:
        """Write the files; return the weights that they stand for."""
        stood_for: dict[str, list[Floats]] = {name: [] for name in self.tensors}
        for i in range(n_parts):
            data = bytearray(self.head())
            for name, weights in self.tensors.items():
                share = split(name, weights, n_parts, i)
                stood_for[name].append(self._add(data, name, share))
            (path if i == 0 else Path(f"{path}.{i}")).write_bytes(data)
        return {name: joined(name, parts) for name, parts in stood_for.items()}

    def head(self) -> bytes:
        """Return everything before the tensors."""
        words, has_scores, _ = FORMATS[self.format]
        n_embd = self.tensors["output_norm.weight"].size
        hparams = {
            "n_vocab": len(self.tokens),
            "n_embd": n_embd,
            "n_mult": self.n_mult,
            "n_head": self.n_head,
            "n_layer": self.n_layer,
            "n_rot": n_embd // self.n_head,
            "ftype": FTYPES[self.type],
        } | self.changes
        data = struct.pack(f"<{len(words) + 7}I", *words, *hparams.values())
        for token, score in zip(self.tokens, self.scores, strict=True):
            data += struct.pack("<I", len(token)) + token
            if has_scores:
                data += struct.pack("<f", score)
        return data

    def _add(self, data: bytearray, name: str, weights: Floats) -> Floats:
        kind = self.type if weights.ndim == 2 else "F32"
        old = old_name(name).encode()
        sizes = weights.shape[::-1]
        header = (len(sizes), len(old), TYPES[kind], *sizes)
        data += struct.pack(f"<{len(header)}I", *header) + old
        data += bytes(-len(data) % FORMATS[self.format][2])
        stood_for = np.empty_like(weights)
        for i, row in enumerate(rows := np.atleast_2d(weights)):
            data += self._row(kind, row, stood_for.reshape(rows.shape)[i])
        return stood_for

    def _row(self, kind: str, row: Floats, meant: Floats) -> bytes:
        if kind in ("F32", "F16"):
            values = row.astype({"F32": "<f4", "F16": "<f2"}[kind])
            meant[:] = values
            return values.tobytes()
        blocks = [
            self._block(kind, row[i : i + 32], meant[i : i + 32])
            for i in range(0, row.size, 32)
        ]
        if self.planes:
            *scales, nibbles = zip(*blocks, strict=True)
            # the minima came first in those days
            return b"".join(b"".join(plane) for plane in (*scales[::-1], nibbles))
        return b"".join(b"".join(block) for block in blocks)

    def _block(self, kind: str, weights: Floats, meant: Floats) -> list[bytes]:
        """Return those of scale, minimum, fifth bits and codes that a block has."""
        is_wide = self.format != "ggjt v3" and kind in ("Q4_0", "Q4_1", "Q8_0")
        n_bits = int(kind[1])
        low = weights.min() if kind.endswith("_1") else None
        reach = weights.max() - low if low is not None else np.abs(weights).max()
        n_steps = 2**n_bits - 1 if low is not None else 2 ** (n_bits - 1) - 1
        d = self._rounded(reach / n_steps, is_wide)
        m = None if low is None else self._rounded(low, is_wide)
        zero = 0 if m is not None or n_bits == 8 else 2 ** (n_bits - 1)
        steps = (weights - (m or 0)) / d if d else np.zeros(len(weights))
        least = -127 if n_bits == 8 else 0
        codes = np.clip(np.rint(steps).astype(int) + zero, least, 2**n_bits - 1)
        meant[:] = (codes.astype(np.float32) - np.float32(zero)) * d
        if m is not None:
            meant[:] += m
        letter = "f" if is_wide else "e"
        scales = [
            struct.pack(f"<{letter}", each) for each in (d, m) if each is not None
        ]
        if n_bits == 8:
            return [*scales, struct.pack("<32b", *codes)]
        fifth = sum((code >> 4) << i for i, code in enumerate(codes.tolist()))
        high = [struct.pack("<I", fifth)] if n_bits == 5 else []
        return [*scales, *high, bytes(self._nibbles((codes & 15).tolist()))]

    def _rounded(self, scale: np.float32, is_wide: bool) -> np.float32:
        is_exact = is_wide and not self.float16_scales
        return np.float32(scale if is_exact else np.float16(scale))

    def _nibbles(self, codes: list[int]) -> list[int]:
        if self.format in BEFORE_V2:
            return [codes[2 * i] | codes[2 * i + 1] << 4 for i in range(16)]
        return [codes[i] | codes[i + 16] << 4 for i in range(16)]


def old_name(name: str) -> str:
    """Return llama.cpp's name for a tensor before GGUF."""
    *layer, part, kind = name.split(".")
    prefix = f"layers.{layer[1]}." if layer else ""
    return f"{prefix}{NAMES[part]}.{kind}"


def split(name: str, weights: Floats, n_parts: int, i: int) -> Floats:
    """Return part `i` of a tensor, split like Meta's checkpoints."""
    if weights.ndim == 1:
        return weights
    return np.split(weights, n_parts, axis=_axis(name))[i]


def joined(name: str, parts: Sequence[Floats]) -> Floats:
    """Undo `split`."""
    if parts[0].ndim == 1:
        return parts[0]
    return np.concatenate(parts, axis=_axis(name))


def _axis(name: str) -> int:
    return int(any(part in name for part in BY_COLUMNS))
