"""The variables that a chat template expects to be given."""

from __future__ import annotations

from functools import lru_cache


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
    return variables is None or "tools" in variables
