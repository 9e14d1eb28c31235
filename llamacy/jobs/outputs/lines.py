"""JSON lines of results; those of columns begin with the row as it is in the input."""

from __future__ import annotations

from llamacy.jobs.columns import ColumnTask
from llamacy.jobs.outputs import Answered, check_same
from llamacy.jobs.rows import Row, known_fields, to_json
from llamacy.jobs.tasks import Result


def write_lines(draft: str, answered: Answered) -> None:
    """Write a line for each row that has a result."""
    source, task, entries = answered
    rows = source.rows(task.fields, whole=True)
    with open(draft, "wb") as file:
        for entry, row in zip(entries, rows, strict=False):
            check_same(source, entry, row.check)
            if isinstance(task, ColumnTask):
                line = joined(row, entry.result)
            else:
                line = to_json(entry.result).encode("utf-8", "replace")
            file.write(line + b"\n")


def joined(row: Row, result: Result) -> bytes:
    """Return a line with a row's fields and its result.

    An object's own text is kept, with all digits of its numbers.
    """
    added = to_json(result).encode("utf-8", "replace")
    fields = known_fields(row)
    if not isinstance(row.content, bytes) or not result.keys().isdisjoint(fields):
        fields = {name: fields[name] for name in fields if name not in result}
        return to_json({**fields, **result}).encode("utf-8", "replace")
    if not fields:
        return added
    return row.content[:-1].rstrip() + b", " + added[1:]
