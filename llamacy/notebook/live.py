"""A stream in IPython: its text appears while it is generated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from llamacy.notebook.page import clean

_SECONDS = 0.05
"""Between two updates of a cell: each sends the whole text, and is drawn anew."""


class Shown(Protocol):
    """A `llamacy` stream, as far as it is shown."""

    def __iter__(self) -> Iterator[Any]: ...
    @property
    def completion(self) -> Any: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


def show(stream: Shown, html: Callable[..., str]) -> None:
    """Show a stream, in a notebook's cell or in a terminal, until it ends.

    An interrupt ends the generation. The text so far stays visible, and is the stream's
    `completion`; the stream is `_`, although its cell has failed.

    Parameters
    ----------
    stream : Stream
        The stream; one that has ended shows its text.
    html : callable
        Makes HTML of its `completion` and of a state, a str or None.
    """
    from IPython import get_ipython

    shell: Any = get_ipython()  # type: ignore[no-untyped-call,unused-ignore]
    try:
        if getattr(shell, "kernel", None) is None:
            _print(stream)
        else:
            _update(stream, html)
    except KeyboardInterrupt:
        stream.close()
        if shell is not None:
            shell.displayhook.update_user_ns(stream)
        raise


def _update(stream: Shown, html: Callable[..., str]) -> None:
    """Show a stream in a cell of a notebook, as HTML that is replaced."""
    from IPython.display import display

    handle: Any = None
    shown = 0.0

    def draw(state: str | None) -> None:
        nonlocal handle, shown
        completion = stream.completion
        forms = {"text/html": html(completion, state), "text/plain": completion.text}
        if handle is None:
            handle = display(forms, raw=True, display_id=True)
        else:
            handle.update(forms, raw=True)
        shown = time.monotonic()

    draw("reading the prompt")
    try:
        for _ in stream:
            if time.monotonic() - shown >= _SECONDS:
                draw("generating")
    finally:
        draw(None)


def _print(stream: Shown) -> None:
    """Print a stream's text in a terminal, with what was taken from it before."""
    print(clean(stream.completion.text), end="", flush=True)
    try:
        for piece in stream:
            print(clean(piece.text), end="", flush=True)
    finally:
        print(flush=True)
