"""How much of a prompt has been read, told in comments while nothing else is said."""

from __future__ import annotations


class ReadingProgress:
    """The share of one prompt that has been read: the `progress` of a stream."""

    def __init__(self) -> None:
        self._share = 0.0

    def __call__(self, share: float) -> None:
        """Note the share."""
        self._share = share

    def said(self) -> bytes:
        """Return a comment about it."""
        return comment(self._share)


def comment(share: float) -> bytes:
    """Return a comment about a share, which every reader of events ignores."""
    return f": {share:.0%} of the prompt has been read\n\n".encode()
