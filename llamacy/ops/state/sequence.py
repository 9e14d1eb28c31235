"""One text's state between forward passes, as executors and their callers see it.

A sequence grows with its text, forks with it, and goes back with it as far as it can.
Each executor has a class of its own: `llamacy.ops.state.paged_sequence` is the plan's.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Final, Protocol, TypeAlias, runtime_checkable

NEVER: Final = 2**31 - 1
"""`SequenceState.adapted_from` of a text that no adapter acts on the end of alone."""

ReadPart: TypeAlias = Callable[[str, int], bytes | memoryview]
"""Reads one part of a saved sequence: its bytes, by its name and size."""


class SequenceState(Protocol):
    """The state that layers keep of one text between forward passes.

    Attributes
    ----------
    n_long : int
        0 if it is of a short text; of a long one, the length that its rotations are
        for, 1 in models that rotate all long texts alike: see
        `llamacy.ops.rope.long_texts`. Changed only while it is empty.
    adapted_from : int
        The position from which on rows are computed with an adapter that acts on a
        text's end alone: see `llamacy.ops.activation`. `NEVER` in all other texts.
    """

    n_long: int
    adapted_from: int

    @property
    def n_past(self) -> int:
        """Tokens read; the next row of this sequence has this position."""

    @property
    def memory(self) -> Mapping[Hashable, int]:
        """Bytes of the pieces of memory that hold them; forks have some in common."""

    def fork(self) -> SequenceState:
        """Return a sequence that begins with the same tokens, copied on write."""

    def mark(self, lengths: Iterable[int]) -> None:
        """Let it be possible to go back to these lengths: that of now, or later ones.

        A sequence whose state cannot be cut keeps snapshots of it there, and lets the
        oldest go when there are too many.
        """

    def try_rows(self, n_rows: int) -> None:
        """Let the next pass, of that many rows, be taken back to any of them.

        That holds until the pass after it.
        """

    def thin(self) -> bool:
        """Let the oldest snapshot go, if it is not the last; whether there was one."""

    def can_go_back(self, n: int) -> bool:
        """Whether everything is there that a token after the first `n` reads."""

    def nearest(self, n: int) -> int:
        """Return the most tokens, up to `n`, that it can go back to; 0 if to none."""

    def truncate(self, n: int) -> None:
        """Forget all but the first `n` tokens, or what is `nearest` to them."""

    def close(self) -> None:
        """Give the memory back; may be called again."""


@runtime_checkable
class SavableSequence(SequenceState, Protocol):
    """A sequence that can be written to a file, part by part, and read back."""

    @property
    def page_type(self) -> str | None:
        """Type of the numbers in its pages; None if nobody has said."""

    @property
    def readable_page_types(self) -> frozenset[str]:
        """Types of pages that `restore` takes; none if nobody has said."""

    @property
    def n_gone(self) -> int:
        """Pages at the beginning that were given back, and are not among the parts."""

    @property
    def snapshots(self) -> tuple[int, ...]:
        """The lengths of the text of which there are snapshots of its state."""

    @property
    def most_snapshots(self) -> int:
        """The most of them that it keeps."""

    def most_gone(self, n_tokens: int) -> int:
        """Count the pages that a sequence of `n_tokens` can do without."""

    def parts(self) -> Iterator[tuple[str, memoryview]]:
        """Yield the name and the bytes of each part of its state."""

    def restore(
        self,
        n_tokens: int,
        n_gone: int,
        read: ReadPart,
        snapshots: tuple[int, ...] = (),
        page_type: str | None = None,
    ) -> None:
        """Hold `n_tokens` of a sequence that was saved; it was empty.

        Parameters
        ----------
        n_tokens : int
            Tokens of the saved sequence.
        n_gone : int
            Its `n_gone`, at most `most_gone(n_tokens)`.
        read : callable
            Returns the bytes of a part, of (its name, its size).
        snapshots : tuple of int
            Its `snapshots`, of rising lengths from 1 to `n_tokens`.
        page_type : str, optional
            Its `page_type`, one of `readable_page_types`; None for the same.
        """
