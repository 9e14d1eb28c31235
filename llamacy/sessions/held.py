"""What a session holds: a text, and the keys and values of its first tokens."""

from __future__ import annotations

from collections.abc import Iterable

from llamacy.generation.engine import Engine
from llamacy.generation.request import Request
from llamacy.ops.state.sequence import SequenceState
from llamacy.sessions import file as session_file


class HeldText:
    """A text, and the sequence that holds its first tokens; belongs to one session.

    Attributes
    ----------
    ids : tokens of the text.
    sequence : what holds the first of them; None where nothing was read yet.
    adapters : with which they were read.
    """

    def __init__(
        self,
        ids: Iterable[int] = (),
        sequence: SequenceState | None = None,
        adapters: str = "",
    ) -> None:
        self.ids = list(ids)
        self.sequence = sequence
        self.adapters = adapters

    @classmethod
    def load(
        cls, path: session_file.Path, origin: session_file.Origin, engine: Engine
    ) -> HeldText:
        """Read what `save` wrote; errors are those of :func:`session_file.load`."""
        adapters = engine.worker.adapters
        origin = origin.with_adapters(adapters)
        sequence = engine.executor.new_sequence()
        try:
            ids = session_file.load(
                path, origin, engine.n_vocab, engine.n_ctx, sequence
            )
        except BaseException:
            sequence.close()
            raise
        return cls(ids, sequence, adapters)

    def save(
        self, path: session_file.Path, origin: session_file.Origin, engine: Engine
    ) -> None:
        """Write it; errors are those of :func:`session_file.save`."""
        sequence = self.sequence or engine.executor.new_sequence()
        origin = origin.with_adapters(self.adapters)
        session_file.save(path, origin, self.ids, sequence)

    def fork(self) -> HeldText:
        """Return another one that shares the memory."""
        twin = self.sequence.fork() if self.sequence is not None else None
        return HeldText(self.ids, twin, self.adapters)

    def keep(self, ids: list[int]) -> None:
        """Make `ids` the text: the one of before, longer or shorter."""
        self.ids = ids
        self._hold_at_most(len(ids))

    def leave_last(self, ids: list[int]) -> None:
        """Hold so little of `ids`, the text and more, that a pass reads the last.

        For the logits of what follows it.
        """
        self._hold_at_most(len(ids) - 1)

    def follow(self, request: Request) -> None:
        """Take over what a request has led to."""
        self.sequence = request.sequence
        self.adapters = request.adapters
        self.keep(self.ids if request.is_void else request.ids_taken())

    def close(self) -> None:
        """Give the memory back."""
        if self.sequence is not None:
            self.sequence.close()

    def _hold_at_most(self, n_tokens: int) -> None:
        if self.sequence is not None and self.sequence.n_past > n_tokens:
            self.sequence.truncate(n_tokens)
