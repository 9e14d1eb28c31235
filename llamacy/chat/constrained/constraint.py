"""The constraint on the answer to one prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamacy.arguments import short
from llamacy.chat.constrained.frames import Frame, frame_of
from llamacy.chat.constrained.lark import Marks
from llamacy.errors import ArgumentError
from llamacy.structured.form import Form
from llamacy.structured.grammar import JSON_STYLE, LOOSE_STYLE

if TYPE_CHECKING:
    from llamacy.chat.prompt import ChatPrompt
    from llamacy.sampling.constraint import Constraint
    from llamacy.structured.compiling import Compiler
    from llamacy.structured.matcher import Matcher
    from llamacy.tokenizers.base import Tokenizer


def constraint_of(
    prompt: ChatPrompt, tokenizer: Tokenizer, compiler: Compiler
) -> Constraint:
    """Return the constraint on the answer to a prompt, which asks for a form.

    Parameters
    ----------
    prompt : ChatPrompt
        The prompt; `ChatPrompt.form` is the form.
    tokenizer : Tokenizer
        The model's.
    compiler : Compiler
        Makes constraints for the model.

    Raises
    ------
    ConstraintError
        The form cannot be enforced.
    ArgumentError
        The answer's beginning, which the prompt ends with, does not follow the form.
    """
    assert prompt.form is not None
    marks = Marks(tokenizer, compiler.vocabulary.special)
    frame = frame_of(prompt.reader, marks)
    if frame.begun:
        return _begun(frame, prompt.form, compiler)
    if not frame.before:
        return compiler.constraint(prompt.form)
    rules = f"start: {frame.before} @answer\n{frame.rules}"
    return compiler.framed(rules, {"answer": prompt.form})


def _begun(frame: Frame, form: Form, compiler: Compiler) -> Matcher:
    """Return a constraint that has accepted the answer's beginning.

    The caller's JSON may have other spaces than ours; the rest may then have, too.
    """
    styles = (JSON_STYLE, LOOSE_STYLE) if form.kind == "json" else (JSON_STYLE,)
    left = ""
    for style in styles:
        constraint = compiler.framed("start: @answer\n", {"answer": form}, style)
        if not (left := constraint.accept_text(frame.begun)):
            return constraint
    n_fit = len(frame.begun) - len(left)
    raise ArgumentError(
        f"messages[-1]: wanted the beginning of an answer that {form.argument} allows, "
        f"found {short(left)} behind {n_fit} characters of one"
    )
