"""Two small vocabularies, in the form of a GGUF file's metadata."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Metadata = dict[str, Any]

_TEXT = """\
The cat sat on the mat. The mat isn't the cat's, and there are 2024 other mats;
that one — the häßliche — they'll throw out at 10:30. Что там? 猫がいる。
    if that: then(there)  # the end
"""


def _byte_chars() -> list[str]:
    # written out in full, as a check on the package's own table
    chars, next_free = [], 256
    for byte in range(256):
        if 33 <= byte <= 126 or 161 <= byte <= 172 or 174 <= byte <= 255:
            chars.append(chr(byte))
        else:
            chars.append(chr(next_free))
            next_free += 1
    return chars


def _train_merges(text: str, count: int) -> list[str]:
    """Learn merges of the most frequent pairs within words."""
    chars = _byte_chars()
    words = [[chars[b] for b in f" {word}".encode()] for word in text.split()]
    merges = []
    for _ in range(count):
        pairs: dict[tuple[str, str], int] = {}
        for word in words:
            for pair in zip(word, word[1:], strict=False):
                pairs[pair] = pairs.get(pair, 0) + 1
        first, second = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(f"{first} {second}")
        for word in words:
            i = 0
            while i + 1 < len(word):
                if (word[i], word[i + 1]) == (first, second):
                    word[i : i + 2] = [first + second]
                i += 1
    return merges


@pytest.fixture
def bpe_metadata() -> Callable[..., Metadata]:
    """Make a byte-level BPE vocabulary; keywords replace keys, None drops one."""
    merges = _train_merges(_TEXT, 60)
    made = list(dict.fromkeys(merge.replace(" ", "") for merge in merges))
    ordinary = _byte_chars() + made
    special = ["<|bos|>", "<|eot_id|>", "<tool>", "[PAD]"]
    n = len(ordinary)

    def make(**changes: Any) -> Metadata:
        return _changed(
            changes,
            model="gpt2",
            pre="gpt-2",
            tokens=ordinary + special,
            token_type=[1] * n + [3, 3, 4, 5],
            merges=merges,
            bos_token_id=n,
            eos_token_id=n + 1,
        )

    return make


@pytest.fixture
def spm_metadata() -> Callable[..., Metadata]:
    """Make a SentencePiece vocabulary; keywords replace keys, None drops one."""
    tokens = ["<unk>", "<s>", "</s>"]
    types = [2, 3, 3]
    tokens += [f"<0x{byte:02X}>" for byte in range(256)]
    types += [6] * 256
    words = ["th", "▁t", "he", "▁the", "▁th", "▁▁", "▁▁▁▁", "at", "▁c", "▁cat", "in"]
    words += ["ing", "▁in", "er", "▁a", "an", "▁an", "é", "éa", "on", "▁on", "<s", "猫"]
    tokens += words + list("▁abcdefghijklmnopqrstuvwxyz<>/01'.,")
    types += [1] * (len(tokens) - len(types))
    tokens += ["<tool>", "[unused]"]
    types += [4, 5]

    def make(**changes: Any) -> Metadata:
        return _changed(
            changes,
            model="llama",
            tokens=tokens,
            token_type=types,
            scores=[0.0] * 259 + [-float(i) for i in range(len(tokens) - 259)],
            bos_token_id=1,
            eos_token_id=2,
            unknown_token_id=0,
        )

    return make


def _changed(changes: Metadata, **fields: Any) -> Metadata:
    fields |= changes
    return {
        f"tokenizer.ggml.{name}": value
        for name, value in fields.items()
        if value is not None
    }
