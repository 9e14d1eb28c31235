"""The fields of a request: each is read, ignored by name, or refused."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from llamacy.arguments import checked_flag, short
from llamacy.errors import ArgumentError, UnknownOptionError
from llamacy.option_names import hint

_NAMED: Final = re.compile(r"([A-Za-z_]\w*(?:\.\w+|\[[^\]]{1,80}\])*): ")
_KEY: Final = re.compile(r"\['(\w+)'\]")


class Recording(Mapping[str, Any]):
    """A JSON object that notes which of its fields are asked for, and how.

    Parameters
    ----------
    values : mapping
        The object.

    Attributes
    ----------
    fields : dict
        For each field its JSON type, empty if any was asked for; or the recording of
        an object within.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self.fields: dict[str, str | Recording] = {}

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def within(self, name: str) -> Recording:
        """Return the recording of an object within."""
        inner = Recording(self._values.get(name) or {})
        self.fields[name] = inner
        return inner


class Fields:
    """The fields of a JSON object, by name; null is a field that was left out.

    Parameters
    ----------
    values : object
        The object.
    name : str, optional
        The field that it stands in; empty for a whole request.

    Raises
    ------
    ArgumentError
        `values` is not a JSON object.

    Examples
    --------
    >>> fields = Fields({"temperature": 0, "stop": None, "temprature": 1})
    >>> fields.take("temperature"), fields.take("stop")
    (0, None)
    >>> fields.finish()
    Traceback (most recent call last):
    llamacy.errors.UnknownOptionError: temprature: unknown option; did you mean \
temperature?
    """

    def __init__(self, values: object, name: str = "") -> None:
        if not isinstance(values, Mapping):
            place = f"{name}: " if name else ""
            raise ArgumentError(f"{place}wanted a JSON object, found {short(values)}")
        self._values: Mapping[str, Any] = values
        self._name = name
        self._known: dict[str, None] = {}

    def take(self, name: str, default: Any = None, kind: str = "") -> Any:
        """Return a field's value; `default` if it was left out.

        Parameters
        ----------
        name : str
            The field's name.
        default : object, optional
            The value of a field that was left out.
        kind : str
            Its type in JSON, for the description of requests; not checked.
        """
        self._known[name] = None
        if isinstance(self._values, Recording):
            self._values.fields.setdefault(name, kind)
        value = self._values.get(name)
        return default if value is None else value

    def flag(self, name: str, default: bool) -> bool:
        """Return the value of a field that is true or false.

        Raises
        ------
        ArgumentError
            It is something else.
        """
        return checked_flag(self.path(name), self.take(name, default, "boolean"))

    def text(self, name: str) -> str | None:
        """Return the value of a field that is a string; None if it was left out.

        Raises
        ------
        ArgumentError
            It is something else.
        """
        value = self.take(name, kind="string")
        if value is not None and not isinstance(value, str):
            raise ArgumentError(
                f"{self.path(name)}: wanted a string, found {short(value)}"
            )
        return value

    def items(self, name: str) -> list[Any]:
        """Return the value of a field that is a list; no items if it was left out.

        Raises
        ------
        ArgumentError
            It is something else.
        """
        value = self.take(name, [], "array")
        if not isinstance(value, list):
            raise ArgumentError(
                f"{self.path(name)}: wanted a list, found {short(value)}"
            )
        return value

    def path(self, name: str) -> str:
        """Return a field's name as errors call it."""
        return f"{self._name}.{name}" if self._name else name

    def inner(self, name: str) -> Fields:
        """Return the fields of an object within; no fields if it was left out."""
        value = self.take(name, {})
        if isinstance(self._values, Recording):
            value = self._values.within(name)
        return Fields(value, self.path(name))

    def ignore(self, names: Collection[str]) -> None:
        """Accept fields that change nothing here."""
        for name in names:
            self.take(name)

    def refuse(self, name: str, reason: str, allowed: Collection[Any] = ()) -> None:
        """Refuse a field, unless its value is one of `allowed`, which change nothing.

        Raises
        ------
        ArgumentError
            The field has another value; the message gives the reason.
        """
        self._known[name] = None
        value = self._values.get(name)
        if value is not None and value not in allowed:
            raise ArgumentError(f"{self.path(name)}: {reason}, found {short(value)}")

    def finish(self) -> None:
        """Check that all fields were taken, ignored or refused.

        Raises
        ------
        UnknownOptionError
            One was not; the message says which field was probably meant.
        """
        for name, value in self._values.items():
            if name not in self._known and value is not None:
                advice = hint(name, self._known)
                if advice.startswith("wanted one of"):
                    advice = "leave it out"
                raise UnknownOptionError(
                    f"{self.path(short_name(name))}: unknown option; {advice}"
                )


def short_name(name: str) -> str:
    """Return a field's name, shortened for an error message."""
    return name if len(name) <= 80 else f"{name[:77]}..."


def field_at_fault(message: str) -> str | None:
    """Return the field that an error's message names first; None if it names none.

    Examples
    --------
    >>> field_at_fault("top_p: wanted a finite number from 0 to 1, found 2")
    'top_p'
    >>> field_at_fault("messages[3]['content']: wanted a string, found 3")
    'messages[3].content'
    """
    found = _NAMED.match(message)
    return _KEY.sub(r".\1", found[1]) if found else None
