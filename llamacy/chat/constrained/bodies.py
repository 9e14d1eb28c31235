"""Bodies of answers that may call tools: calls, and the text around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from llamacy.chat.constrained.calls import calls_of
from llamacy.chat.constrained.lark import Marks, without
from llamacy.chat.constrained.wanted import Tool, Wanted
from llamacy.chat.reply import recipients
from llamacy.chat.reply.call_forms import CallForm
from llamacy.chat.reply.reading import ReplyReader
from llamacy.errors import ConstraintError
from llamacy.structured.form import Form

# what a reader takes for no call without marks, where it begins the answer
_NO_CALL: Final = r"/[\s\x1c-\x1f]*([^\s\x1c-\x1f{\[`](.|\n)*)?/"


class Body(NamedTuple):
    """The grammar of an answer behind its reasoning.

    Attributes
    ----------
    body : str
        Terms, in which ``@form`` is an answer that follows the caller's form, and
        ``@text`` one that follows none.
    rules : str
        The rules that they refer to.
    forms : dict of str to Form
        The forms of arguments.
    """

    body: str
    rules: str
    forms: dict[str, Form]

    @classmethod
    def of(
        cls, wanted: Wanted, reader: ReplyReader, tools: Sequence[Tool], marks: Marks
    ) -> Body:
        """Return the body that some demands lead to.

        Parameters
        ----------
        wanted : Wanted
            The caller's demands, on calls among others.
        reader : ReplyReader
            Reads the answer.
        tools : sequence of Tool
            The tools that may be called.
        marks : Marks
            Writes marks.

        Raises
        ------
        ConstraintError
            Nothing tells where a call begins.
        """
        form = call_form(reader)
        if wanted.choice.is_required:
            most = 1 if wanted.choice.name is not None else None
            calls = calls_of(tools, form, marks, most=most)
            return cls("calls", calls.rules, calls.forms)
        if wanted.form is not None:
            calls = calls_of(tools, form, marks)
            return cls("(calls | @form)", calls.rules, calls.forms)
        if reader.style.has_channels or reader.style.wrapping:
            calls = calls_of(tools, form, marks)
            tail = f"TAIL: {without(*reader.style.marks)}\n"
            return cls("(calls | @text)", calls.rules + tail, calls.forms)
        if reader.style.has_recipients:
            calls = calls_of(tools, form, marks)
            user = f"{recipients.USER}\n"
            lead = marks.up_to("lead", recipients.MARK)
            tail = f"TAIL: {without(recipients.MARK)}\n"
            body = f"(calls | {marks(user)} (TAIL | lead calls))"
            return cls(body, calls.rules + lead + tail, calls.forms)
        return _free(reader, form, tools, marks)


def call_form(reader: ReplyReader) -> CallForm:
    """Return how a constraint makes the model write calls."""
    form = reader.style.call_form
    assert form is not None  # tools need a template whose calls are known
    return form


def _free(
    reader: ReplyReader, form: CallForm, tools: Sequence[Tool], marks: Marks
) -> Body:
    """Return text with any number of calls in it."""
    style = reader.style.tool_calls
    opening = style.open if style else ""
    if opening and form.before.startswith(opening):
        form = replace(form, before=form.before.removeprefix(opening))
    elif opening and form.call.startswith(opening):
        form = replace(form, call=form.call.removeprefix(opening), most=1)
    elif opening and style is not None and style.is_bare_first:
        calls = calls_of(tools, form, marks)
        tail = f"TAIL: {_NO_CALL} & {without(*style.marks)}\n"
        return Body("(calls | TAIL)", calls.rules + tail, calls.forms)
    else:
        raise ConstraintError(
            "strict: wanted a template that marks where a call begins, found one that "
            'does not; use tool_choice="required", or leave strict out'
        )
    calls = calls_of(tools, form, marks)
    lead = marks.up_to("lead", opening)
    tail = f"TAIL: {without(opening)}\n"
    return Body("(lead calls)* TAIL", calls.rules + lead + tail, calls.forms)
