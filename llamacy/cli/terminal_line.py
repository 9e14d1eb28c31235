"""Reading a line at a terminal, so that no Ctrl-C is lost."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PAUSE = 0.02  # seconds for the main thread to handle a signal by itself
_NUDGE = getattr(signal, "SIGURG", None)  # one that nobody sends to a terminal


def read_terminal_line(prompt: str) -> str:
    """Show a prompt and return the user's line, as `input` does.

    A signal that comes after `input` has shown its prompt and before it waits for the
    keyboard is noted by Python, but handled only after the next key.

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C, at any moment.
    EOFError
        The input has ended.
    """
    if _NUDGE is None or threading.current_thread() is not threading.main_thread():
        return input(prompt)
    with _nudged_at_signals(_NUDGE):
        return input(prompt)


@contextmanager
def _nudged_at_signals(nudge: signal.Signals) -> Iterator[None]:
    """Interrupt the main thread's waiting again and again after each signal."""
    heard, noted = os.pipe()
    os.set_blocking(noted, False)
    is_done = threading.Event()
    thread = threading.Thread(target=_nudge, args=(heard, is_done, nudge), daemon=True)
    old_handler = signal.signal(nudge, lambda number, frame: None)
    old_fd = signal.set_wakeup_fd(noted, warn_on_full_buffer=False)
    try:
        thread.start()
        yield
    finally:
        is_done.set()
        signal.set_wakeup_fd(old_fd)
        os.close(noted)
        thread.join()
        signal.signal(nudge, old_handler)
        os.close(heard)


def _nudge(heard: int, is_done: threading.Event, nudge: signal.Signals) -> None:
    """Send signals to the main thread from the first one heard until it is done."""
    main = threading.main_thread().ident
    assert main is not None
    if os.read(heard, 1):
        while not is_done.wait(_PAUSE):
            signal.pthread_kill(main, nudge)
