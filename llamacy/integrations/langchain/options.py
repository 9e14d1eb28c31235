"""Arguments of a call through LangChain, as options of a call to llamacy."""

from __future__ import annotations

from typing import Any


def call_options(
    own: dict[str, Any], stop: list[str] | None, given: dict[str, Any]
) -> dict[str, Any]:
    """Return the options of one call.

    Parameters
    ----------
    own : dict
        The adapter's options.
    stop : list of str or None
        Strings that end the text, which replace the adapter's.
    given : dict
        Keyword arguments of the call, which override the adapter's options.
    """
    options = {**own, **given}
    options.pop("stream", None)  # LangChain's own, which it leaves in
    if stop is not None:
        options["stop"] = stop
    choice = options.pop("tool_choice", None)
    if choice in (True, "any"):  # LangChain's own words
        choice = "required"
    if choice:
        options["tool_choice"] = choice
    return options
