"""Packages of others that some jobs need."""

from __future__ import annotations

from typing import Any

from llamacy.errors import MissingPackageError


def pyarrow_parquet() -> Any:
    """Return pyarrow's module for Parquet.

    Raises
    ------
    MissingPackageError
        pyarrow is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        raise MissingPackageError(
            "no module named 'pyarrow', which Parquet files need: run "
            "`pip install '.[parquet]'` in a clone of llamacy"
        ) from None
    return pyarrow.parquet


def pyarrow_filesystems() -> Any:
    """Return pyarrow's module of file systems.

    Raises
    ------
    MissingPackageError
        pyarrow is not installed.
    """
    try:
        import pyarrow.fs
    except ImportError:
        raise MissingPackageError(
            "no module named 'pyarrow', which objects of S3 and Google Cloud Storage "
            "need: run `pip install '.[parquet]'` in a clone of llamacy"
        ) from None
    return pyarrow.fs


def ray_package() -> Any:
    """Return Ray.

    Raises
    ------
    MissingPackageError
        It is not installed.
    """
    try:
        import ray
    except ImportError:
        raise MissingPackageError(
            "no module named 'ray', which jobs on a cluster need: run "
            "`pip install '.[ray]'` in a clone of llamacy"
        ) from None
    return ray
