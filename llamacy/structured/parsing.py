"""From a finished text to its value."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TypeVar

from llamacy.errors import MismatchError
from llamacy.results import Completion
from llamacy.structured.form import Form

CompletionT = TypeVar("CompletionT", bound=Completion)


def with_value(completion: CompletionT, form: Form | None, text: str) -> CompletionT:
    """Return a completion with the value of its text, if that has followed a form.

    It is an instance of the form's class, or JSON's value. Other forms than JSON have
    none, nor has a text that a limit or a stop string has cut short.

    Parameters
    ----------
    completion : Completion
        The text's completion.
    form : Form or None
        The form that it followed.
    text : str
        The text, with the beginning that was given.

    Raises
    ------
    MismatchError
        The class refuses the text by a rule of its own.
    """
    if form is None or form.kind != "json" or completion.finish_reason != "stop":
        return completion
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        # a stop string was in it, a number has 5000 digits, or lists lie too deep
        return completion
    if form.parser is not None:
        validate = getattr(form.parser, "model_validate_json", None)
        validate = validate or form.parser.validate_json
        try:
            value = validate(text)
        except ValueError as error:  # pydantic's ValidationError is one
            message = f"{form.argument}: {error}"
            raise MismatchError(message, completion) from error
    return replace(completion, parsed=value)
