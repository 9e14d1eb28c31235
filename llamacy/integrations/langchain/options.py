"""Arguments of a call through LangChain, as options of a call to llamacy."""

from __future__ import annotations

from typing import Any

from llamacy import UnsupportedCallError

_UNFORCED = (None, "auto", "none")


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

    Raises
    ------
    UnsupportedCallError
        `tool_choice` asks for a call to be forced.
    """
    options = {**own, **given}
    options.pop("stream", None)  # LangChain's own, which it leaves in
    if stop is not None:
        options["stop"] = stop
    choice = options.pop("tool_choice", None)
    check_tool_choice(choice)
    if choice == "none":
        options.pop("tools", None)
    return options


def check_tool_choice(choice: object) -> None:
    """Check that a model may choose freely between its tools and a text.

    Raises
    ------
    UnsupportedCallError
        A call is to be forced.
    """
    if choice not in _UNFORCED:
        raise UnsupportedCallError(
            "tool_choice: wanted 'auto' or 'none', as llamacy cannot force a model to "
            f"call a tool, found {choice!r}"
        )
