"""The text of a tool call after the mark that opens it, while it arrives."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from llamacy.arguments import short
from llamacy.chat.reply.begun_calls import BegunCalls
from llamacy.chat.reply.bodies import Inside
from llamacy.chat.reply.parts import Call, Early, cut
from llamacy.chat.reply.tool_call_marks import ToolCallStyle


class MarkedBody:
    """Takes text up to the mark that ends the call.

    A closing mark inside an argument is part of it. Should the call turn out to be
    malformed, the first of those marks is taken for its end instead, so that a broken
    call does not swallow the ones behind it.

    Parameters
    ----------
    style : ToolCallStyle
        How the model writes calls.
    opening : str
        The mark or tag that opened the call.
    close : str or None
        The mark that ends it.
    inside : Inside
        Follows the text.
    names : collection of str
        Names of the tools.
    is_tag : bool
        Whether the opening and the closing tag are parts of the call, without marks
        around it.

    Attributes
    ----------
    is_closed : bool
        Whether the closing mark was found.
    """

    def __init__(
        self,
        style: ToolCallStyle,
        opening: str,
        close: str | None,
        inside: Inside,
        names: Collection[str],
        *,
        is_tag: bool = False,
    ) -> None:
        self._style = style
        self._opening = opening
        self._close = close
        self._inside = inside
        self._is_tag = is_tag
        self._begun = BegunCalls(None if is_tag else style.heads, names)
        self._n_told = 0  # parts that were looked at
        self._marks = [mark for mark in (close, style.open) if mark]
        self._parts = [opening] if is_tag else []
        self._n_open = 0  # opening marks inside arguments that none has closed
        self._maybe: int | None = None  # parts before the first mark that may end it
        self.is_closed = False

    @property
    def written(self) -> str:
        """The call with its marks, as the model wrote it."""
        opening = "" if self._is_tag else self._opening
        closing = self._close if self.is_closed and not self._is_tag else ""
        return f"{opening}{''.join(self._parts)}{closing}"

    def take(self, held: str, *, is_final: bool) -> tuple[bool, str]:
        """Take what is certain of a text.

        Returns
        -------
        is_over : bool
            Whether the call has ended.
        left : str
            The text that was not taken.
        """
        mark: str | None = ""
        while mark is not None:
            before, mark, held = cut(held, self._marks)
            self._add(before)
            if mark and self._ends_at(mark):
                return True, held if mark == self._close else mark + held
        if is_final:
            is_cut = self._close is not None and len(held) > 1 and not self._is_tag
            self.is_closed = is_cut and str(self._close).startswith(held)
            self._parts += [] if self.is_closed else [held]
        return is_final, "" if is_final else held

    def begun(self) -> Iterator[Early]:
        """Yield what is certain of calls that are not complete."""
        parts, self._n_told = self._parts[self._n_told :], len(self._parts)
        for part in parts:
            yield from self._begun.push(part)

    def calls(self) -> tuple[list[Call], str]:
        """Parse the calls, and return them with the text of the answer behind them.

        Raises
        ------
        ValueError
            A call is malformed.
        """
        text = "".join(self._parts)
        style = self._style
        if style.must_close and not self.is_closed:
            end = style.bare_end
            if not end or not text.rstrip().endswith(end):
                raise ValueError(f"wanted {self._close} at the end, found none")
        calls, left = style.read(text)
        is_apart = not self.is_closed and left.lstrip(" \t\r").startswith("\n")
        if left.strip() and not is_apart:
            raise ValueError(f"wanted nothing after the call, found {short(left)}")
        return calls, left

    def shorten(self) -> str | None:
        """End at the first mark that may end the call; return the text behind it.

        None if there is no such mark.
        """
        if self._maybe is None:
            return None
        close, *behind = self._parts[self._maybe :]
        self._parts = self._parts[: self._maybe] + ([close] if self._is_tag else [])
        behind += [self._close or ""] if self.is_closed and not self._is_tag else []
        self.is_closed, self._maybe = True, None
        return "".join(behind)

    def _add(self, text: str) -> None:
        if text:
            self._parts.append(text)
            self._inside.feed(text)

    def _ends_at(self, mark: str) -> bool:
        """Decide about a mark, which becomes part of the text if it does not end it."""
        is_close = mark == self._close
        if not self._inside.is_inside or (self._maybe is not None and not is_close):
            self.is_closed = is_close
            if is_close and self._is_tag:
                self._parts.append(mark)
            return True
        if not is_close:
            self._n_open += 1
        elif self._n_open:
            self._n_open -= 1
        elif self._maybe is None:
            self._maybe = len(self._parts)
        self._add(mark)
        return False
