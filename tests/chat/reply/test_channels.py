"""gpt-oss's messages with channels."""

from __future__ import annotations

import pytest

from llamacy.chat.reply.channels import ChannelSplitter
from llamacy.chat.reply.parts import BadCall, Call, Part, Reasoning, Text
from tests.support.answer_parts import complete

PARIS = '{"city": "Paris"}'
CALL = Call("weather", {"city": "Paris"})
NEXT = "<|end|><|start|>assistant"


def read(text: str) -> list[Part]:
    splitter = ChannelSplitter(("weather", "python"))
    return complete([*splitter.push(text), *splitter.end()])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (f"<|channel|>analysis<|message|>So.{NEXT}<|channel|>final<|message|>Yes.",
         [Reasoning("So."), Text("Yes.")]),
        ("<|channel|>final<|message|>Yes.<|return|>", [Text("Yes.")]),
        # the recipient stands in either place
        ("<|channel|>commentary to=functions.weather <|constrain|>json<|message|>"
         f"{PARIS}<|call|>", [CALL]),
        (f" to=functions.weather<|channel|>commentary json<|message|>{PARIS}", [CALL]),
        (f"<|channel|>analysis<|message|>So.{NEXT}<|channel|>commentary to=functions."
         f"weather<|message|>{PARIS}", [Reasoning("So."), CALL]),
        ("<|channel|>analysis to=python<|message|>{}<|call|>", [Call("python", {})]),
        # text for the user before a call
        (f"<|channel|>commentary<|message|>I look.{NEXT} to=functions.weather"
         f"<|channel|>commentary<|message|>{PARIS}<|call|>", [Text("I look."), CALL]),
        (f"<|channel|>analysis<|message|>a{NEXT}<|channel|>analysis<|message|>b",
         [Reasoning("a"), Reasoning("\n\nb")]),
        # without the marks between messages
        ("<|channel|>analysis<|message|>a<|channel|>final<|message|>b",
         [Reasoning("a"), Text("b")]),
        # a header without a message, and recipients that are no tools
        ("<|channel|>commentary to=assistant<|channel|>commentary?<|end|><|start|>"
         "assistant<|channel|>final<|message|>Yes.", [Text("Yes.")]),
        (f"<|channel|>analysis<|end|><|start|>assistant to=functions.weather<|channel|>"
         f"commentary<|message|>{PARIS}", [CALL]),
        ("<|channel|>commentary to=user<|message|>I look.", [Text("I look.")]),
        ("Yes.<|end|>", [Text("Yes.")]),
        # cut off
        ("<|channel|>analysis<|message|>So <|e",
         [Reasoning("So "), Reasoning("<|e")]),
        (f"<|channel|>analysis<|message|>So.{NEXT}<|chan", [Reasoning("So.")]),
        (f"<|channel|>analysis<|message|>So.{NEXT}<|channel|>fin", [Reasoning("So.")]),
        ("", []),
        # another format
        ("Yes.", [Text("Yes.")]),
    ],
)  # fmt: skip
def test_messages_are_split_by_channel_and_recipient(
    text: str, parts: list[Part]
) -> None:
    assert read(text) == parts


@pytest.mark.parametrize(
    "call",
    [
        '<|channel|>commentary to=functions.weather json<|message|>{"city": <|call|>',
        " to=functions.weather<|channel|>commentary<|message|>Paris",
        "<|channel|>commentary to=functions.weather<|message|>[1]<|end|>",
        "<|channel|>commentary to=functions.time<|message|>{}<|call|>",
    ],
)
def test_a_malformed_tool_call_stays_text(call: str) -> None:
    (part,) = read(call)
    assert isinstance(part, BadCall)
    assert part.text == call
    assert "wanted" in part.why


def test_text_too_long_for_a_header_is_text() -> None:
    text = "word " * 100
    splitter = ChannelSplitter(("weather", "python"))
    assert not list(splitter.push(text[:200]))
    assert (
        "".join(p.text for p in splitter.push(text[200:]) if isinstance(p, Text))
        == text
    )
    late = f"{text}<|channel|>final<|message|>Yes."
    assert [part.text for part in read(late) if isinstance(part, Text)][
        -1
    ] == "\n\nYes."
