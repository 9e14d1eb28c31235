"""A vocabulary of any size, whose words are invented syllables."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from gguf import TokenType

SPACE: Final = "\N{LOWER ONE EIGHTH BLOCK}"  # SentencePiece's mark before a word
LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
SYLLABLES: Final = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
CONTROL: Final = ("<unk>", "<s>", "</s>")
LEAST: Final = len(CONTROL) + 256 + 1 + len(LETTERS) + len(SYLLABLES)


def vocabulary(n_vocab: int) -> dict[str, Any]:
    """Return the metadata of a SentencePiece vocabulary.

    It has a token for each byte, so that any text can be encoded, the letters and
    syllables, and words of as many syllables as it takes.

    Parameters
    ----------
    n_vocab : int
        Tokens, at least `LEAST`.
    """
    in_bytes = [f"<0x{byte:02X}>" for byte in range(256)]
    first = [SPACE, *LETTERS, *SYLLABLES]
    normal = [*first, *islice(_words(), n_vocab - LEAST)]
    types = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    types += [TokenType.BYTE] * 256 + [TokenType.NORMAL] * len(normal)
    # the highest score is merged first: words before the syllables that extend them
    scores = [0.0] * (len(CONTROL) + 256) + [-float(i) for i in range(len(normal))]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [*CONTROL, *in_bytes, *normal],
        "tokenizer.ggml.scores": scores,
        "tokenizer.ggml.token_type": [int(each) for each in types],
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_bos_token": True,
    }


def _words() -> Iterator[str]:
    """Yield words with the space before them, shorter ones first.

    Each is an earlier one and a syllable, which are the two tokens it is merged from.
    """
    words = [SPACE]
    while True:
        longer = []
        for word in words:
            for syllable in SYLLABLES:
                longer.append(word + syllable)
                yield longer[-1]
        words = longer
