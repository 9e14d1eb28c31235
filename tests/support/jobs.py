"""Rows, tasks and files of jobs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from llamacy.jobs.answering import answers
from llamacy.jobs.rows import Content, Row
from llamacy.jobs.tasks import Result, Task
from llamacy.model.model import Model

CHAT = "/v1/chat/completions"

SUMS = [(12, 30), (3, 4), (40, 2), (7, 8), (1, 1), (20, 5), (6, 6), (9, 3)]


def rows_of(contents: Iterable[Content]) -> list[Row]:
    return [Row.of(index, content) for index, content in enumerate(contents)]


def results_of(
    model: Model, task: Task, rows: Sequence[Row], n_window: int = 512
) -> list[Result]:
    """Return the results of rows, in their order."""
    windows = [rows[i : i + n_window] for i in range(0, len(rows), n_window)]
    found = {row.index: result for row, result in answers(model, task, windows)}
    assert sorted(found) == sorted(row.index for row in rows)
    return [found[row.index] for row in rows]


def line_of(custom_id: Any, body: Any, url: Any = CHAT, **others: Any) -> bytes:
    """Return a line of a batch in OpenAI's form."""
    fields = {"custom_id": custom_id, "method": "POST", "url": url, "body": body}
    return json.dumps({**fields, **others}).encode()


def sum_body(a: int, b: int, **options: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"What is {a} + {b}?"}]
    return {"messages": messages, "temperature": 0, "max_tokens": 8, **options}


def write_sums(path: Path, sums: Sequence[tuple[int, int]] = SUMS) -> Path:
    lines = [json.dumps({"a": a, "b": b}) for a, b in sums]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
