"""The circumstances that a session depends on besides its text."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Origin:
    """The circumstances that must be the same when a session is loaded.

    Attributes
    ----------
    model : str
        The model's fingerprint.
    kv_type : str
        Type of keys and values.
    page_tokens, page_bytes : int
        Size of a page.
    """

    model: str
    kv_type: str
    page_tokens: int
    page_bytes: int

    def with_adapters(self, adapters: str) -> Origin:
        """Return the origin of sessions of the model with adapters, by fingerprint."""
        return replace(self, model=f"{self.model}+{adapters}") if adapters else self

    def of_long_text(self) -> Origin:
        """Return the origin of sessions with keys rotated as in long texts."""
        return replace(self, model=f"{self.model}-long")
