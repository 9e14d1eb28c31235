"""The end of the process, which daemon threads should not notice.

Python ends a process while its daemon threads run: each stops wherever it is, without a
word. But the models are closed before, at a time when those threads still run, and an
error would end them with a traceback after the program's last line. So a daemon thread
that would see one waits instead, until the process is gone.
"""

from __future__ import annotations

import atexit
import threading

_has_begun = threading.Event()


def watch_exit() -> None:
    """Note from now on when the process begins to end.

    Functions that `atexit` was given before this call see that it has begun.
    """
    atexit.unregister(_has_begun.set)
    atexit.register(_has_begun.set)


def hold_daemon() -> None:
    """Never return, if the process is ending and this is a daemon thread."""
    if _has_begun.is_set() and threading.current_thread().daemon:
        threading.Event().wait()
