"""Mutates JSON documents, so that what comes out is JSON again.

Most inputs are described by a document: the keys and tensors of a GGUF file, the files
of a folder, a conversation with its template. Random bytes would hardly ever get past
the parser; a document in which one value has another type, or a key a neighbour's name,
does. `files` turns documents into the bytes that llamacy reads.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

LARGE = "<a whole number of 5000 digits>"
DEEP = "<100000 arrays in each other>"
"""Strings that `text_of` replaces by values which no document could hold."""

_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 7, 31, 32, 33, 64, 255, 256, 65535, 65536),
    *(2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**40),
    *(0.0, -0.0, 0.5, 1e-45, 1e-5, 1e38, 1e39, 1e308, float("inf"), float("nan")),
    *("", " ", "a", "\0", "\ud800", "\u2581", "\U0001f600", "a" * 300, "1", "true"),
    *([], {}, [[]], [None], {"": None}, LARGE, DEEP),
)
_NUMBERS = (0, 1, 2, 128, 256, 2**16, 2**31, 2**32, 2**63)  # ends of ranges
Place = tuple[Any, Any]  # a list or dict of the document, and an index or key in it


def text_of(value: Any) -> bytes:
    """Return a value as JSON, or a string as it is: the text of a broken file."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text.replace(f'"{LARGE}"', "9" * 5000)
    text = text.replace(f'"{DEEP}"', "[" * 100_000 + "]" * 100_000)
    return text.encode("utf-8", "surrogatepass")


def document_of(data: bytes) -> dict[str, Any] | None:
    """Return the document that an input is; None if it is something else."""
    try:
        found = json.loads(data.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def data_of(document: Any) -> bytes:
    """Return a document as an input."""
    return json.dumps(document).encode()


def scrambled(data: bytes, rng: random.Random) -> bytes:
    """Return bytes with a few places changed, removed, repeated or moved.

    atheris 3.0 exports libFuzzer's own mutator, but no custom mutator can call it: it
    says that `Fuzz` must be called first.
    """
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at, n = rng.randint(0, len(made)), rng.choice((1, 1, 2, 4, 8, 32))
        match rng.randrange(6):
            case 0:
                made[at : at + 1] = rng.randbytes(1)
            case 1:
                size = rng.choice((1, 2, 4, 8))
                number = rng.choice(_NUMBERS) - rng.choice((0, 1))
                made[at : at + size] = (number % 256**size).to_bytes(size, "little")
            case 2:
                del made[at : at + n]
            case 3:
                made[at:at] = rng.randbytes(n)
            case 4:
                other = rng.randint(0, len(made))
                made[at:at] = made[other : other + n]
            case _:
                made[at : at + 1] = bytes(
                    each ^ 1 << rng.randrange(8) for each in made[at : at + 1]
                )
    return bytes(made)


class Mutator:
    """Changes documents, with values and names of all the seeds.

    Parameters
    ----------
    seeds : sequence of bytes
        Valid inputs.
    """

    def __init__(self, seeds: Sequence[bytes]) -> None:
        self._seeds = [each for each in map(document_of, seeds) if each is not None]
        words = {word for seed in self._seeds for word in _words(seed)}
        self._words = sorted(words) or [""]

    def __call__(self, data: bytes, most: int, seed: int) -> bytes:
        """Return a changed input of at most `most` bytes."""
        rng = random.Random(seed)
        document = document_of(data)
        if document is None or rng.random() < 0.02:
            return scrambled(data, rng)[:most]
        try:
            for _ in range(rng.choice((1, 1, 1, 2, 4))):
                self._change(document, rng)
            changed = data_of(document)
        except RecursionError:  # copied into itself again and again
            return data
        return changed if len(changed) <= most else data

    def _change(self, document: dict[str, Any], rng: random.Random) -> None:
        places = list(_places(document))
        if not places:
            document.update(rng.choice(self._seeds or [{}]))
            return
        owner, key = rng.choice(places)
        match rng.randrange(10):
            case 0 | 1:
                owner[key] = _copied(rng.choice(_VALUES))
            case 2:
                owner[key] = self._near(owner[key], rng)
            case 3:
                del owner[key]
            case 4:
                other, its_key = rng.choice(places)
                owner[key] = _copied(other[its_key])
            case 5 | 6:
                owner[key] = rng.choice(self._words)
            case 7:
                self._rename(owner, key, rng)
            case 8:
                self._take(owner, key, rng)
            case _:
                self._add(owner, key, rng)

    def _near(self, value: Any, rng: random.Random) -> Any:
        """Return a value that differs a little, of the same type."""
        match value:
            case bool():
                return not value
            case int():
                return rng.choice((value + 1, value - 1, -value, 2 * value, value // 2))
            case float():
                return value * rng.choice((-1, 0, 0.5, 2, 1e30, 1e-30))
            case str():
                data = value.encode("utf-8", "surrogatepass")
                return scrambled(data, rng).decode(errors="replace")
            case list():
                return rng.sample(value, rng.randint(0, len(value)))
            case dict():
                keys = rng.sample(list(value), len(value))
                return {each: value[each] for each in keys}
        return _copied(rng.choice(_VALUES))

    def _rename(self, owner: Any, key: Any, rng: random.Random) -> None:
        """Give a key another name; swap two items of a list."""
        if isinstance(owner, dict):
            owner[rng.choice(self._words)] = owner.pop(key)
        else:
            other = rng.randrange(len(owner))
            owner[key], owner[other] = owner[other], owner[key]

    def _take(self, owner: Any, key: Any, rng: random.Random) -> None:
        """Take a value from a seed: that of the same key, if there is one."""
        seed = _copied(rng.choice(self._seeds)) if self._seeds else {}
        places = list(_places(seed))
        same = [place for place in places if place[1] == key]
        if choice := same or places:
            other, its_key = rng.choice(choice)
            owner[key] = other[its_key]

    def _add(self, owner: Any, key: Any, rng: random.Random) -> None:
        """Add a key, or repeat an item."""
        if isinstance(owner, dict):
            value = rng.choice((owner[key], *_VALUES[:4]))
            owner[rng.choice(self._words)] = _copied(value)
        else:
            n = rng.choice((1, 1, 2, 40))
            owner[key:key] = [_copied(owner[key]) for _ in range(n)]


def _places(value: Any) -> Iterator[Place]:
    """Yield the places of all values inside a document."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield value, key
        yield from _places(item)


def _words(value: Any) -> Iterator[str]:
    for owner, key in _places(value):
        if isinstance(key, str):
            yield key
        if isinstance(owner[key], str):
            yield owner[key]


def _copied(value: Any) -> Any:
    return json.loads(json.dumps(value))
