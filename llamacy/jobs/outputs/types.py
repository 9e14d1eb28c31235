"""The types that columns of JSON get in Parquet.

A column has the type that holds all of its values as they are: whole numbers beside
nulls stay whole, and texts are texts, whatever they look like. A column of values that
no type of Arrow holds together, such as numbers beside texts, becomes one of texts,
with JSON in the place of what is no text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from llamacy.jobs.rows import to_json

_MAX_EXACT: Final = 2**53  # of whole numbers in a float64


class Columns:
    """The columns of JSON objects, which are added some at a time."""

    def __init__(self) -> None:
        self._types: dict[str, Any] = {}
        self._large: set[str] = set()  # columns with numbers beyond a float's digits

    def add(self, objects: Sequence[Mapping[str, Any]]) -> None:
        """Take objects into account."""
        for name in dict.fromkeys(name for each in objects for name in each):
            values = [each.get(name) for each in objects]
            self._add(name, values)

    def schema(self) -> Any:
        """Return the Arrow schema of all objects so far."""
        import pyarrow

        return pyarrow.schema([*self._types.items()])

    def _add(self, name: str, values: Sequence[Any]) -> None:
        import pyarrow

        before = self._types.get(name, pyarrow.null())
        if pyarrow.types.is_string(before):
            return  # holds all
        try:
            own = pyarrow.array(values).type
        except (pyarrow.ArrowException, OverflowError):
            own = pyarrow.string()
        if any(_is_large(value) for value in values):
            self._large.add(name)
        joined = _joined(before, own)
        if pyarrow.types.is_floating(joined) and name in self._large:
            joined = pyarrow.string()
        self._types[name] = joined


def array_of(values: Iterable[Any], kind: Any) -> Any:
    """Return values as an Arrow array of a type of `Columns`."""
    import pyarrow

    if pyarrow.types.is_string(kind):
        values = [
            value if value is None or isinstance(value, str) else to_json(value)
            for value in values
        ]
        values = [value and _sound(value) for value in values]
    return pyarrow.array(values, kind)


def _joined(one: Any, other: Any) -> Any:
    """Return the type that holds values of two types; texts if there is no other."""
    import pyarrow

    if one == other or pyarrow.types.is_null(other):
        return one
    if pyarrow.types.is_null(one):
        return other
    schemas = [pyarrow.schema([("x", kind)]) for kind in (one, other)]
    try:
        both = pyarrow.unify_schemas(schemas, promote_options="permissive")
    except pyarrow.ArrowException:
        return pyarrow.string()
    return both.field("x").type


def _is_large(value: object) -> bool:
    return isinstance(value, int) and abs(value) > _MAX_EXACT


def _sound(text: str) -> str:
    """Return a text without halves of surrogates, which Arrow refuses."""
    return text.encode("utf-8", "replace").decode("utf-8")
