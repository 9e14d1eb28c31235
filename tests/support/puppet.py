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


def insisting(
    model: llamacy.Model, messages: Any, text: str, **prompt: Any
) -> dict[str, Any]:
    """Return options that make `model` prefer a text as its answer.

    Where a constraint forbids a token or leaves no choice, the text goes on behind as
    many bytes as were written. Then the answer ends, if it may.

    Parameters
    ----------
    model : Model
        The model.
    messages : list of dict or str
        The conversation that it answers.
    text : str
        The answer, with marks.
    **prompt : object
        Options of `Model.chat_prompt`.
    """
    n_prompt, tokenizer = len(model.chat_prompt(messages, **prompt)), model.tokenizer
    whole = text.encode()

    def say(given: Any, logits: NDArray[Any]) -> None:
        said = [
            tokenizer.token_bytes(token) or tokenizer.piece(token).encode()
            for token in given[n_prompt:].tolist()
        ]
        left = whole[sum(map(len, said)) :]
        if not left:
            logits[EOS] = 1e9
            return
        logits[FIRST_BYTE + left[0]] = 1e8
        if left[0] < 0x80 or left[0] >= 0xC0:  # where a character begins
            logits[ids_of(model, left.decode())[0]] = 1e9

    return {"temperature": 0, "logits_processors": say}
