"""The variables that a chat template expects to be given."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from llamacy.system.forks import importing


@lru_cache(maxsize=16)
def free_variables(source: str) -> frozenset[str] | None:
    """Return the names that a template reads before it sets them itself.

    Parameters
    ----------
    source : str
        The template, in Jinja's language.

    Returns
    -------
    frozenset of str or None
        None if the template is invalid; rendering it tells what is wrong.
    """
    with importing:
        from jinja2 import meta
        from jinja2.exceptions import TemplateError

        from llamacy.chat.environment import NOT_GIVEN, Environment

    environment = Environment()  # whose own names are not the caller's to give
    for name in NOT_GIVEN:
        del environment.globals[name]
    try:
        return frozenset(meta.find_undeclared_variables(environment.parse(source)))
    except (TemplateError, RecursionError):
        return None


def takes_tools(source: str) -> bool:
    """Return whether tools reach a template; one that is invalid fails later."""
    variables = free_variables(source)
    return variables is None or "tools" in variables or takes_functions(source)


def takes_functions(source: str) -> bool:
    """Return whether a template takes functions as JSON, as Firefunction's does."""
    return "functools[" in source and "functions" in (free_variables(source) or ())


def functions_of(tools: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the variables of a template that takes functions in place of tools.

    They are given as in the README of fireworks-ai/llama-3-firefunction-v2, but for the
    time of day, so that prompts of a day begin alike.
    """
    functions = [tool["function"] for tool in tools]
    return {
        "functions": json.dumps(functions, indent=4, ensure_ascii=False),
        "datetime": f"{datetime.now():%Y-%m-%d}",
    }
