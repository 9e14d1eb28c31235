"""Errors: their messages, copies with a place, and pickles."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest

import llamacy
from llamacy.errors import LlamacyError, placed

ERRORS: list[tuple[LlamacyError, str]] = [
    (llamacy.ArgumentError("n: wanted 1"), "n: wanted 1"),
    (
        llamacy.ContextLengthError(9, 8),
        "9 tokens do not fit into a context of 8 tokens",
    ),
    (
        llamacy.FormatError("a.gguf", "magic", "GGUF", "text"),
        "a.gguf: magic: wanted GGUF, found text",
    ),
    # a path with a terminal's commands in it
    (
        llamacy.FormatError("a\x1b[31m\n.gguf", "magic", "GGUF", "text"),
        r"a\x1b[31m\n.gguf: magic: wanted GGUF, found text",
    ),
    (llamacy.OutOfMemoryError("no room", 2, 1), "no room"),
    (llamacy.ModelFileError("cannot be read"), "cannot be read"),
]


@pytest.mark.parametrize(("error", "message"), ERRORS)
def test_a_copy_names_its_place_and_keeps_the_rest(
    error: LlamacyError, message: str
) -> None:
    copy = placed(error, "prompts[3]", 3)
    assert (str(error), error.index) == (message, None)
    assert (str(copy), copy.index) == (f"prompts[3]: {message}", 3)
    assert type(copy) is type(error)
    assert copy.args == error.args
    restored = pickle.loads(pickle.dumps(copy))
    assert (str(restored), restored.index) == (str(copy), 3)
    assert vars(restored) == vars(copy)
    assert str(placed(error, "", None)) == message


def test_a_message_that_begins_with_its_place_has_it_once() -> None:
    error = llamacy.ArgumentError("prompts[3]: wanted text")
    assert str(placed(error, "prompts[3]", 3)) == "prompts[3]: wanted text"


class TwoParts(llamacy.ArgumentError):
    def __init__(self, part: str, *, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{part}: {reason}")


class OnePart(llamacy.ArgumentError):
    def __init__(self, part: str, reason: str = "bad") -> None:
        self.reason = reason
        super().__init__(f"{part}: {reason}")


@pytest.mark.parametrize("error", [TwoParts("tool", reason="bad"), OnePart("tool")])
def test_an_error_that_cannot_be_copied_is_named_itself(
    error: TwoParts | OnePart,
) -> None:
    named = placed(error, "prompts[0]", 0)
    assert (str(named), named.reason) == ("prompts[0]: tool: bad", "bad")


def test_an_interrupt_is_no_exception_and_says_where_the_text_is() -> None:
    interrupted = llamacy.Interrupted(["text"])
    assert isinstance(interrupted, KeyboardInterrupt)
    assert not isinstance(interrupted, Exception)
    assert interrupted.completion == ["text"]
    assert "`completion`" in str(interrupted)
    restored = pickle.loads(pickle.dumps(interrupted))
    assert restored.completion == ["text"]


def test_a_path_in_a_message_commands_no_terminal() -> None:
    error = llamacy.ModelFileError(2, "missing", "é\x1b[31m\n.gguf")
    assert (str(error), error.filename) == (
        r"é\x1b[31m\n.gguf: missing",
        "é\x1b[31m\n.gguf",
    )


def subclasses(cls: type[LlamacyError]) -> Iterator[type[LlamacyError]]:
    for each in cls.__subclasses__():
        if each.__module__.startswith("llamacy."):
            yield each
            yield from subclasses(each)


SPECIAL: dict[type[LlamacyError], tuple[Any, ...]] = {
    llamacy.ContextLengthError: (9, 8),
    llamacy.FormatError: ("a.gguf", "magic", 3, None),
    llamacy.UnsupportedError: ("a.gguf", "magic", 3, None),
    llamacy.ModelFileError: (2, "missing", "a.gguf"),
    llamacy.OutOfMemoryError: ("no room", 2, 1),
    llamacy.MismatchError: ("odd", ["text"]),
}


@pytest.mark.parametrize("cls", sorted(set(subclasses(LlamacyError)), key=str))
def test_every_error_crosses_processes_as_it_is(cls: type[LlamacyError]) -> None:
    error = cls(*SPECIAL.get(cls, ("message",)))
    error.index = 3
    twin = pickle.loads(pickle.dumps(error))
    assert type(twin) is cls
    assert (str(twin), twin.args, vars(twin)) == (str(error), error.args, vars(error))
    assert getattr(twin, "errno", None) == getattr(error, "errno", None)
    assert getattr(twin, "filename", None) == getattr(error, "filename", None)
