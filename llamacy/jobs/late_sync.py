"""Contents of a file that are on the disk soon after they are written."""

from __future__ import annotations

import os
import threading
from typing import IO, Any, Final

_SECONDS: Final = 0.5  # a sync takes milliseconds, and there may be many writes


class LateSync:
    """Syncs a file half a second after it is asked to, in another thread.

    Parameters
    ----------
    file : file
        Open for writing, without a buffer.

    Attributes
    ----------
    failure : OSError or None
        The error of a sync that has failed.
    """

    def __init__(self, file: IO[Any]) -> None:
        self.failure: OSError | None = None
        self._file = file
        self._timer: threading.Timer | None = None
        self._is_due = False

    def start(self) -> None:
        """Have all that is written so far on the disk in half a second.

        Raises
        ------
        OSError
            The disk has failed meanwhile.
        """
        if self.failure is not None:
            raise self.failure
        if not self._is_due:
            self._is_due = True
            self._timer = threading.Timer(_SECONDS, self.sync)
            self._timer.daemon = True
            self._timer.start()

    def stop(self) -> None:
        """Sync no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()

    def sync(self) -> None:
        """Sync now; a failure is raised by the next `start`."""
        self._is_due = False  # first: what is written from now on needs another
        try:
            os.fsync(self._file.fileno())
        except ValueError:
            pass  # a sync that was slower than the next one, and than `close`
        except OSError as error:
            self.failure = error
