"""The constraint on the answer to one prompt."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from llamacy.arguments import short
from llamacy.chat.constrained.bodies import Body, call_form
from llamacy.chat.constrained.calls import calls_of
from llamacy.chat.constrained.frames import Frame, frame_of
from llamacy.chat.constrained.lark import Marks
from llamacy.chat.constrained.wanted import Tool, Wanted
from llamacy.chat.reply.reading import ReplyReader
from llamacy.errors import ArgumentError, ConstraintError
from llamacy.structured.form import Form
from llamacy.structured.grammar import JSON_STYLE, LOOSE_STYLE

if TYPE_CHECKING:
    from llamacy.structured.compiling import Compiler
    from llamacy.structured.matcher import Matcher
    from llamacy.tokenizers.base import Tokenizer

_logger = logging.getLogger("llamacy")


class Constrained(NamedTuple):
    """The constraint on an answer.

    Attributes
    ----------
    constraint : Constraint or None
        None where there is nothing to hold it to.
    disabled : tuple of str
        For each tool that cannot be called in this answer, the reason.
    """

    constraint: Matcher | None
    disabled: tuple[str, ...] = ()


def constrained(
    wanted: Wanted, reader: ReplyReader, tokenizer: Tokenizer, compiler: Compiler
) -> Constrained:
    """Return the constraint on the answer to a prompt.

    Parameters
    ----------
    wanted : Wanted
        The caller's demands, of which there are some.
    reader : ReplyReader
        Reads the answer; knows how the prompt ends.
    tokenizer : Tokenizer
        The model's.
    compiler : Compiler
        Makes constraints for the model.

    Raises
    ------
    ConstraintError
        The form, or all tools that may be called, cannot be enforced.
    ArgumentError
        The answer's beginning, which the prompt ends with, does not follow the form.
    """
    marks = Marks(tokenizer, compiler.vocabulary.special)
    frame = frame_of(reader, marks)
    answer = f"{frame.header} @answer"
    if not wanted.constrains_calls:
        assert wanted.form is not None
        rules = f"start: {frame.before} {answer}\n{frame.rules}"
        return Constrained(_made(frame, rules, {"answer": wanted.form}, compiler))
    tools, disabled = _usable(wanted, reader, marks, compiler)
    calls = Body.of(wanted, reader, tools, marks)
    forms = dict(calls.forms)
    if wanted.form is not None and not wanted.choice.is_required:
        forms["answer"] = wanted.form
    body = calls.body.replace("@text", f"{frame.header} TAIL")
    rules = f"start: {frame.before} {body.replace('@form', answer)}\n{frame.rules}"
    made = _made(frame, rules + calls.rules, forms, compiler)
    return Constrained(made, disabled)


def _usable(
    wanted: Wanted, reader: ReplyReader, marks: Marks, compiler: Compiler
) -> tuple[list[Tool], tuple[str, ...]]:
    """Return the tools whose schemas can be enforced; each is tried alone.

    Raises
    ------
    ConstraintError
        The schema of no tool can be enforced.
    """
    form = call_form(reader)
    usable: list[Tool] = []
    errors: list[ConstraintError] = []
    for tool in wanted.callable_tools:
        try:
            if tool.is_strict and form.values != "json":
                compiler.constraint(tool.form)  # finds what no text follows
            alone = calls_of([tool], form, marks)
            compiler.framed(f"start: calls\n{alone.rules}", alone.forms)
            usable.append(tool)
        except ConstraintError as error:
            errors.append(error)
    if not usable:
        raise errors[0]
    reasons = tuple(map(str, errors))
    for reason in reasons:
        _logger.warning("a tool cannot be called: %s", reason)
    return usable, reasons


def _made(
    frame: Frame, rules: str, forms: Mapping[str, Form], compiler: Compiler
) -> Matcher:
    """Return a constraint that has accepted the answer's beginning.

    The caller's JSON may have other spaces than ours; the rest may then have, too.

    Raises
    ------
    ArgumentError
        The beginning breaks the form.
    """
    if not frame.begun:
        return compiler.framed(rules, forms)
    left = ""
    for style in (JSON_STYLE, LOOSE_STYLE):
        constraint = compiler.framed(rules, forms, style)
        if not (left := constraint.accept_text(frame.begun)):
            return constraint
    n_fit = len(frame.begun) - len(left)
    (argument, *_) = {form.argument for form in forms.values()}
    raise ArgumentError(
        f"messages[-1]: wanted the beginning of an answer that {argument} allows, "
        f"found {short(left)} behind {n_fit} characters of one"
    )
