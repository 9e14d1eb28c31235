"""Words: their opposites, plurals and letters."""

from __future__ import annotations

from random import Random

from .task import Task, phrased

_PAIRS = [
    (pair.partition("/")[0], pair.partition("/")[2])
    for pair in (
        "hot/cold big/small tall/short fast/slow old/new young/old good/bad "
        "happy/sad light/dark day/night up/down left/right open/closed full/empty "
        "hard/soft wet/dry rich/poor strong/weak loud/quiet early/late first/last "
        "high/low long/short thick/thin wide/narrow clean/dirty sweet/sour "
        "black/white true/false yes/no on/off in/out inside/outside above/below "
        "before/after near/far begin/end start/stop buy/sell push/pull give/take "
        "win/lose love/hate laugh/cry come/go always/never everything/nothing "
        "easy/difficult cheap/expensive heavy/light deep/shallow sharp/blunt "
        "smooth/rough alive/dead asleep/awake safe/dangerous brave/afraid "
        "polite/rude right/wrong same/different summer/winter north/south "
        "east/west morning/evening friend/enemy question/answer war/peace "
        "arrive/leave remember/forget increase/decrease accept/refuse "
        "beautiful/ugly clever/stupid tight/loose front/back top/bottom "
        "more/less many/few present/absent public/private simple/complex "
        "forward/backward male/female warm/cool bright/dim"
    ).split()
]
# In both directions, except for words with two opposites, such as "short".
_SECONDS = [second for _, second in _PAIRS]
OPPOSITES = {b: a for a, b in _PAIRS if _SECONDS.count(b) == 1} | dict(_PAIRS)
_REGULAR = (
    "cat dog book car tree house table chair apple garden window door pen cup ball "
    "river star king bird horse cow pig flower cloud road ship school teacher farmer "
    "girl boy sister brother friend lamp spoon shoe hat song game day key toy"
)
_WITH_ES = "box bus fox glass dish brush church bench watch class dress peach wish"
_WITH_IES = "baby city berry story party lady puppy country family cherry fly body"
_IRREGULAR = dict(
    pair.split("/")
    for pair in (
        "child/children man/men woman/women mouse/mice foot/feet tooth/teeth "
        "goose/geese person/people ox/oxen leaf/leaves wolf/wolves knife/knives "
        "wife/wives life/lives half/halves shelf/shelves loaf/loaves thief/thieves "
        "sheep/sheep fish/fish deer/deer potato/potatoes tomato/tomatoes hero/heroes"
    ).split()
)
PLURALS = (
    {word: word + "s" for word in _REGULAR.split()}
    | {word: word + "es" for word in _WITH_ES.split()}
    | {word: word[:-1] + "ies" for word in _WITH_IES.split()}
    | _IRREGULAR
)
SHORT = (
    "cat dog sun map cup hat pen box key car bus red big hot top fox cow pig hen bat "
    "net web jam egg ice arm leg ear eye toe bed lid mud fog sky sea oak elm bee ant "
    "tree book fish bird star moon rain snow wind lake hill road ship boat farm milk "
    "cake rice soup corn leaf rose frog duck goat lion bear wolf deer hand foot nose "
    "door wall roof lamp desk ball kite drum bell ring song game word page king blue "
    "green white black brown apple bread lemon grape peach melon house table chair "
    "plate spoon knife clock river beach ocean cloud storm stone grass plant horse "
    "sheep mouse tiger zebra eagle robin snake whale shark train truck plane wheel "
    "queen child woman smile heart dream light night happy funny quick small sweet "
    "fresh music paper pencil garden window flower summer winter spring autumn banana "
    "orange butter cheese kitten rabbit turtle monkey school letter number"
).split()
_LONG = "teacher elephant computer mountain umbrella holiday strawberry chocolate"
_OPPOSITE_WAYS = (
    "What is the opposite of {word}?",
    'What is the opposite of "{word}"?',
    "Give the opposite of the word {word}.",
    "Name the opposite of {word}.",
    "Find an antonym of {word}.",
)
_PLURAL_WAYS = (
    "What is the plural of {word}?",
    'What is the plural of "{word}"?',
    "Give the plural of the word {word}.",
    "Write the plural form of {word}.",
    "One {word}, two what?",
)
_SPELLING_WAYS = (
    "Spell the word {word}.",
    'Spell "{word}".',
    "How do you spell {word}?",
    "Spell {word} letter by letter.",
)
_REVERSING_WAYS = (
    "Reverse the word {word}.",
    'Reverse "{word}".',
    "Write the word {word} backwards.",
    "Spell {word} backwards.",
    "What is {word} in reverse?",
)
_LENGTH_WAYS = (
    "How many letters are in the word {word}?",
    'How many letters does "{word}" have?',
    "Count the letters in {word}.",
)
_LETTER_WAYS = (
    'How many times does the letter {letter} appear in "{word}"?',
    "How many {letter}'s are in the word {word}?",
    "Count the letter {letter} in {word}.",
)


def opposite(rng: Random) -> Task:
    """Name the opposite."""
    word = rng.choice(list(OPPOSITES))
    text = phrased(rng, _OPPOSITE_WAYS, word=word)
    return Task(text, OPPOSITES[word], f"The opposite of {word} is")


def plural(rng: Random) -> Task:
    """Name the plural."""
    word = rng.choice(list(PLURALS))
    text = phrased(rng, _PLURAL_WAYS, word=word)
    return Task(text, PLURALS[word], f"The plural of {word} is")


def spelling(rng: Random) -> Task:
    """Take a word apart: "c-a-t"."""
    word = rng.choice(SHORT)
    return Task(phrased(rng, _SPELLING_WAYS, word=word), "-".join(word))


def reversing(rng: Random) -> Task:
    """Write a word backwards."""
    word = rng.choice(SHORT)
    return Task(phrased(rng, _REVERSING_WAYS, word=word), word[::-1])


def counting(rng: Random) -> Task:
    """Count all letters of a word, or the occurrences of one letter."""
    word = rng.choice((*SHORT, *_LONG.split()))
    if rng.random() < 0.5:
        return Task(phrased(rng, _LENGTH_WAYS, word=word), str(len(word)))
    letter = rng.choice(word if rng.random() < 0.8 else "abcdefghijklmnopqrstuvwxyz")
    text = phrased(rng, _LETTER_WAYS, word=word, letter=letter)
    return Task(text, str(word.count(letter)))
