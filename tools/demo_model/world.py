"""The small world of the stories: its people, animals and things.

Only tables and the words made from them; events are in `plots`.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

GIRLS = (
    "Mia Lily Anna Zoe Emma Lucy Ruby Nina Clara Rosa Ella Ivy Maya Nora Tess Alice "
    "Hanna Sofia Eva Leah Daisy Molly June Iris Greta Paula Wendy Amy Kate Olga"
).split()
BOYS = (
    "Ben Tom Max Leo Sam Jack Finn Noah Oscar Theo Hugo Milo Adam Paul Luke Peter "
    "Emil Otto Felix David Henry Owen Simon Jonas Karl Victor Eric Daniel Ali Ravi"
).split()
ANIMAL_NAMES = (
    "Pip Coco Bibi Nibbles Dusty Momo Tiko Luna Pepper Bruno Kiki Rusty Hazel Biscuit "
    "Poppy Muffin Bobo Tilly Fluff Jasper Olive Pebble Sunny Ziggy Maple Clover Ginger "
    "Button Cosmo Willow"
).split()
ANIMALS = (
    "fox rabbit mouse bear hedgehog squirrel duck frog owl cat dog goat lamb pony "
    "turtle badger otter beaver donkey monkey kitten puppy sparrow"
).split()
LOOKS = (
    "little small young brave shy clever cheerful curious gentle quiet lively kind"
).split()
COATS = "brown gray white black golden red spotted fluffy".split()
RELATIVES = (
    *(("mother", "she"), ("grandmother", "she"), ("aunt", "she"), ("sister", "she")),
    *(("father", "he"), ("grandfather", "he"), ("uncle", "he"), ("brother", "he")),
)
FOLK = (
    *(("baker", "he"), ("farmer", "he"), ("fisherman", "he"), ("miller", "he")),
    *(("gardener", "she"), ("teacher", "she"), ("painter", "she"), ("tailor", "she")),
)
HOMES = (
    *("near a deep forest", "in a small village", "in a little house by the sea"),
    *("on a green hill", "at the edge of a quiet town", "beside a wide river"),
    *("in a cozy cottage", "on a sunny farm", "in a valley full of flowers"),
    *("under an old oak tree", "next to a blue lake", "at the foot of a mountain"),
)
PLACES = (
    *("the forest", "the meadow", "the river", "the beach", "the garden", "the lake"),
    *("the market", "the old mill", "the park", "the hill", "the orchard", "the pond"),
)
SPOTS = (
    *("under a big stone", "behind the old barn", "in the tall grass"),
    *("inside a hollow tree", "under the wooden bridge", "between two rocks"),
    *("beside the well", "on top of the wall", "behind a rose bush"),
    *("near the gate", "at the bottom of a basket", "under a pile of leaves"),
)
COLORS = "red blue green yellow white purple orange silver golden pink".split()
SIZES = "big small tiny round shiny pretty old new soft wooden".split()
TREASURES = (
    "ball kite drum boat button bell ring scarf hat key box spoon lamp whistle toy "
    "cup feather shell stone coin blanket flute ribbon mirror"
).split()
FOODS = (
    *("apple pie", "honey cake", "carrot soup", "warm bread", "berry jam"),
    *("pumpkin soup", "plum cake", "fresh cookies", "nut bread", "cherry pie"),
)
WEATHERS = (
    *("One sunny morning", "One cold day", "One windy afternoon", "One warm evening"),
    *("One rainy day", "One bright spring day", "One quiet morning"),
    *("One summer day", "One autumn afternoon", "One snowy morning"),
)
SKILLS = (
    *("swim", "whistle", "climb trees", "ride a bike", "skate", "dance", "sing"),
    *("paint", "play the drum", "fly a kite", "juggle", "read", "row a boat"),
)
FEARS = (
    *("the dark", "thunder", "deep water", "high places", "big dogs", "loud noises"),
    *("the wind at night", "spiders", "strangers", "being alone"),
)
BUILDS = (
    *("a tree house", "a raft", "a snowman", "a sand castle", "a little bridge"),
    *("a bird house", "a paper boat", "a wooden cart", "a swing", "a stone tower"),
)
CONTESTS = (
    *("running race", "swimming race", "cooking contest", "singing contest"),
    *("boat race", "kite contest", "jumping contest", "drawing contest"),
)
SOUNDS = (
    *("a soft cry", "a strange noise", "a quiet voice"),
    *("a splash", "a sad song", "a knock"),
)


@dataclass(frozen=True)
class Character:
    """A person or an animal, with name and pronouns."""

    name: str
    introduced: str  # "a brave little girl named Mia"
    kind: str  # "girl", "fox"
    he: str  # or "she"

    @property
    def him(self) -> str:
        """The pronoun as an object."""
        return {"he": "him", "she": "her"}[self.he]

    @property
    def his(self) -> str:
        """The pronoun as a possessor."""
        return {"he": "his", "she": "her"}[self.he]

    @property
    def His(self) -> str:  # noqa: N802 -- templates write it with a capital
        """The possessor at the beginning of a sentence."""
        return self.his.capitalize()

    @property
    def Introduced(self) -> str:  # noqa: N802 -- templates write it with a capital
        """The introduction at the beginning of a sentence."""
        return self.introduced[0].upper() + self.introduced[1:]

    @property
    def He(self) -> str:  # noqa: N802 -- templates write it with a capital
        """The pronoun at the beginning of a sentence."""
        return self.he.capitalize()

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Thing:
    """An object; in templates `{thing}` is "red ball", `{thing.a}` "a red ball"."""

    noun: str
    adjective: str

    @property
    def a(self) -> str:
        """The object's name with the indefinite article."""
        return f"{article(self.adjective)} {self}"

    def __str__(self) -> str:
        return f"{self.adjective} {self.noun}"


def article(word: str) -> str:
    """Return "a" or "an" for the next word.

    >>> article("old"), article("new")
    ('an', 'a')
    """
    return "an" if word[0] in "aeiou" else "a"


def child(rng: Random, taken: str = "") -> Character:
    """Invent a child whose name is not `taken`."""
    he = rng.choice(("he", "she"))
    name = rng.choice([n for n in (BOYS if he == "he" else GIRLS) if n != taken])
    kind = "boy" if he == "he" else "girl"
    look = rng.choice(LOOKS)
    return Character(name, f"{article(look)} {look} {kind} named {name}", kind, he)


def animal(rng: Random, taken: str = "") -> Character:
    """Invent an animal whose name is not `taken`."""
    name = rng.choice([n for n in ANIMAL_NAMES if n != taken])
    kind = rng.choice(ANIMALS)
    look = rng.choice((*LOOKS, *COATS))
    introduced = f"{article(look)} {look} {kind} named {name}"
    return Character(name, introduced, kind, rng.choice(("he", "she")))


def relative(rng: Random) -> Character:
    """Choose a relative: `{hero.his} {elder}`."""
    kind, he = rng.choice(RELATIVES)
    return Character(kind, kind, kind, he)


def stranger(rng: Random) -> Character:
    """Choose somebody who lives nearby: `the {stranger}`."""
    kind, he = rng.choice(FOLK)
    return Character(kind, f"{article(kind)} {kind}", kind, he)


def thing(rng: Random) -> Thing:
    """Invent an object."""
    return Thing(rng.choice(TREASURES), rng.choice((*COLORS, *SIZES)))
