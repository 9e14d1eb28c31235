"""Questions whose answer stands in a short passage."""

from __future__ import annotations

from random import Random

from .. import world
from .task import Task

_FRAMES = (
    "Read the text and answer the question.\n{passage}\n{question}",
    "{passage} {question}",
    "Text: {passage}\nQuestion: {question}",
)
_WHERE = ("in the kitchen", "at school", "at home", "on the bus", *world.SPOTS)


def question(rng: Random) -> Task:
    """Say something about two or three people, and ask about one of them."""
    passage, asked, answer = rng.choice((_having, _being, _liking, _giving))(rng)
    frame = rng.choice(_FRAMES)
    return Task(frame.format(passage=passage, question=asked), answer)


def _people(rng: Random, n: int) -> list[str]:
    return rng.sample((*world.GIRLS, *world.BOYS), n)


def _having(rng: Random) -> tuple[str, str, str]:
    people = _people(rng, rng.randint(2, 3))
    things = [world.thing(rng) for _ in people]
    while len({thing.noun for thing in things}) < len(things):
        things = [world.thing(rng) for _ in people]
    text = " ".join(f"{p} has {t.a}." for p, t in zip(people, things, strict=True))
    at = rng.randrange(len(people))
    who, what = people[at], things[at]
    return rng.choice(
        (
            (text, f"What does {who} have?", what.a),
            (text, f"Who has the {what.noun}?", who),
            (text, f"What is the {what.noun} like?", what.adjective),
        )
    )


def _being(rng: Random) -> tuple[str, str, str]:
    people = _people(rng, rng.randint(2, 3))
    spots = rng.sample(_WHERE, len(people))
    text = " ".join(f"{p} is {s}." for p, s in zip(people, spots, strict=True))
    at = rng.randrange(len(people))
    who, where = people[at], spots[at]
    return rng.choice(
        ((text, f"Where is {who}?", where), (text, f"Who is {where}?", who))
    )


def _liking(rng: Random) -> tuple[str, str, str]:
    first, second = _people(rng, 2)
    food, other = rng.sample(world.FOODS, 2)
    text = f"{first} likes {food}, but {second} likes {other}."
    who, what = rng.choice(((first, food), (second, other)))
    return rng.choice(
        ((text, f"What does {who} like?", what), (text, f"Who likes {what}?", who))
    )


def _giving(rng: Random) -> tuple[str, str, str]:
    giver, taker = _people(rng, 2)
    thing, place = world.thing(rng), rng.choice(world.PLACES)
    text = f"{giver} went to {place} and met {taker}. {giver} gave {taker} {thing.a}."
    return rng.choice(
        (
            (text, f"Where did {giver} go?", f"to {place}"),
            (text, f"What did {giver} give {taker}?", thing.a),
            (text, f"Who gave {taker} the {thing.noun}?", giver),
            (text, f"Whom did {giver} meet?", taker),
        )
    )
