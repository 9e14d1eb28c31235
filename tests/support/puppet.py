"""A real model that generates prescribed texts, by a logits processor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from numpy.typing import NDArray

import llamacy

EOS = 2


def saying(model: llamacy.Model, *texts: str, ends: bool = True) -> dict[str, Any]:
    """Return options that make `model` generate a text, with control tokens parsed.

    With several texts a token never spans two of them. The options serve one call.

    Then the text ends, or unless `ends` goes on with spaces.
    """
    encode = model.tokenizer.encode
    ids = [
        token
        for text in texts
        for token in encode(text, add_bos=False, parse_special=True, continues=True)
    ]

    def tokens() -> Iterator[int]:
        yield from ids
        while ends:
            yield EOS
        while True:
            yield 3 + ord(" ")

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

    def ids_of(text: str) -> list[int]:
        encode = model.tokenizer.encode
        return encode(text, add_bos=False, parse_special=True, continues=True)

    before = ids_of(beginning)

    def say(ids: Any, logits: NDArray[Any]) -> None:
        given, n = [int(token) for token in ids], len(before)
        ends = (i for i in range(len(given), 0, -1) if given[i - n : i] == before)
        start = next(ends)
        prompt = model.tokenizer.decode(given[:start], skip_special=False)
        logits[[*ids_of(reply(prompt)), EOS][len(given) - start]] = 1e9

    return {"temperature": 0, "logits_processors": say}
