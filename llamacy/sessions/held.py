"""The state of a session: a text, and the keys and values of its first tokens."""

from __future__ import annotations

from collections.abc import Iterable

from llamacy.generation.engine import Engine
from llamacy.generation.reading import NO_ADAPTERS, Reading
from llamacy.generation.request import AnyRequest
from llamacy.ops.state.sequence import SequenceState
from llamacy.sessions import file as session_file


class HeldText:
    """A text, and the sequence that holds its first tokens; belongs to one session.

    Attributes
    ----------
    ids : list of int
        Tokens of the text.
    sequence : SequenceState or None
        Keys and values of the first of them; None before any was read.
    reading : Reading
        The adapters with which they were read.
    """

    def __init__(
        self,
        ids: Iterable[int] = (),
        sequence: SequenceState | None = None,
        reading: Reading = NO_ADAPTERS,
    ) -> None:
        self.ids = list(ids)
        self.sequence = sequence
        self.reading = reading

    @classmethod
    def load(
        cls, path: session_file.Path, origin: session_file.Origin, engine: Engine
    ) -> HeldText:
        """Read a file that `save` wrote; errors are those of `session_file.load`."""
        reading = engine.worker.reading
        origin = origin.with_adapters(reading.adapters)
        sequence = engine.executor.new_sequence()
        try:
            ids = session_file.load(
                *(path, origin, engine.n_vocab, engine.n_ctx, sequence),
                has_long_texts=engine.executor.long_texts is not None,
            )
        except BaseException:
            sequence.close()
            raise
        return cls(ids, sequence, reading)

    def save(
        self, path: session_file.Path, origin: session_file.Origin, engine: Engine
    ) -> None:
        """Write a file; errors are those of `session_file.save`.

        It can be loaded with the adapters of now. Rows that were read with others are
        left out, to be read again, as they would be by the next call; so are those
        that an activated adapter was used for: another model may not have it.
        """
        adapters = engine.worker.reading.adapters
        sequence, n_most = self.sequence, 0
        if sequence is not None and self.reading.adapters == adapters:
            n_most = min(sequence.n_past, sequence.adapted_from)
        if sequence is None or n_most == 0:
            saved = engine.executor.new_sequence()
        else:
            saved = sequence.fork()
        try:
            if n_most < saved.n_past:
                saved.truncate(n_most)
            origin = origin.with_adapters(adapters)
            session_file.save(path, origin, self.ids, saved)
        finally:
            saved.close()

    def fork(self) -> HeldText:
        """Return a twin that shares the memory of the pages, copy-on-write."""
        twin = self.sequence.fork() if self.sequence is not None else None
        return HeldText(self.ids, twin, self.reading)

    def keep(self, ids: list[int]) -> None:
        """Make `ids` the text; they continue it, or are a beginning of it."""
        self.ids = ids
        self._hold_at_most(len(ids))

    def leave_last(self, ids: list[int]) -> None:
        """Hold at most all but the last of `ids`, so that a pass reads the last one.

        Only a token that is read gives logits for the token after it.
        """
        self._hold_at_most(len(ids) - 1)

    def follow(self, request: AnyRequest) -> None:
        """Take over the sequence and the text of a request that has ended."""
        self.sequence = request.context.sequence
        self.reading = request.context.reading
        self.keep(self.ids if request.left_nothing else request.ids_delivered)

    def close(self) -> None:
        """Free the memory."""
        if self.sequence is not None:
            self.sequence.close()

    def _hold_at_most(self, n_tokens: int) -> None:
        if self.sequence is not None and self.sequence.n_past > n_tokens:
            self.sequence.truncate(n_tokens)
