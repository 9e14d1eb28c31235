"""Names of models that an unknown name may mean: for errors.

Names are compared by their words. `smollm2:135m`, as ollama names a model, and
`bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M` have the words `smollm`, `2` and `135m`
in common.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import Final

from llamacy.errors import ModelFileError
from llamacy.hub.cache import cached_models
from llamacy.hub.catalogue import CATALOGUE
from llamacy.hub.choice import without_type

_WORD: Final = re.compile(r"\d+(?:\.\d+)?[bm]\b|\d+(?:\.\d+)?|[a-z]+")
_COMMON: Final = frozenset(
    {"chat", "gguf", "it", "instruct", "latest", "meta", "model"}
)
"""Words that tell no two models apart."""

_ALIKE: Final = 0.75  # of two words' letters, so that one may be the other mistyped
_MOST: Final = 3  # names in an error
_LONGEST: Final = 200  # characters of a name that are looked at


def similar_names(text: str) -> list[str]:
    """Return up to three names of models that `text` may have been meant for.

    Models in the cache come before those of the catalogue.
    """
    try:
        cached = [model.name for model in cached_models()]
    except ModelFileError:
        cached = []
    known = [*cached, *(model.name for model in CATALOGUE)]
    return nearest(text, dict.fromkeys(known))


def advice(text: str) -> str:
    """Return the end of an error about an unknown name; `""` if none is near."""
    names = similar_names(text)
    return f"; did you mean {either(names)}?" if names else ""


def either(names: Sequence[str]) -> str:
    """Join names, at least one, to `a, b or c`."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def nearest(text: str, names: Iterable[str]) -> list[str]:
    """Return up to three of `names` that have the most words of `text`, best first.

    The first word must be the same, or the same mistyped: it is the family.

    >>> nearest("llama3.2:3b", ["u/Llama-3.1-8B-GGUF", "u/Llama-3.2-3B-GGUF:Q8_0"])
    ['u/Llama-3.2-3B-GGUF:Q8_0']
    """
    wanted = words_of(text[:_LONGEST])
    if not wanted or wanted[0][0].isdigit():
        return []
    found: list[tuple[int, int, str]] = []
    for name in names:
        words = words_of(name)
        common = sum(any(_fits(word, one) for one in words) for word in wanted)
        if words and _fits(wanted[0], words[0]):
            found.append((common, len(words), name))
    most = max((common for common, _, _ in found), default=0)
    # of equally good names, the one that says least beside: the plain model
    best = sorted((one for one in found if one[0] == most), key=lambda one: one[1])
    return [name for _, _, name in best[:_MOST]]


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a model's name that tell it from others.

    >>> words_of("Qwen/Qwen3-4B-Instruct-GGUF:Q4_K_M"), words_of("phi4-mini.gguf")
    (('qwen', '3', '4b'), ('phi', '4', 'mini'))
    """
    last = text.replace("\\", "/").rstrip("/").rpartition("/")[2]
    stem = without_type(last.replace(":", "-")).lower().replace("_", "-")
    return tuple(word for word in _WORD.findall(stem) if word not in _COMMON)


def _fits(wanted: str, word: str) -> bool:
    """Whether a word of a name is the one wanted, mistyped, or a version of it."""
    if wanted[0].isdigit():
        return word == wanted or word.startswith(f"{wanted}.")
    return SequenceMatcher(None, wanted, word).ratio() >= _ALIKE
