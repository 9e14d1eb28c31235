"""Frames of constrained answers: reasoning, headers, a given beginning."""

from __future__ import annotations

from typing import NamedTuple

from llamacy.chat.constrained.lark import Marks, without
from llamacy.chat.reply import recipients
from llamacy.chat.reply.channels import MESSAGE, ChannelPlaces
from llamacy.chat.reply.parts import Place, Places
from llamacy.chat.reply.reading import ReplyReader
from llamacy.chat.reply.thinking import ThinkingMarks, ThinkingPlaces
from llamacy.chat.reply.wrapping import Wrapping

_GAP = "gap: /[ \\n]{0,2}/\n"  # as models write it between reasoning and answer


class Frame(NamedTuple):
    """The text that may come before an answer.

    Attributes
    ----------
    before : str
        Terms of a rule.
    rules : str
        The rules that they refer to.
    header : str
        Terms that stand before an answer, but not before a tool call.
    begun : str
        The beginning of the answer that the prompt ends with already.
    """

    before: str = ""
    rules: str = ""
    header: str = ""
    begun: str = ""


def frame_of(reader: ReplyReader, marks: Marks) -> Frame:
    """Return what may come before the answer to a prompt.

    Parameters
    ----------
    reader : ReplyReader
        Knows how the model marks reasoning, and how the prompt ends.
    marks : Marks
        Writes marks.
    """
    if reader.style.has_channels:
        return _channels(reader, marks)
    if reader.style.has_recipients:
        line = f"{recipients.USER}\n"
        if reader.begun:
            return Frame(begun=reader.begun.removeprefix(line))
        return Frame(header=marks(line))
    if reader.style.wrapping is not None:
        return _wrapped(reader, reader.style.wrapping, marks)
    if reader.style.thinking is not None:
        return _thinking(reader, reader.style.thinking, marks)
    return Frame(begun=reader.begun)


def _thinking(reader: ReplyReader, pair: ThinkingMarks, marks: Marks) -> Frame:
    is_certain = reader.style.always_thinks
    is_open, is_over, begun = reader.is_thinking, reader.is_answering, ""
    if reader.begun:
        last, begun = _read(ThinkingPlaces(pair, is_open), reader.begun)
        is_open = last is Place.REASONING or (is_open and last is Place.BEGINNING)
        is_over = last in (Place.ANSWER, Place.GAP)
    if is_over:
        return Frame(begun=begun)
    rules = marks.up_to("reasoning", pair.close) + _GAP
    if is_open:
        return Frame("reasoning gap", rules)
    opening = marks(pair.open)
    if is_certain:
        return Frame(f"({opening})? reasoning gap", rules)
    return Frame(f"({opening} reasoning gap)?", rules)


def _wrapped(reader: ReplyReader, wrapping: Wrapping, marks: Marks) -> Frame:
    pair, is_open = wrapping.thinking, reader.is_thinking
    if reader.begun:
        last, _ = _read(ThinkingPlaces(pair, is_open), reader.begun)
        is_open = last is Place.REASONING or (is_open and last is Place.BEGINNING)
        if not is_open:
            return Frame(begun=reader.begun_text)
    rules = f"reasoning: thought {marks(wrapping.between)}\n"
    rules += marks.up_to("thought", pair.close)
    before = "reasoning" if is_open else f"({marks(pair.open)} reasoning)?"
    return Frame(before, rules, marks(wrapping.header))


def _channels(reader: ReplyReader, marks: Marks) -> Frame:
    """Return gpt-oss's messages before the one to the user: any number that reason."""
    place, begun = Place.BEGINNING, ""
    if reader.begun:
        place, begun = _read(ChannelPlaces(), reader.begun)
    if begun:
        return Frame(begun=begun)
    header = f"{marks('<|channel|>')} analysis_channel"
    rules = (
        f'analysis_channel: "analysis" {marks(MESSAGE)} analysis\n'
        f"analysis: ANALYSIS_TEXT {marks('<|end|><|start|>assistant')}\n"
        f"ANALYSIS_TEXT: {without('<|end|>', '<|start|>', '<|channel|>')}\n"
    )
    final = f'{marks("<|channel|>")} "final" {marks(MESSAGE)}'
    before = f"({header})*"
    if place is Place.REASONING:
        before = f"analysis {before}"
    return Frame(before, rules, final)


def _read(places: Places, text: str) -> tuple[Place, str]:
    """Return where a text ends, and the part of it that is answer."""
    pieces = [*places.push(text), *places.end()]
    answer = "".join(piece for piece, place in pieces if place is Place.ANSWER)
    return pieces[-1][1] if pieces else Place.BEGINNING, answer
