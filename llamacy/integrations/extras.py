"""The error of an adapter whose library is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needs(package: str, extra: str) -> Iterator[None]:
    """Turn a failed import of a library into an error that says how to install it.

    Parameters
    ----------
    package : str
        The library's module, such as `"langchain_core"`.
    extra : str
        The extra of llamacy that installs it.

    Raises
    ------
    ImportError
        The library is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        raise ImportError(
            f"no module named {package!r}, which this adapter is for: run "
            f"`pip install '.[{extra}]'` in a clone of llamacy",
            name=package,
        ) from error
