"""How busy a model is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """How busy a model is.

    Attributes
    ----------
    n_active : int
        Requests that have a place in the passes. A stream that runs too far ahead of
        its reader does not count while it stands still.
    n_waiting : int
        Requests that wait for a place.
    n_pages_used : int
        Pages of the KV cache that hold running texts, sessions and past texts.
    n_pages_free : int
        Pages that were given back and can be taken again; when none is left, more
        memory is taken from the system.
    """

    n_active: int
    n_waiting: int
    n_pages_used: int
    n_pages_free: int
