"""Stories: a plot, with a cast drawn from the world.

A plot is a list of beats, each told in one of several ways, so that stories differ in
events, people and wording. The cast is drawn once, and every sentence takes its names
and pronouns from it.
"""

from __future__ import annotations

from random import Random

from . import world
from .plots import ENDINGS, OPENINGS, PLOTS, PROMPTS, Beat
from .world import Character

Cast = dict[str, object]


def story(rng: Random) -> str:
    """Tell a story: some hundred words in a few paragraphs, separated by newlines."""
    return _told(rng, _cast(rng, _hero(rng)))


def requested_story(rng: Random) -> tuple[str, str]:
    """Return a request for a story about somebody, and the story."""
    hero = _hero(rng)
    cast = _cast(rng, hero)
    request = rng.choice(PROMPTS).format(**cast, a=world.article(hero.kind))
    return request, _told(rng, cast)


def _hero(rng: Random) -> Character:
    return world.animal(rng) if rng.random() < 0.5 else world.child(rng)


def _cast(rng: Random, hero: Character) -> Cast:
    other = world.animal if rng.random() < 0.6 else world.child
    thing = world.thing(rng)
    gift = world.thing(rng)
    while gift.noun == thing.noun:
        gift = world.thing(rng)
    place, other_place = rng.sample(world.PLACES, 2)
    spot, other_spot = rng.sample(world.SPOTS, 2)
    return {
        "hero": hero,
        "friend": other(rng, hero.name),
        "elder": world.relative(rng),
        "stranger": world.stranger(rng),
        "thing": thing,
        "gift": gift,
        "place": place,
        "other_place": other_place,
        "spot": spot,
        "other_spot": other_spot,
        "home": rng.choice(world.HOMES),
        "food": rng.choice(world.FOODS),
        "when": rng.choice(world.WEATHERS),
        "skill": rng.choice(world.SKILLS),
        "fear": rng.choice(world.FEARS),
        "build": rng.choice(world.BUILDS),
        "contest": rng.choice(world.CONTESTS),
        "sound": rng.choice(world.SOUNDS),
    }


def _told(rng: Random, cast: Cast) -> str:
    plot = rng.choice(PLOTS)
    paragraphs = [_sentences(rng, OPENINGS, cast)]
    paragraphs += [_sentences(rng, beats, cast) for beats in plot]
    if rng.random() < 0.7:
        paragraphs[-1] += " " + rng.choice(ENDINGS).format(**cast)
    return "\n".join(paragraphs)


def _sentences(rng: Random, beats: tuple[Beat, ...], cast: Cast) -> str:
    """Tell each beat in one of its ways; an empty way leaves it out."""
    told = (rng.choice(ways).format(**cast) for ways in beats)
    return " ".join(sentence for sentence in told if sentence)
