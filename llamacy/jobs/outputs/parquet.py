"""Parquet: the input's columns, and those of the results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from llamacy.jobs.columns import COUNTS, ColumnTask
from llamacy.jobs.inputs import Input
from llamacy.jobs.inputs.cells import CellsInput
from llamacy.jobs.inputs.parquet import ParquetInput, values_of
from llamacy.jobs.ledger import Entry
from llamacy.jobs.ordering import windows
from llamacy.jobs.outputs import Answered, check_same
from llamacy.jobs.outputs.types import Columns, array_of
from llamacy.jobs.packages import pyarrow_parquet
from llamacy.jobs.rows import Row, check_of, known_fields
from llamacy.jobs.tasks import Result

_GROUP_BYTES: Final = 64 * 2**20  # of a row group, about
_GROUP_ROWS: Final = 2**16


def write_parquet(draft: str, answered: Answered) -> None:
    """Write a row for each that has a result."""
    import pyarrow

    source, task, entries = answered
    assert isinstance(task, ColumnTask)
    added = added_fields(task)
    if isinstance(source, ParquetInput):
        tables = _beside_batches(source, task, entries)
        own = list(source.schema)
    else:
        known = _schema(source, task)
        tables = _beside_rows(source, task, entries, known)
        own = list(known)
    schema = pyarrow.schema([*own, *added])
    with pyarrow_parquet().ParquetWriter(draft, schema) as writer:
        for group in _groups(tables):
            writer.write_table(pyarrow.Table.from_batches(group, schema))


def added_fields(task: ColumnTask) -> list[Any]:
    """Return the Arrow fields of a task's columns."""
    import pyarrow

    return [
        pyarrow.field(name, pyarrow.int64() if place in COUNTS else pyarrow.string())
        for place, name in enumerate(task.columns)
    ]


def added_arrays(task: ColumnTask, results: Sequence[Result]) -> list[Any]:
    """Return the Arrow arrays of results, a column each."""
    return [
        array_of([result[field.name] for result in results], field.type)
        for field in added_fields(task)
    ]


def _beside_batches(
    source: ParquetInput, task: ColumnTask, entries: Iterator[Entry]
) -> Iterator[Any]:
    """Yield the batches of a Parquet file, as they are, with results."""
    import pyarrow

    for batch in source.batches(source.schema.names):
        found = list(islice(entries, batch.num_rows))
        batch = batch.slice(0, len(found))
        values = values_of(batch.select(list(task.fields)))
        for entry, each in zip(found, values, strict=True):
            check_same(source, entry, check_of({n: each[n] for n in task.fields}))
        if not found:
            return
        results = added_arrays(task, [entry.result for entry in found])
        columns = [batch.column(name) for name in source.schema.names]
        fields = [*source.schema, *added_fields(task)]
        schema = pyarrow.schema(fields)
        yield pyarrow.RecordBatch.from_arrays([*columns, *results], schema=schema)


def _beside_rows(
    source: Input, task: ColumnTask, entries: Iterator[Entry], known: Any
) -> Iterator[Any]:
    """Yield batches of rows that were read one by one, with results."""
    import pyarrow

    schema = pyarrow.schema([*known, *added_fields(task)])
    for rows in windows(source.rows(task.fields, whole=True)):
        found = list(islice(entries, len(rows)))
        if not found:
            return
        answered = rows[: len(found)]
        for entry, row in zip(found, answered, strict=True):
            check_same(source, entry, row.check)
        objects = [_object(row, task) for row in answered]
        columns = [
            array_of([each.get(field.name) for each in objects], field.type)
            for field in known
        ]
        results = added_arrays(task, [entry.result for entry in found])
        yield pyarrow.RecordBatch.from_arrays([*columns, *results], schema=schema)


def _schema(source: Input, task: ColumnTask) -> Any:
    """Return the Arrow schema of an input that has none: JSON lines, or cells."""
    import pyarrow

    if isinstance(source, CellsInput):
        return pyarrow.schema([(name, pyarrow.string()) for name in source.columns()])
    columns = Columns()
    for rows in windows(source.rows(task.fields, whole=True)):
        columns.add([_object(row, task) for row in rows])
    return columns.schema()


def _object(row: Row, task: ColumnTask) -> dict[str, Any]:
    """Return a row's fields, but for those that its result has."""
    fields, taken = known_fields(row), task.columns
    return {name: fields[name] for name in fields if name not in taken}


def _groups(batches: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield batches that fill a row group each."""
    group: list[Any] = []
    n_rows = n_bytes = 0
    for batch in batches:
        group.append(batch)
        n_rows += batch.num_rows
        n_bytes += batch.nbytes
        if n_rows >= _GROUP_ROWS or n_bytes >= _GROUP_BYTES:
            yield group
            group, n_rows, n_bytes = [], 0, 0
    if group:
        yield group
