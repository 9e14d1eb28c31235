"""Where the time of one request goes."""

from __future__ import annotations

from time import perf_counter

from llamacy.results import Timings


class Stopwatch:
    """Runs from when it is made; told of the submission, of passes and of tokens.

    Attributes
    ----------
    waited_seconds : float
        From the submission to the first pass; 0.0 before that.
    """

    def __init__(self) -> None:
        self._created = self._submitted = perf_counter()
        self._first_token_at: float | None = None
        self._n_chosen = 0
        self._n_generated = 0  # tokens chosen by passes that grow the text
        self._prefill = _Spent()
        self._decode = _Spent()
        self.waited_seconds = 0.0

    @property
    def n_passes(self) -> int:
        """Passes so far."""
        return self._prefill.n_passes + self._decode.n_passes

    def submit(self, since: float | None = None) -> None:
        """Note that waiting begins, or has begun, in seconds of `perf_counter`."""
        self._submitted = perf_counter() if since is None else since

    def choose(self, n_chosen: int, *, is_decode: bool) -> None:
        """Note how many tokens were chosen in all, after a pass's choice."""
        n_new = n_chosen - self._n_chosen
        self._n_chosen = n_chosen
        if n_new and self._first_token_at is None:
            self._first_token_at = perf_counter()
        if is_decode:
            self._n_generated += n_new

    def spend(self, started: float, ended: float, *, is_decode: bool) -> None:
        """Note a pass from `started` to `ended`, in seconds of `perf_counter`."""
        if not self.n_passes:
            self.waited_seconds = started - self._submitted
        (self._decode if is_decode else self._prefill).add(ended - started)

    def timings(self, n_read: int) -> Timings:
        """Return where the time went so far; `n_read` tokens of prompts were read."""
        first = self._first_token_at
        return Timings(
            n_prompt=n_read,
            prompt_seconds=self._prefill.seconds,
            n_generated=self._n_generated,
            generation_seconds=self._decode.seconds,
            time_to_first_token=first - self._created if first else 0.0,
            waited_seconds=self.waited_seconds,
            n_prompt_passes=self._prefill.n_passes,
            n_generation_passes=self._decode.n_passes,
        )


class _Spent:
    """Passes of one kind, and their time."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.n_passes = 0

    def add(self, seconds: float) -> None:
        self.seconds += seconds
        self.n_passes += 1
