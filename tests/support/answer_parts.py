"""The parts of an answer without those that tell of calls early."""

from __future__ import annotations

from collections.abc import Iterable

from llamacy.chat.reply.parts import ArgumentText, CallBegun, CallsEnd, Part


def complete(parts: Iterable[Part]) -> list[Part]:
    """Return the parts that are complete."""
    early = (CallBegun, ArgumentText, CallsEnd)
    return [part for part in parts if not isinstance(part, early)]
