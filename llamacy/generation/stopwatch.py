"""Where the time of one request goes."""

from __future__ import annotations

from time import perf_counter

from llamacy.results import Timings


class Stopwatch:
    """Runs from when it is made; told of passes and of the first token."""

    def __init__(self) -> None:
        self._created = perf_counter()
        self._seconds = {True: 0.0, False: 0.0}  # of passes that read, that generate
        self._n_passes = {True: 0, False: 0}
        self._first_token_at: float | None = None

    @property
    def has_token(self) -> bool:
        """Whether there was a token."""
        return self._first_token_at is not None

    def token(self) -> None:
        """Note that a token was chosen."""
        if self._first_token_at is None:
            self._first_token_at = perf_counter()

    def spend(self, reading: bool, seconds: float) -> None:
        """Note the time of a pass."""
        self._seconds[reading] += seconds
        self._n_passes[reading] += 1

    def timings(self, n_read: int) -> Timings:
        """Where the time went so far; `n_read`: tokens of prompts that were read."""
        first = self._first_token_at
        return Timings(
            n_prompt=n_read,
            prompt_seconds=self._seconds[True],
            n_generated=self._n_passes[False],
            generation_seconds=self._seconds[False],
            time_to_first_token=first - self._created if first else 0.0,
        )
