"""A real model that generates prescribed texts, by a logits processor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from numpy.typing import NDArray

import llamacy

EOS = 2
FIRST_BYTE = 3
SPACE_MARK = "\u2581"  # which means a space where it is encoded


def ids_of(model: llamacy.Model, text: str) -> list[int]:
    """Return the tokens of a text, each space mark in it spelt in bytes."""
    encode = model.tokenizer.encode
    mark = [FIRST_BYTE + byte for byte in SPACE_MARK.encode()]
    first, *others = [
        encode(part, add_bos=False, parse_special=True, continues=True)
        for part in text.split(SPACE_MARK)
    ]
    return [*first, *(token for part in others for token in (*mark, *part))]


def saying(model: llamacy.Model, *texts: str, ends: bool = True) -> dict[str, Any]:
    """Return options that make `model` generate a text, with control tokens parsed.

    With several texts a token never spans two of them. The options serve one call.

    Then the text ends, or unless `ends` goes on with spaces.
    """
    ids = [token for text in texts for token in ids_of(model, text)]

    def tokens() -> Iterator[int]:
        yield from ids
        while ends:
            yield EOS
        while True:
            yield FIRST_BYTE + ord(" ")

    following = tokens()

    def say(_: Any, logits: NDArray[Any]) -> None:
        logits[next(following)] = 1e9

    return {"temperature": 0, "logits_processors": say}


def replying(
    model: llamacy.Model, reply: Callable[[str], str], *, beginning: str
) -> dict[str, Any]:
    """Return options that make `model` reply to any number of conversations.

    Parameters
    ----------
    model : Model
        The model.
    reply : callable
        Maps a prompt to the answer.
    beginning : str
        Text with which the chat template begins each answer.
    """
    before = ids_of(model, beginning)

    def say(ids: Any, logits: NDArray[Any]) -> None:
        given, n = [int(token) for token in ids], len(before)
        ends = (i for i in range(len(given), 0, -1) if given[i - n : i] == before)
        start = next(ends)
        prompt = model.tokenizer.decode(given[:start], skip_special=False)
        logits[[*ids_of(model, reply(prompt)), EOS][len(given) - start]] = 1e9

    return {"temperature": 0, "logits_processors": say}
