"""JSON out of files that anyone may have written: bounded, and checked as it is read.

A key that is null counts as missing, as it does for the programs that write such files.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

from llamacy.errors import FormatError, UnsupportedError, shown
from llamacy.formats.mapped_file import MappedFile

MAX_BYTES: Final = 1 << 27  # of a file; 35 MB is the most seen
MAX_ITEMS: Final = 1 << 24  # in a text; each costs a Python object or two


def parse_json(
    text: bytes, path: str | os.PathLike[str], field: str, *, most: int = MAX_ITEMS
) -> Any:
    """Parse a JSON text, in which no object has a key twice.

    Parameters
    ----------
    text : UTF-8.
    path, field : where it comes from, for errors.
    most : items of all its objects and arrays.

    Raises
    ------
    FormatError : it is no JSON, or more of it than can be meant.
    """
    # each item ends with one of these; those within strings only count too many
    n_items = sum(map(text.count, (b",", b"[", b"{")))
    if n_items > most:
        raise FormatError(path, field, f"at most {most} items", n_items)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
            raise FormatError(path, f"{field}: {shown(twice)}", "a key once", "twice")
        return made

    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    except RecursionError:
        found = "arrays in arrays without end"
    except ValueError as error:
        if isinstance(error, FormatError):
            raise
        found = shown(error)
    raise FormatError(path, field, "JSON text", found)


def read_json(path: Path) -> JsonObject:
    """Read a file that holds one JSON object.

    Raises
    ------
    ModelFileError : it cannot be read.
    FormatError : it holds something else.
    """
    file = MappedFile(path)
    try:
        if file.size > MAX_BYTES:
            wanted = f"at most {MAX_BYTES} bytes"
            raise FormatError(path, "file", wanted, f"{file.size} bytes")
        values = parse_json(file.data[:], path, "file")
    finally:
        file.close()
    if not isinstance(values, dict):
        raise FormatError(path, "file", "a JSON object", _kind(values))
    return JsonObject(path, values)


class JsonObject:
    """An object of a file, whose values are checked when they are asked for.

    Parameters
    ----------
    path : the file.
    values : its keys and values.
    field : what it is in the file, ``"rope_scaling"``; ``""`` for the whole.
    """

    def __init__(self, path: Path, values: dict[str, Any], field: str = "") -> None:
        self.path = path
        self.values = values
        self._field = field

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def get(self, key: str) -> Any:
        """Return a value as it is, None if it is missing."""
        return self.values.get(key)

    def integer(
        self, key: str, least: int, most: int, default: int | None = None
    ) -> int:
        """Read a whole number in a range; it must be there if there is no default."""
        found = self._get(key, default)
        if not isinstance(found, int) or isinstance(found, bool):
            self.fail(key, "a whole number", _quoted(found))
        if not least <= found <= most:
            self.fail(key, f"{least} to {most}", found)
        return found

    def real(
        self, key: str, least: float, most: float, default: float | None = None
    ) -> float:
        """Read a number in a range, as a float32 can hold it."""
        found = self._get(key, default)
        if not isinstance(found, int | float) or isinstance(found, bool):
            self.fail(key, "a number", _quoted(found))
        if not least <= found <= most or math.isnan(found):
            self.fail(key, f"{least:g} to {most:g}", found)
        return float(found)

    def text(self, key: str, default: str | None = None) -> str:
        """Read a string."""
        found = self._get(key, default)
        if not isinstance(found, str):
            self.fail(key, "a string", found)
        return found

    def flag(self, key: str, default: bool | None = None) -> bool:
        """Read true or false."""
        found = self._get(key, default)
        if not isinstance(found, bool):
            self.fail(key, "true or false", _quoted(found))
        return found

    def child(self, key: str) -> JsonObject | None:
        """Read an object, None if it is missing."""
        if key not in self:
            return None
        found = self.values[key]
        if not isinstance(found, dict):
            self.fail(key, "an object", found)
        return JsonObject(self.path, found, self._full(key))

    def items(self, key: str) -> list[Any]:
        """Read an array, an empty one if it is missing."""
        found = self._get(key, [])
        if not isinstance(found, list):
            self.fail(key, "an array", found)
        return found

    def children(self, key: str) -> Iterator[JsonObject]:
        """Read an array of objects, an empty one if it is missing."""
        for i, found in enumerate(self.items(key)):
            field = f"{self._full(key)}[{i}]"
            if not isinstance(found, dict):
                raise FormatError(self.path, field, "an object", _kind(found))
            yield JsonObject(self.path, found, field)

    def fail(self, key: str, wanted: object, found: object) -> NoReturn:
        """Raise the error for a value that is wrong."""
        raise FormatError(self.path, self._full(key), wanted, _kind(found))

    def refuse(self, key: str, wanted: object, found: object) -> NoReturn:
        """Raise the error for a value that llamacy cannot make use of."""
        raise UnsupportedError(self.path, self._full(key), wanted, _kind(found))

    def _get(self, key: str, default: object) -> object:
        found = self.values.get(key)
        if found is None:
            found = default
        if found is None:
            self.fail(key, "a value", "no such key")
        return found

    def _full(self, key: str) -> str:
        return f"{self._field}.{key}" if self._field else key


def _quoted(value: object) -> object:
    """Show that a string is one, where a number was wanted: it may look like it."""
    return f'"{value}"' if isinstance(value, str) else value


def _kind(value: object) -> str:
    """Show a value, of one that may be large only what it is."""
    return "an object" if isinstance(value, dict) else shown(value)
