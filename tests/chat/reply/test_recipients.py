"""Functionary's answers with recipients."""

from __future__ import annotations

import pytest

from llamacy.chat.reply.parts import BadCall, Call, Part, Text
from llamacy.chat.reply.recipients import RecipientSplitter
from tests.support.answer_parts import complete

PARIS = '{"city": "Paris"}'
CALL = Call("weather", {"city": "Paris"})


def read(*pieces: str) -> list[Part]:
    splitter = RecipientSplitter(("weather", "time"))
    parts = [part for piece in pieces for part in splitter.push(piece)]
    return complete([*parts, *splitter.end()])


@pytest.mark.parametrize(
    ("text", "said", "calls"),
    [
        ("all\nHello! \n", "Hello! \n", []),
        (f"weather\n{PARIS}", "", [CALL]),
        (f"all\nI look.\n>>>weather\n{PARIS}\n", "I look.", [CALL]),
        (f"weather\n{PARIS}>>>time\n{{}}", "", [CALL, Call("time", {})]),
        (f"weather\n{PARIS}>>>all\nSo.", "So.", [CALL]),
        ('weather\n{"city": ">>>time\n{}"}', "",
         [Call("weather", {"city": ">>>time\n{}"})]),
        ("all\n>>> 1 + 1\n>>>", ">>> 1 + 1\n>>>", []),
        ("all\n>>>bob\n{}", ">>>bob\n{}", []),
        ("bob\n{}", "bob\n{}", []),
        ("Hello", "Hello", []),
        ("al", "al", []),
        ("", "", []),
    ],
)  # fmt: skip
def test_parts_go_to_their_recipients(text: str, said: str, calls: list[Call]) -> None:
    for pieces in ((text,), tuple(text)):
        parts = read(*pieces)
        assert "".join(part.text for part in parts if isinstance(part, Text)) == said
        assert [part for part in parts if isinstance(part, Call)] == calls


@pytest.mark.parametrize("text", ['weather\n{"city": "Pa', "all\nSo>>>time\n[1]"])
def test_a_malformed_call_stays_text(text: str) -> None:
    *_, bad = read(text)
    assert isinstance(bad, BadCall)
    assert text.endswith(bad.text)
    assert "wanted" in bad.why
