"""llguidance, imported when it is first needed."""

from __future__ import annotations

from typing import Any

from llamacy.errors import MissingPackageError

_WANTED = (1, 9)


def llguidance() -> Any:
    """Return the package.

    Raises
    ------
    MissingPackageError
        It is not installed, or is too old.
    """
    try:
        import llguidance as package
    except ImportError as error:
        raise MissingPackageError(
            "structured output needs the package llguidance: run `pip install "
            "'llguidance>=1.9'`, or install llamacy with its extra `structured`. It "
            "has wheels for Linux with glibc 2.31 or later, for macOS and for Windows; "
            "elsewhere pip compiles it with Rust"
        ) from error
    version = tuple(int(part) for part in package.__version__.split(".")[:2])
    if version < _WANTED:
        raise MissingPackageError(
            "structured output: wanted llguidance 1.9 or later, "
            f"found {package.__version__}"
        )
    return package
