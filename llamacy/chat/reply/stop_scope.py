"""Keeping stop strings to the answer: a model may mention them while it reasons."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from llamacy.chat.reply import channels
from llamacy.chat.reply.channels import ChannelPlaces
from llamacy.chat.reply.parts import Place, Places
from llamacy.chat.reply.reading import ReplyReader
from llamacy.chat.reply.thinking import ThinkingPlaces
from llamacy.generation.text_buffer import StopScope


class _Answer:
    """The answer without its reasoning.

    Parameters
    ----------
    places : Places
        Tells them apart.
    always : tuple of str
        Stop strings that end every part.
    """

    def __init__(self, places: Places, always: tuple[str, ...]) -> None:
        self.always = always
        self._places = places

    def push(self, text: str) -> Iterator[tuple[str, bool]]:
        """Add text; yield its parts, and whether they are answer."""
        for part, place in self._places.push(text):
            yield part, place is Place.ANSWER

    def end(self) -> Iterator[tuple[str, bool]]:
        """End the text, and yield what was held back."""
        for part, place in self._places.end():
            yield part, place is Place.ANSWER


def stop_scope(
    reader: ReplyReader, always: Collection[str], stop: Collection[str]
) -> StopScope | None:
    """Return the parts of an answer that stop strings may end.

    Parameters
    ----------
    reader : ReplyReader
        Reads the answer.
    always : collection of str
        Strings that end the reasoning too.
    stop : collection of str
        The caller's strings. A string that contains a mark of the reasoning ends it
        too: it was given for that.

    Returns
    -------
    StopScope or None
        None if the model does not reason, or there are no strings.
    """
    if not stop:
        return None
    style = reader.style
    marks: Collection[str]
    places: Places
    if style.has_channels:
        marks, places = channels.MARKS, ChannelPlaces()
    elif style.thinking:
        marks = style.thinking
        places = ThinkingPlaces(marks, reader.is_thinking, style.always_thinks)
    else:
        return None
    ending = (one for one in stop if any(mark in one for mark in marks))
    return _Answer(places, (*always, *ending))
