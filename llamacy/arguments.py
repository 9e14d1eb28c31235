"""Checks of arguments: each error names the argument, what was wanted and found.

Every public call checks its arguments before it reads a file or starts a thread, so
that a bad value costs nothing.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
import os
from collections.abc import Callable, Collection, Iterable
from numbers import Integral, Real
from typing import Any, Final, TypeGuard, TypeVar

from llamacy.errors import ArgumentError, UnknownOptionError
from llamacy.option_names import hint
from llamacy.printable import bounded

MAX_CTX: Final = 2**31 - 1
"""Most tokens of a context: positions are int32."""

_CallT = TypeVar("_CallT", bound=Callable[..., Any])
_ClassT = TypeVar("_ClassT", bound=type)


def checks_options(*groups: type) -> Callable[[_CallT], _CallT]:
    """Make a function refuse options it does not have, and say which was meant.

    Parameters
    ----------
    *groups : subclass of TypedDict
        Options that the function takes as ``**options``.

    Examples
    --------
    >>> @checks_options()
    ... def draw(width, *, colour="black"): ...
    >>> draw(3, color="red")
    Traceback (most recent call last):
    llamacy.errors.UnknownOptionError: color: unknown option; did you mean colour?
    """

    def decorate(function: _CallT) -> _CallT:
        code = function.__code__
        first, end = code.co_posonlyargcount, code.co_argcount + code.co_kwonlyargcount
        own = [name for name in code.co_varnames[first:end] if name != "self"]
        names = dict.fromkeys([*own, *(key for one in groups for key in _keys(one))])
        known = names.keys()

        @functools.wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            if not options.keys() <= known:
                raise unknown_options(options, known)
            return function(*args, **options)

        @functools.wraps(function)
        async def call_async(*args: Any, **options: Any) -> Any:
            if not options.keys() <= known:
                raise unknown_options(options, known)
            return await function(*args, **options)

        is_async = inspect.iscoroutinefunction(function)
        checked: Any = call_async if is_async else call
        if groups:
            checked.__signature__ = _spelt_out(function, groups)
        return checked  # type: ignore[no-any-return]

    return decorate


def checks_fields(cls: _ClassT) -> _ClassT:
    """Make a dataclass refuse fields it does not have, as `checks_options` does."""
    setattr(cls, "__init__", checks_options()(vars(cls)["__init__"]))  # noqa: B010
    return cls


def unknown_options(
    options: Iterable[str], known: Collection[str]
) -> UnknownOptionError:
    """Return the error that says what was meant by each option that is not known."""
    unknown = [name for name in options if name not in known]
    return UnknownOptionError(
        "\n".join(f"{name}: unknown option; {hint(name, known)}" for name in unknown)
    )


class _LeftOut:
    """The default of an option in a signature, shown as in stubs."""

    def __repr__(self) -> str:
        return "..."


def _spelt_out(
    function: Callable[..., Any], groups: Iterable[type]
) -> inspect.Signature:
    """Return a signature with each option of `groups` in place of ``**options``.

    `help`, notebooks and editors read it: Tab completes the options.
    """
    signature = inspect.signature(function)
    own = [one for one in signature.parameters.values() if one.kind != one.VAR_KEYWORD]
    options = [
        inspect.Parameter(
            key,
            inspect.Parameter.KEYWORD_ONLY,
            default=_LeftOut(),
            annotation=getattr(kind, "__forward_arg__", kind),
        )
        for group in groups
        for key, kind in group.__annotations__.items()
    ]
    return signature.replace(parameters=[*own, *options])


def _keys(options: type) -> Iterable[str]:
    """Return the keys of a TypedDict, its bases' too."""
    return options.__annotations__.keys()


def checked_integer(name: str, value: object, low: int, high: int | None = None) -> int:
    """Return the argument `name`'s `value` as int.

    Raises
    ------
    ArgumentError
        Not an integer, or out of range.
    """
    if isinstance(value, Integral) and not isinstance(value, bool):
        number = int(value)
        if low <= number and (high is None or number <= high):
            return number
    span = f"of at least {low}" if high is None else f"from {low} to {high}"
    raise ArgumentError(f"{name}: wanted an integer {span}, found {short(value)}")


def checked_number(
    name: str, value: object, low: float = 0.0, high: float | None = None
) -> float:
    """Return the argument `name`'s `value` as float.

    Raises
    ------
    ArgumentError
        Not a finite number, or out of range.
    """
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # of an int with hundreds of digits
            number = math.inf
        fits = low <= number and (high is None or number <= high)
        if fits and math.isfinite(number):
            return number
    span = f"of at least {low:g}" if high is None else f"from {low:g} to {high:g}"
    if low == -math.inf:
        span = ""
    wanted = f"a finite number {span}".rstrip()
    raise ArgumentError(f"{name}: wanted {wanted}, found {short(value)}")


def checked_flag(name: str, value: object) -> bool:
    """Return the argument `name`'s `value`, which is True or False.

    Raises
    ------
    ArgumentError
        It is something else.
    """
    if not isinstance(value, bool):
        raise ArgumentError(f"{name}: wanted True or False, found {short(value)}")
    return value


def checked_choice(name: str, value: object, choices: Collection[str]) -> str:
    """Return the argument `name`'s `value`, which is one of `choices`.

    Raises
    ------
    ArgumentError
        It is something else.
    """
    if isinstance(value, str):
        for choice in choices:
            if value == choice:
                return choice
    raise ArgumentError(
        f"{name}: wanted one of {', '.join(choices)}, found {short(value)}"
    )


def checked_path(name: str, value: object) -> str:
    """Return the argument `name`'s `value`, a path, as str.

    Raises
    ------
    ArgumentError
        It is not a path.
    """
    if not is_path(value):
        raise ArgumentError(f"{name}: wanted a path, found {short(value)}")
    return os.fspath(value)


def is_path(value: object) -> TypeGuard[str | os.PathLike[str]]:
    """Whether a value is a path in text; those of `os.scandir` may be in bytes."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    return isinstance(value, str)


def check_callback(name: str, value: object) -> None:
    """Check that the argument `name`'s `value` can be called, or is None.

    Raises
    ------
    ArgumentError
        It cannot be called.
    """
    if value is not None and not callable(value):
        raise ArgumentError(f"{name}: wanted a callable, found {short(value)}")


def checked_strings(name: str, value: object) -> tuple[str, ...]:
    """Return a string, or several, as a tuple; an empty one for None.

    Raises
    ------
    ArgumentError
        Not a string or strings, or an empty string.
    """
    if value is None:
        return ()
    texts: tuple[object, ...] = (value,)
    if isinstance(value, Collection) and not isinstance(value, str):
        with contextlib.suppress(TypeError, OverflowError):  # arrays without an axis
            texts = tuple(value)
    checked = []
    for text in texts:
        if not isinstance(text, str) or not text:
            raise ArgumentError(
                f"{name}: wanted non-empty strings, found {short(text)}"
            )
        checked.append(text)
    return tuple(checked)


def short(value: object) -> str:
    """Return the repr of a value, shortened for an error message."""
    text = bounded(repr, value)
    return text if len(text) <= 80 else f"{text[:77]}..."
