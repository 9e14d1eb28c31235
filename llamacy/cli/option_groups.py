"""Grouping related options of a command into one argument, a dataclass."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from inspect import Parameter
from typing import Any, get_type_hints

Command = Callable[..., None]


def takes_groups(command: Command) -> Command:
    """Show Typer the fields of a command's dataclass parameters as single options.

    Parameters
    ----------
    command : callable
        A function with parameters annotated by dataclasses, whose fields are annotated
        as Typer's options.

    Returns
    -------
    callable
        A function with those fields as keyword parameters.
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
    def ungrouped(**arguments: Any) -> None:
        for name, (kind, fields) in groups.items():
            values = {field: arguments.pop(field) for field in fields}
            arguments[name] = kind(**values)
        command(**arguments)

    keywords = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in parameters]
    setattr(ungrouped, "__signature__", inspect.Signature(keywords))  # noqa: B010
    ungrouped.__annotations__ = {each.name: each.annotation for each in keywords}
    return ungrouped
