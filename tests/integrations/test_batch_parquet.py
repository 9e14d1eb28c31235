"""Batches read and write Parquet, and values stay what they were."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.jobs import run
from llamacy.model.model import Model
from tests.support.levels import rows_alone

pytestmark = pytest.mark.integrations
pyarrow: Any = pytest.importorskip("pyarrow", reason="pyarrow is absent")
parquet: Any = pytest.importorskip("pyarrow.parquet", reason="pyarrow is absent")

LARGE = 2**53 + 1
OPTIONS: dict[str, Any] = {"raw": True, "temperature": 1.2, "max_tokens": 3}


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with rows_alone(), llamacy.load("demo", n_threads=1) as loaded:
        yield loaded


def table() -> Any:
    n = 5
    texts = ["one", "2024-01-01", None, "", "\N{SNOWMAN}"]
    return pyarrow.table(
        {
            "id": pyarrow.array([LARGE, None, 1, 2, 3], pyarrow.int64()),
            "a.b": texts,
            "at": pyarrow.array([10**9 + 1] * n, pyarrow.timestamp("ns")),
            "day": [datetime.date(2024, 1, 2)] * n,
            "price": [Decimal("1.10")] * n,
            "data": [b"\xff"] * n,
            "nested": [{"x": [1, None]}] * n,
            "tag": pyarrow.array(texts).dictionary_encode(),
        }
    )


def test_columns_keep_their_types(model: Model, tmp_path: Path) -> None:
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    parquet.write_table(table(), source, row_group_size=2)
    done = run(model, source, target, prompt="{a.b} {id} {at} {price}", **OPTIONS)
    assert (done.n_done, done.n_failed) == (5, 2)
    found = parquet.read_table(target)
    assert found.select(table().column_names).equals(parquet.read_table(source))
    kinds = {field.name: str(field.type) for field in found.schema}
    assert kinds["completion_tokens"] == "int64"
    assert kinds["answer"] == kinds["error"] == "string"
    rows = found.drop_columns(["at"]).to_pylist()  # which Python's times cannot hold
    assert [row["answer"] is None for row in rows] == [False, True, True, False, False]
    assert rows[1]["error"] == "'id': wanted a value, found null"
    lines = tmp_path / "out.jsonl"
    run(model, source, lines, prompt="{a.b} {id} {at} {price}", **OPTIONS)
    objects = [json.loads(line) for line in lines.read_text("utf-8").splitlines()]
    assert objects[0]["id"] == LARGE
    assert objects[0]["nested"] == {"x": [1, None]}
    assert (objects[0]["price"], objects[0]["day"]) == ("1.10", "2024-01-02")
    assert [one["answer"] for one in objects] == [row["answer"] for row in rows]


def test_lines_become_columns_that_hold_all_of_their_values(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llamacy.jobs.ordering.N_ROWS", 2)
    source, target = tmp_path / "in.jsonl", tmp_path / "out.parquet"
    rows: list[dict[str, Any]] = [
        {"t": "a", "i": None, "n": 1, "m": 1, "d": "2024-01-01", "big": LARGE},
        {"t": "b", "i": LARGE, "n": 2.5, "m": "x", "d": None, "big": 1},
        {"t": "c", "i": 3, "n": None, "m": {"y": 1}, "l": [1], "big": 0.5},
        {"t": "d", "l": [], "o": {"a": 1}, "huge": 10**30},
        {"t": b"\\ud800".decode("unicode_escape"), "o": {"b": "x"}},
    ]
    text = "\n".join(map(json.dumps, rows))
    source.write_text(f"{text}\n[\n", "utf-8")
    done = run(model, source, target, prompt="{t}", **OPTIONS)
    assert (done.n_done, done.n_failed) == (6, 2)
    found = parquet.read_table(target)
    kinds = {field.name: str(field.type) for field in found.schema}
    assert (kinds["i"], kinds["n"], kinds["d"]) == ("int64", "double", "string")
    assert kinds["m"] == kinds["huge"] == kinds["big"] == "string"
    columns = found.to_pydict()
    assert columns["i"] == [None, LARGE, 3, None, None, None]
    assert columns["m"] == ["1", "x", '{"y": 1}', None, None, None]
    assert columns["big"] == [str(LARGE), "1", "0.5", None, None, None]
    assert columns["huge"][3] == str(10**30)
    assert columns["l"][2:4] == [[1], []]
    assert columns["o"][3:5] == [{"a": 1, "b": None}, {"a": None, "b": "x"}]


def test_cells_become_columns_of_texts(model: Model, tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.parquet"
    source.write_bytes(b"id,t\n007,2024-01-01\n,\xff\n3\n")
    assert run(model, source, target, prompt="{t}", **OPTIONS).n_failed == 2
    found = parquet.read_table(target).to_pydict()
    assert found["id"] == ["007", "", "3"]
    assert found["t"][0] == "2024-01-01"


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" + bytes(99) + b"PAR1", b"{}"])
def test_a_broken_file_is_refused(tmp_path: Path, data: bytes) -> None:
    source = tmp_path / "in.parquet"
    source.write_bytes(data)
    with pytest.raises(llamacy.FormatError, match=r"in.parquet: contents: wanted"):
        run("no such model", source, tmp_path / "out.jsonl", prompt="{t}")


def test_a_job_goes_on_to_the_same_bytes(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llamacy.jobs.ledger import Ledger

    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    texts = [f"text {index}" for index in range(60)]
    parquet.write_table(pyarrow.table({"t": texts}), source)
    run(model, source, tmp_path / "want.parquet", prompt="{t}", **OPTIONS)
    add = Ledger.add

    def interrupt(ledger: Ledger, *entry: Any) -> None:
        add(ledger, *entry)
        if ledger.n_done == 20:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Ledger, "add", interrupt)
        run(model, source, target, prompt="{t}", **OPTIONS)
    assert run(model, source, target, prompt="{t}", **OPTIONS).n_before == 20
    assert target.read_bytes() == (tmp_path / "want.parquet").read_bytes()
