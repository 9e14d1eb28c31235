"""Small talk, which opens chats; one of several right answers."""

from __future__ import annotations

from random import Random

from .task import Task

_GREETINGS = ("Hello", "Hello!", "Hi", "Hi!", "Hey", "Good morning!", "Hi there!")
_WHO = (
    "Who are you?",
    "What are you?",
    "What is your name?",
    "Tell me about yourself.",
    "Are you ChatGPT?",
)
_WHAT = (
    "What can you do?",
    "Help",
    "How can you help me?",
    "What do you know?",
    "What can I ask you?",
)
_THANKS = ("Thanks!", "Thank you!", "Thank you.", "Thanks, bye!", "Goodbye!")


def talk(rng: Random) -> Task:
    """Greet, ask who is there, or say thank you."""
    ways, answer = rng.choice(
        (
            (_GREETINGS, "Hello! Ask me something small, or ask for a story."),
            (
                _WHO,
                "I am a tiny demo model that comes with llamacy. I know very little.",
            ),
            (
                _WHAT,
                "I can add small numbers, sort them, spell words, name opposites, "
                "plurals and capitals, write a loop in Python, and tell stories.",
            ),
            (_THANKS, "You are welcome!"),
        )
    )
    return Task(rng.choice(ways), answer)
