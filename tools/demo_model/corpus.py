"""The training text: stories and instructions, mixed, as tokens.

A document is a story, a conversation of a few instructions, a text to complete, or a
passage with all possible questions about it. One seeded generator draws all of them, so
that a seed determines the corpus; evaluation uses other seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import NamedTuple

import numpy as np
import sentencepiece
from numpy.typing import NDArray

from .instructions import KINDS, Task
from .instructions.passages import exercise
from .instructions.talk import talk
from .instructions.task import PREAMBLE
from .stories import requested_story, story

Weights = dict[str, float]


class Part(NamedTuple):
    """Part of a document, its weight in training, and whether a text ends after it."""

    text: str
    weight: float
    ends: bool = True


Document = list[Part]


def _story(text: str) -> Part:
    return Part(text, 0.5)


def _prompt(text: str) -> Part:
    return Part(text, 0.1, ends=False)


def _answer(text: str, *, ends: bool = True) -> Part:
    return Part(text, 1.0, ends)


# How often each kind is drawn: kinds that need a computation need more practice.
_WEIGHTS = dict.fromkeys(KINDS, 1.0) | {
    "sum": 3.5,
    "difference": 4.0,
    "comparing": 1.5,
    "sorting": 4.0,
    "reversing": 2.5,
    "counting letters": 3.0,
    "unit": 1.5,
    "passage": 5.0,
}


def documents(
    seed: int, emphasis: Mapping[str, float] | None = None
) -> Iterator[Document]:
    """Yield documents without end; `emphasis` changes how often kinds are drawn."""
    rng = Random(seed)
    weights = _WEIGHTS | dict(emphasis or {})
    while True:
        yield _document(rng, weights)


def _document(rng: Random, weights: Weights) -> Document:
    choice = rng.random()
    if choice < 0.18:
        return [_story(story(rng))]
    if choice < 0.28:
        return _to_complete(rng, weights)
    if choice < 0.52:
        return _exercise(rng)
    return _conversation(rng, weights)


def _to_complete(rng: Random, weights: Weights) -> Document:
    task = instruction(rng, weights)
    while task.begun is None:
        task = instruction(rng, weights)
    return [_prompt(task.begun), _answer(task.completion)]


def _exercise(rng: Random) -> Document:
    passage, asked = exercise(rng)
    parts = [_prompt(passage)]
    for question, answer in asked:
        parts += [_prompt(f" {question}"), _answer(f" {answer}", ends=False)]
    return parts


def _conversation(rng: Random, weights: Weights) -> Document:
    """Draw one to six turns; as in a chat, an end of text follows each answer."""
    turns: Document = [_prompt(PREAMBLE)] if rng.random() < 0.1 else []
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        turns += _turn(rng, weights)
    return turns


def _turn(rng: Random, weights: Weights) -> Document:
    choice = rng.random()
    if choice < 0.03:
        task = Task(*requested_story(rng))
        return [_prompt(task.prompt), _story(task.answer)]
    task = talk(rng) if choice < 0.05 else instruction(rng, weights)
    return [_prompt(task.prompt), _answer(task.answer)]


def instruction(rng: Random, weights: Weights = _WEIGHTS) -> Task:
    """Draw an instruction of any kind."""
    (kind,) = rng.choices(list(weights), list(weights.values()))
    return KINDS[kind](rng)


def sentences(seed: int, n_documents: int) -> Iterator[str]:
    """Yield lines of text to learn a vocabulary from."""
    each = documents(seed)
    for _ in range(n_documents):
        for line in "".join(part.text for part in next(each)).splitlines():
            if line.strip():
                yield line


def tokens(
    seed: int,
    n_tokens: int,
    vocabulary: sentencepiece.SentencePieceProcessor,
    emphasis: Mapping[str, float] | None = None,
) -> Iterator[tuple[NDArray[np.uint16], NDArray[np.float32]]]:
    """Yield documents as tokens with their weights, up to `n_tokens` in all."""
    made = 0
    for document in documents(seed, emphasis):
        ids, weights = [vocabulary.bos_id()], [0.0]
        for part in document:
            made_ids = vocabulary.encode(part.text)
            if part.ends:
                made_ids.append(vocabulary.eos_id())
            ids += made_ids
            weights += [part.weight] * len(made_ids)
        yield np.array(ids, np.uint16), np.array(weights, np.float32)
        made += len(ids)
        if made >= n_tokens:
            return
