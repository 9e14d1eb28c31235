"""Questions that a short passage answers.

Answers are sentences that begin like the question ends, so that the words to find come
directly before the answer, like they do in the passage.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from .. import world
from .task import Task

_FRAMES = (
    "Read the text and answer the question.\n{passage}\n{question}",
    "{passage} {question}",
    "Text: {passage}\nQuestion: {question}",
)
_WHERE = ("in the kitchen", "at school", "at home", "on the bus", *world.SPOTS)

Asked = tuple[str, str]  # a question and its answer


class Fact(NamedTuple):
    """Part of a passage, and possible questions about it."""

    text: str
    asked: tuple[Asked, ...]


def question(rng: Random) -> Task:
    """Say something about one to three people, and ask about one of them."""
    said = rng.choice((_living, _giving, rng.choice(_TELLING_APART)))
    facts = said(rng, _people(rng, rng.randint(2, 3)))
    asked, answer = rng.choice(rng.choice(facts).asked)
    frame = rng.choice(_FRAMES)
    return Task(frame.format(passage=_passage(facts), question=asked), answer)


def exercise(rng: Random) -> tuple[str, list[Asked]]:
    """Make a passage about up to four people, and all questions about it, shuffled.

    The network needs thousands of questions to learn to find the person that a sentence
    is about. Here many questions share a passage, so that most of the text is answers.
    """
    facts = rng.choice(_TELLING_APART)(rng, _people(rng, rng.randint(2, 4)))
    asked = [each for fact in facts for each in fact.asked]
    rng.shuffle(asked)
    return _passage(facts), asked


def _people(rng: Random, n_people: int) -> list[str]:
    return rng.sample((*world.GIRLS, *world.BOYS), n_people)


def _passage(facts: list[Fact]) -> str:
    return " ".join(fact.text for fact in facts)


def _living(rng: Random, people: list[str]) -> list[Fact]:
    """Tell several things about one person."""
    who = people[0]
    he = "He" if who in world.BOYS else "She"
    told = (
        (f"lives {rng.choice(world.HOMES)}", f"Where does {who} live?"),
        (f"has {world.thing(rng).a}", f"What does {who} have?"),
        (f"likes {rng.choice(world.FOODS)}", f"What does {who} like?"),
        (f"is {rng.choice(_WHERE)}", f"Where is {who}?"),
    )
    chosen = rng.sample(told, rng.randint(2, 4))
    return [
        Fact(f"{he if i else who} {said}.", ((question, f"{who} {said}."),))
        for i, (said, question) in enumerate(chosen)
    ]


def _having(rng: Random, people: list[str]) -> list[Fact]:
    nouns = rng.sample(world.TREASURES, len(people))
    return [
        _has(who, world.Thing(noun, world.thing(rng).adjective))
        for who, noun in zip(people, nouns, strict=True)
    ]


def _has(who: str, thing: world.Thing) -> Fact:
    noun = thing.noun
    asked = (
        (f"What does {who} have?", f"{who} has {thing.a}."),
        (f"Who has the {noun}?", f"The {noun} belongs to {who}."),
        (f"What is the {noun} like?", f"The {noun} is {thing.adjective}."),
    )
    return Fact(f"{who} has {thing.a}.", asked)


def _being(rng: Random, people: list[str]) -> list[Fact]:
    return [
        Fact(
            f"{who} is {where}.",
            (
                (f"Where is {who}?", f"{who} is {where}."),
                (f"Who is {where}?", f"The one {where} is {who}."),
            ),
        )
        for who, where in zip(people, rng.sample(_WHERE, len(people)), strict=True)
    ]


def _liking(rng: Random, people: list[str]) -> list[Fact]:
    return [
        Fact(
            f"{who} likes {food}.",
            (
                (f"What does {who} like?", f"{who} likes {food}."),
                (f"Who likes {food}?", f"The one who likes {food} is {who}."),
            ),
        )
        for who, food in zip(people, rng.sample(world.FOODS, len(people)), strict=True)
    ]


def _giving(rng: Random, people: list[str]) -> list[Fact]:
    giver, taker = people[:2]
    thing, place = world.thing(rng), rng.choice(world.PLACES)
    asked = (
        (f"Where did {giver} go?", f"{giver} went to {place}."),
        (f"What did {giver} give {taker}?", f"{giver} gave {taker} {thing.a}."),
        (
            f"Who gave {taker} the {thing.noun}?",
            f"{giver} gave {taker} the {thing.noun}.",
        ),
        (f"Whom did {giver} meet?", f"{giver} met {taker}."),
    )
    return [
        Fact(f"{giver} went to {place} and met {taker}.", asked[::3]),
        Fact(f"{giver} gave {taker} {thing.a}.", asked[1:3]),
    ]


# each sentence says the same kind of thing about another person
_TELLING_APART = (_having, _being, _liking)
