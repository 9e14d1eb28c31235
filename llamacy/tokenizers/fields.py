"""Typed access to GGUF metadata, in which any key may have any value."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from llamacy.errors import FormatError

_LOG = logging.getLogger("llamacy")
_FLOAT_MAX = 3.4028234663852886e38  # the largest float32


class Fields:
    """The metadata of one file, checked on access.

    Parameters
    ----------
    metadata : Mapping of str to Any
        Keys and values.
    path : str
        The file, for errors.
    """

    def __init__(self, metadata: Mapping[str, Any], path: str) -> None:
        self._metadata = metadata
        self.path = path

    def error(self, key: str, wanted: object, found: object) -> FormatError:
        """Return the error for an invalid value."""
        return FormatError(self.path, key, wanted, found)

    def keys_after(self, prefix: str) -> list[str]:
        """Return the keys that begin with a text."""
        return [key for key in self._metadata if key.startswith(prefix)]

    def text(self, key: str, default: str | None = None) -> str:
        """Return a string.

        Raises
        ------
        FormatError
            The value has another type, or is missing and has no default.
        """
        value = self._metadata.get(key, default)
        if not isinstance(value, str):
            raise self.error(key, "a string", _describe(value))
        return value

    def text_or_none(self, key: str) -> str | None:
        """Return a string; None if it is missing or something else."""
        value = self._metadata.get(key)
        return value if isinstance(value, str) else None

    def flag(self, key: str) -> bool | None:
        """Return a boolean; None if it is missing.

        Raises
        ------
        FormatError
            The value has another type.
        """
        value = self._metadata.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.error(key, "a boolean", _describe(value))
        return value

    def token_id(self, key: str, n_vocab: int) -> int | None:
        """Return a token id; None if it is missing.

        Files in circulation have ids beyond their vocabulary for tokens that they lack;
        these count as missing.

        Raises
        ------
        FormatError
            The value is not an integer.
        """
        value = self._metadata.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(key, "an integer", _describe(value))
        if not 0 <= value < n_vocab:
            _LOG.warning(
                "%s: %s: ignored: wanted an id below %d, found %d",
                self.path,
                key,
                n_vocab,
                value,
            )
            return None
        return value

    def strings(self, key: str) -> list[str]:
        """Return an array of strings.

        Raises
        ------
        FormatError
            The value is missing, or has another type.
        """
        values = self._array(key, "an array of strings")
        if values and set(map(type, values)) != {str}:
            raise self.error(key, "an array of strings", "elements of another type")
        return values

    def integers(self, key: str, count: int) -> list[int] | None:
        """Return an array of `count` integers; None if it is missing.

        Raises
        ------
        FormatError
            The value has another type or length.
        """
        if self._metadata.get(key) is None:
            return None
        values = self._array(key, f"an array of {count} integers", count)
        if set(map(type, values)) - {int}:
            raise self.error(key, "an array of integers", "elements of another type")
        return values

    def ids(self, key: str, n_vocab: int) -> list[int]:
        """Return an array of token ids; an empty one if it is missing.

        Raises
        ------
        FormatError
            The value has another type, or holds an id that is not in the vocabulary.
        """
        if self._metadata.get(key) is None:
            return []
        values = self._array(key, "an array of token ids")
        if set(map(type, values)) - {int}:
            raise self.error(key, "an array of token ids", "elements of another type")
        if values and not 0 <= min(values) <= max(values) < n_vocab:
            wanted = f"ids below {n_vocab}"
            raise self.error(key, wanted, f"{min(values)} to {max(values)}")
        return values

    def known_ids(self, key: str, n_vocab: int) -> frozenset[int]:
        """Return an array of token ids, without those that the vocabulary lacks.

        Raises
        ------
        FormatError
            The value has another type.
        """
        if self._metadata.get(key) is None:
            return frozenset()
        values = self._array(key, "an array of token ids")
        if set(map(type, values)) - {int}:
            raise self.error(key, "an array of token ids", "elements of another type")
        return frozenset(i for i in values if 0 <= i < n_vocab)

    def floats(self, key: str, count: int) -> list[float]:
        """Return an array of `count` numbers in the range of float32.

        Raises
        ------
        FormatError
            The value is missing, has another type or length, or a number out of range.
        """
        values = self._array(key, f"an array of {count} numbers", count)
        if set(map(type, values)) - {int, float}:
            raise self.error(key, "an array of numbers", "elements of another type")
        for i, value in enumerate(values):
            if not -_FLOAT_MAX <= value <= _FLOAT_MAX:
                raise self.error(f"{key}[{i}]", "a finite number", value)
        return values

    def octets(self, key: str) -> bytes:
        """Return an array of bytes, as int8 or uint8; an empty one if it is missing.

        Raises
        ------
        FormatError
            The value has another type.
        """
        if self._metadata.get(key) is None:
            return b""
        values = self._array(key, "an array of bytes")
        if set(map(type, values)) - {int}:
            raise self.error(key, "an array of bytes", "elements of another type")
        if values and not -128 <= min(values) <= max(values) < 256:
            found = f"{min(values)} to {max(values)}"
            raise self.error(key, "an array of bytes", found)
        return bytes(value & 0xFF for value in values)

    def _array(self, key: str, wanted: str, count: int | None = None) -> list[Any]:
        value: Any = self._metadata.get(key)
        if hasattr(value, "tolist"):  # a NumPy array
            value = value.tolist()
        if not isinstance(value, list | tuple):
            raise self.error(key, wanted, _describe(value))
        if count is not None and len(value) != count:
            raise self.error(key, wanted, f"{len(value)} elements")
        return list(value)


def _describe(value: object) -> str:
    """Describe a value briefly, since hostile ones may be long."""
    if value is None:
        return "nothing"
    shown = repr(value) if isinstance(value, bool | int | float) else ""
    return f"{type(value).__name__} {shown}".rstrip()
