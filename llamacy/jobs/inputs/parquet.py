"""Parquet files, read with pyarrow a batch at a time.

Values keep their types: whole numbers beside nulls stay whole, and texts that look like
dates stay texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from llamacy.errors import FormatError
from llamacy.jobs.packages import pyarrow_parquet
from llamacy.jobs.rows import Row, check_of
from llamacy.jobs.storage import Stored
from llamacy.system.whole_files import file_errors

_MAX_BATCH: Final = 512  # rows
_BATCH_BYTES: Final = 8 * 2**20


class ParquetInput:
    """A Parquet file.

    Parameters
    ----------
    file : Stored
        The file.

    Attributes
    ----------
    file : Stored
        The file.
    size : int
        Its rows.
    schema : pyarrow.Schema
        Its columns.
    """

    def __init__(self, file: Stored) -> None:
        self.file = file
        with self._opened() as opened:
            self.size = opened.metadata.num_rows
            self.schema = opened.schema_arrow
        if len(set(self.schema.names)) < len(self.schema.names):
            wanted = "different names of columns"
            raise FormatError(self.file.path, "schema", wanted, self.schema.names)

    def columns(self) -> list[str]:
        """Return the names of its columns."""
        return list(self.schema.names)

    def rows(
        self, fields: tuple[str, ...] | None, *, whole: bool = False
    ) -> Iterator[Row]:
        """Yield its rows, of the columns that are wanted."""
        names = self.schema.names if fields is None or whole else fields
        first = 0
        for batch in self.batches(names):
            wanted = batch.schema.names if fields is None else fields
            for index, values in enumerate(values_of(batch), first):
                check = check_of({name: values[name] for name in wanted})
                yield Row(index, values, 1, check)
            first += batch.num_rows

    def batches(self, names: Sequence[str]) -> Iterator[Any]:
        """Yield record batches of some columns, in order."""
        with self._opened() as opened, _format_errors(self.file.path):
            n_rows = _rows_of_batch(opened.metadata)
            yield from opened.iter_batches(n_rows, columns=list(names))

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        parquet = pyarrow_parquet()
        path = self.file.path
        with file_errors(path), self.file.open() as data:
            with _format_errors(path):
                opened = parquet.ParquetFile(data)
            yield opened


def _rows_of_batch(metadata: Any) -> int:
    """Return the rows of a batch of some megabytes."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    n_bytes = sum(group.total_byte_size for group in groups)
    n_fit: int = _BATCH_BYTES * metadata.num_rows // max(1, n_bytes)
    return max(1, min(_MAX_BATCH, n_fit))


@contextmanager
def _format_errors(path: str) -> Iterator[None]:
    """Raise pyarrow's errors in a block as FormatError."""
    from pyarrow import ArrowException

    try:
        yield
    except (ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the disk
            raise
        message = " ".join(str(error).split())
        raise FormatError(path, "contents", "Parquet", message) from error


def values_of(batch: Any) -> list[dict[str, Any]]:
    """Return the rows of a record batch; times become texts."""
    import pyarrow

    columns = []
    for column in batch.columns:
        if pyarrow.types.is_temporal(column.type):
            column = _as_texts(column)
        columns.append(column)
    arrays = pyarrow.RecordBatch.from_arrays(columns, names=batch.schema.names)
    found: list[dict[str, Any]] = arrays.to_pylist()
    return found


def _as_texts(column: Any) -> Any:
    """Return the texts of times, which Python's own may be too coarse for."""
    import pyarrow

    try:
        return column.cast(pyarrow.string())
    except pyarrow.ArrowNotImplementedError:  # durations: their numbers
        return column.cast(pyarrow.int64())
