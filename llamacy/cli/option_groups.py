"""Options that belong together as one argument of a command: a dataclass."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from inspect import Parameter
from typing import Any, get_type_hints

Command = Callable[..., None]


def takes_groups(command: Command) -> Command:
    """Let a command take the fields of its dataclass arguments one by one.

    Parameters
    ----------
    command : some of its arguments are annotated with a dataclass, whose fields are
        annotated as options of Typer's.

    Returns
    -------
    A function that has those fields as keyword arguments instead.
    """
    groups: dict[str, tuple[type, list[str]]] = {}
    parameters = []
    hints = get_type_hints(command, include_extras=True)
    for name, parameter in inspect.signature(command).parameters.items():
        if not is_dataclass(hints[name]):
            parameters.append(parameter.replace(annotation=hints[name]))
            continue
        kind = hints[name]
        fields = get_type_hints(kind, include_extras=True)
        for own in inspect.signature(kind).parameters.values():
            parameters.append(own.replace(annotation=fields[own.name]))
        groups[name] = kind, list(fields)

    @functools.wraps(command)
    def ungrouped(**given: Any) -> None:
        for name, (kind, fields) in groups.items():
            given[name] = kind(**{field: given.pop(field) for field in fields})
        command(**given)

    keywords = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in parameters]
    setattr(ungrouped, "__signature__", inspect.Signature(keywords))  # noqa: B010
    ungrouped.__annotations__ = {each.name: each.annotation for each in keywords}
    return ungrouped
