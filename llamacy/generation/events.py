"""What a request posts to the mailbox of the thread or task that waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from llamacy.results import Piece


@dataclass(frozen=True, slots=True)
class Progress:
    """Part of a prompt was read; the request knows how much."""


@dataclass(frozen=True, slots=True)
class Done:
    """The request is settled; it knows how it ended."""


Event: TypeAlias = "Piece | Progress | Done"
