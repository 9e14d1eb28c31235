"""From a finished text to its value."""

from __future__ import annotations

import json
from typing import Any

from llamacy.errors import MismatchError
from llamacy.structured.form import Form


def parsed(form: Form | None, text: str, finish_reason: str) -> Any:
    """Return the value of a text that has followed a form to its end.

    Parameters
    ----------
    form : Form or None
        What it followed.
    text : str
        The text.
    finish_reason : str
        Why it ended.

    Returns
    -------
    object
        An instance of the form's class, or JSON's value. None for other forms than
        JSON, and for a text that a limit or a stop string has cut short.

    Raises
    ------
    MismatchError
        The class refuses the text by a rule of its own.
    """
    if form is None or form.kind != "json" or finish_reason != "stop":
        return None
    try:
        value = json.loads(text)
    except ValueError:  # a stop string was in it, or a number has 5000 digits
        return None
    if form.parser is None:
        return value
    validate = getattr(form.parser, "model_validate_json", None)
    validate = validate or form.parser.validate_json
    try:
        return validate(text)
    except ValueError as error:  # pydantic's ValidationError is one
        raise MismatchError(f"{form.argument}: {error}") from error
