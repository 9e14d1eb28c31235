"""Texts of every kind, the same in each run, to try a tokenizer with."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence

import numpy as np

WORDS = (
    "the of and language Model tokens don't I'LL we've It's naïve Straße Ärger façade "
    "Здравствуй мир говорят ελληνικά שלום مرحبا नमस्ते ภาษาไทย 日本語 東京都 한국어 중국 "
    "GPT-4 C++ x86_64 snake_case camelCase HTTPServer foo.bar() e.g. U.S.A. 3.14159 "
    "1,000,000 1st 2nd №5 §12 20°C €9.99 50% a@b.org https://example.org/?q=1&r=2#top "
    "def return NULL {} [] () <b> </b> // /* */ \\n \\u0041 '''' \"\" ``` ~~~ --- === "
    "<|im_start|> <|im_end|> <|endoftext|> <s> </s> <bos> <eos> <pad> <unk> "
    "<start_of_turn> <end_of_turn> [INST] <0x0A> <unused7> "
    "😀 👨‍👩‍👧‍👦 🏳️‍🌈 🇫🇷 👍🏽 ™ © ½ ² ﬁ Å Å é é İ ı ß ẞ Ǆ ǆ"
).split(" ")
SPACES = (
    [" "] * 12
    + [""] * 6
    + ["  ", "   ", "\n", "\n\n", "\t", "\r\n", " \n", "\n ", "        "]
    + ["\u00a0", "\u3000", "\u200b", "\u2028", "\ufeff", "\u0085", "\u000b", "\t\t\n"]
)
MARKS = "!?.,;:-–—…'\"‘’“”()[]{}<>/\\|@#$%^&*_+=~`•→≠∞"
# the first and the last code point of each
BLOCKS = (
    (0x21, 0x7E),
    (0xA1, 0x17F),
    (0x300, 0x36F),  # combining marks
    (0x370, 0x52F),
    (0x590, 0x6FF),
    (0x900, 0xDFF),
    (0x1E00, 0x23FF),
    (0x2500, 0x2580),
    (0x3040, 0x30FF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3),
    (0xE000, 0xE0FF),  # private use
    (0x1D400, 0x1D7FF),
    (0x1F300, 0x1FAFF),
    (0x20000, 0x2A6DF),
)


class _Dice:
    """Choices that are the same in each version of Python.

    Only `random.Random.random` promises that.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def below(self, n: int) -> int:
        return int(self._random() * n)

    def one(self, choices: Sequence[str]) -> str:
        return choices[self.below(len(choices))]


def random_texts(count: int, seed: int = 0) -> list[str]:
    """Return texts of 1 to 40 pieces: words, digits, code points, and spaces between.

    Parameters
    ----------
    count : int
        Number of texts.
    seed : int
        Another number gives other texts.

    Returns
    -------
    list of str
        The texts, none of them empty.
    """
    dice = _Dice(seed)
    return [_text(dice) for _ in range(count)]


def id_sums(ids: Sequence[Sequence[int]]) -> bytes:
    """Return two bytes for the token ids of each text, which tell them from others."""
    crcs = [zlib.crc32(np.array(one, "<i4").tobytes()) for one in ids]
    return np.array(crcs, "<u4").astype("<u2").tobytes()


def _text(dice: _Dice) -> str:
    n_pieces = 1 + dice.below(40)
    text = "".join(_piece(dice) + dice.one(SPACES) for _ in range(n_pieces))
    return dice.one(SPACES) + text


def _piece(dice: _Dice) -> str:
    kind = dice.below(10)
    if kind < 5:
        return dice.one(WORDS)
    if kind == 5:
        return "".join(dice.one("0123456789") for _ in range(1 + dice.below(9)))
    if kind == 6:
        return dice.one(MARKS) * (1 + dice.below(4))
    if kind == 7:
        return "".join(dice.one("abcdefghijklmnopqrstuvwxyzABCDE") for _ in range(7))
    first, last = BLOCKS[dice.below(len(BLOCKS))]
    return "".join(chr(first + dice.below(last - first + 1)) for _ in range(3))
