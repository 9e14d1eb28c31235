"""Packages of others that some jobs need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from llamacy.errors import MissingPackageError


def pyarrow_parquet() -> Any:
    """Return pyarrow's module for Parquet.

    Raises
    ------
    MissingPackageError
        pyarrow is not installed.
    """
    return _imported("pyarrow.parquet", "Parquet files need", "parquet")


def pyarrow_filesystems() -> Any:
    """Return pyarrow's module of file systems.

    Raises
    ------
    MissingPackageError
        pyarrow is not installed.
    """
    needed = "objects of S3 and Google Cloud Storage need"
    return _imported("pyarrow.fs", needed, "parquet")


def ray_package() -> Any:
    """Return Ray.

    Raises
    ------
    MissingPackageError
        It is not installed.
    """
    return _imported("ray", "jobs on a cluster need", "ray")


def _imported(module: str, needed: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise MissingPackageError(
            f"no module named '{package}', which {needed}: run "
            f"`pip install '.[{extra}]'` in a clone of llamacy"
        ) from None
