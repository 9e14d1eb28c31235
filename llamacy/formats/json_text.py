"""JSON from untrusted files: bounded in size, and checked as it is read.

A key whose value is null counts as missing, as in the programs that write such files.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.mapped_file import MappedFile
from llamacy.printable import shown

MAX_BYTES: Final = 1 << 27  # of a file; the largest seen has 35 MB
MAX_ITEMS: Final = 1 << 24  # of a text; each costs a Python object or two


def parse_json(
    text: bytes, path: str | os.PathLike[str], field: str, *, most: int = MAX_ITEMS
) -> Any:
    """Parse a JSON text in which no object has the same key twice.

    Parameters
    ----------
    text : bytes
        UTF-8.
    path : str or os.PathLike
        The file it comes from, for errors.
    field : str
        Its place in the file, for errors.
    most : int
        The largest accepted number of items in all objects and arrays together.

    Raises
    ------
    FormatError
        The text is not JSON, repeats a key, or has more than `most` items.
    """
    # An upper bound: every item begins after one of these, which strings may hold too.
    n_items = sum(map(text.count, (b",", b"[", b"{")))
    if n_items > most:
        raise FormatError(path, field, f"at most {most} items", n_items)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) != len(pairs):
            ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
            raise FormatError(path, f"{field}: {shown(twice)}", "a key once", "twice")
        return values

    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    except RecursionError:
        found = "too many arrays or objects nested in each other"
    except ValueError as error:
        if isinstance(error, FormatError):
            raise
        found = shown(error)
    raise FormatError(path, field, "JSON text", found)


def read_json(path: Path) -> JsonObject:
    """Read a file that holds one JSON object.

    Raises
    ------
    ModelFileError
        The file cannot be read.
    FormatError
        The file is too large, or holds anything but a JSON object.
    """
    values = _read(path)
    if not isinstance(values, dict):
        raise FormatError(path, "file", "a JSON object", _kind(values))
    return JsonObject(path, values)


def read_json_items(path: Path) -> Iterator[JsonObject]:
    """Yield the objects of a file that holds an array of them.

    Raises
    ------
    ModelFileError
        The file cannot be read.
    FormatError
        The file is too large, or holds anything but an array of objects.
    """
    items = _read(path)
    if not isinstance(items, list):
        raise FormatError(path, "file", "an array of JSON objects", _kind(items))
    yield from JsonObject(path, {"": items}).children("")


class JsonObject:
    """A JSON object of a file, whose values are checked on access.

    Parameters
    ----------
    path : Path
        The file, for errors.
    values : dict of str to Any
        Keys and values.
    field : str
        The object's place in the file, such as `"rope_scaling"`; `""` for the
        outermost object.
    """

    def __init__(self, path: Path, values: dict[str, Any], field: str = "") -> None:
        self.path = path
        self.values = values
        self._field = field

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def get(self, key: str) -> Any:
        """Return an unchecked value; None if it is missing."""
        return self.values.get(key)

    def integer(
        self, key: str, least: int, most: int, default: int | None = None
    ) -> int:
        """Return an integer in a range; without a default, the key is required."""
        found = self._get(key, default)
        if not isinstance(found, int) or isinstance(found, bool):
            self.fail(key, "a whole number", _quoted(found))
        if not least <= found <= most:
            self.fail(key, f"{least} to {most}", found)
        return found

    def real(
        self, key: str, least: float, most: float, default: float | None = None
    ) -> float:
        """Return a number in a range; without a default, the key is required."""
        found = self._get(key, default)
        if not isinstance(found, int | float) or isinstance(found, bool):
            self.fail(key, "a number", _quoted(found))
        if not least <= found <= most or math.isnan(found):
            self.fail(key, f"{least:g} to {most:g}", found)
        return float(found)

    def text(self, key: str, default: str | None = None) -> str:
        """Return a string; without a default, the key is required."""
        found = self._get(key, default)
        if not isinstance(found, str):
            self.fail(key, "a string", found)
        return found

    def flag(self, key: str, default: bool | None = None) -> bool:
        """Return a boolean; without a default, the key is required."""
        found = self._get(key, default)
        if not isinstance(found, bool):
            self.fail(key, "true or false", _quoted(found))
        return found

    def child(self, key: str) -> JsonObject | None:
        """Return an object; None if it is missing."""
        if key not in self:
            return None
        found = self.values[key]
        if not isinstance(found, dict):
            self.fail(key, "an object", found)
        return JsonObject(self.path, found, self._full(key))

    def items(self, key: str) -> list[Any]:
        """Return an array; an empty one if it is missing."""
        found = self._get(key, [])
        if not isinstance(found, list):
            self.fail(key, "an array", found)
        return found

    def children(self, key: str) -> Iterator[JsonObject]:
        """Yield the objects of an array; none if it is missing."""
        for i, found in enumerate(self.items(key)):
            field = f"{self._full(key)}[{i}]"
            if not isinstance(found, dict):
                raise FormatError(self.path, field, "an object", _kind(found))
            yield JsonObject(self.path, found, field)

    def fail(self, key: str, wanted: object, found: object) -> NoReturn:
        """Raise the error for an invalid value."""
        raise FormatError(self.path, self._full(key), wanted, _kind(found))

    def refuse(self, key: str, wanted: object, found: object) -> NoReturn:
        """Raise the error for a valid value that llamacy does not support."""
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


def _read(path: Path) -> Any:
    """Read a file's one value."""
    file = MappedFile(path)
    try:
        if file.size > MAX_BYTES:
            wanted = f"at most {MAX_BYTES} bytes"
            raise FormatError(path, "file", wanted, f"{file.size} bytes")
        return parse_json(file.data[:], path, "file")
    finally:
        file.close()


def _quoted(value: object) -> object:
    """Quote a string where a number was wanted: `"1"` must not look like `1`."""
    return f'"{value}"' if isinstance(value, str) else value


def _kind(value: object) -> str:
    """Return a value for an error message; of a large one, only its kind."""
    return "an object" if isinstance(value, dict) else shown(value)
