"""How long a model is to reason, as a variable of its chat template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamacy.arguments import short
from llamacy.chat.built_in import ChatFormat
from llamacy.chat.variables import free_variables
from llamacy.errors import ArgumentError

_NAMES = ("reasoning_effort", "thinking_effort")  # the second is Kimi K3's
_SWITCH = "enable_thinking"


def with_effort(
    form: ChatFormat, arguments: Mapping[str, Any] | None, effort: str | None
) -> Mapping[str, Any] | None:
    """Return a template's arguments, with the effort under the name it has there.

    Parameters
    ----------
    form : ChatFormat
        The format whose template will be rendered.
    arguments : mapping or None
        The template's arguments so far.
    effort : str or None
        The effort, which the template understands or refuses. ``"none"`` switches
        reasoning off where there is only a switch.

    Raises
    ------
    ArgumentError
        The effort is not a text, the template has no variable for it, or `arguments`
        have that variable as well.
    """
    if effort is None:
        return arguments
    if not isinstance(effort, str) or not effort:
        raise ArgumentError(f"reasoning_effort: wanted a text, found {short(effort)}")
    variables = free_variables(form.template) or frozenset()
    name = next((name for name in _NAMES if name in variables), None)
    given: dict[str, Any] = {}
    if name is not None:
        given[name] = effort
    elif effort == "none" and _SWITCH in variables:
        given[_SWITCH] = False
    else:
        switch = "; it has enable_thinking" if _SWITCH in variables else ""
        raise ArgumentError(
            f"reasoning_effort: wanted a template with that variable, found "
            f"{form.name}, which does not have it{switch}"
        )
    if not isinstance(arguments, Mapping):
        return given if arguments is None else arguments  # refused where it is used
    for name in given.keys() & arguments.keys():
        raise ArgumentError(
            f"reasoning_effort: wanted it once, found template_arguments[{name!r}] too"
        )
    return {**arguments, **given}
