"""Files of rows: their columns, their order, and what may be wrong with them."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

import llamacy
from llamacy.jobs.inputs import lines, open_input
from llamacy.jobs.rows import fields_of


def test_lines_are_rows_and_empty_ones_are_not(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(
        '\ufeff{"a": 1}\r\n\n  \n{"b": 2,\t"a": "x"} \n[3]\n\n{"c":4}'.encode()
    )
    found = open_input(path)
    assert found.columns() == ["a", "b", "c"]
    rows = list(found.rows(("a",)))
    assert [row.index for row in rows] == [0, 1, 2, 3]
    assert rows[1].content == b'{"b": 2,\t"a": "x"}'
    assert sum(row.n_bytes for row in rows) == found.size
    with pytest.raises(llamacy.ArgumentError, match=r"wanted a JSON object, found \[3"):
        fields_of(rows[2])


def test_a_line_that_is_too_long_is_one_bad_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE", 100)
    path = tmp_path / "in.jsonl"
    long = b'{"a": "' + b"x" * 1000 + b'"}\n'
    path.write_bytes(b'{"a": "y"}\n' + long + b'{"a": "z"}\n' + long)
    rows = list(open_input(path).rows(None))
    assert [bool(row.fault) for row in rows] == [False, True, False, True]
    assert sum(row.n_bytes for row in rows) == path.stat().st_size


def test_cells_are_texts_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    limit = csv.field_size_limit()
    long = "x" * (limit + 10)
    path.write_bytes(
        f'\ufeffid,text,when\n1,"a, ""b""\nc",2024-01-01\n\n2,{long},\n3,y\n'.encode()
        + b"4,\xff,z\n5,a,b,c\n"
    )
    found = open_input(path)
    assert found.columns() == ["id", "text", "when"]
    rows = list(found.rows(("text",)))
    assert fields_of(rows[0]) == {"text": 'a, "b"\nc'}
    assert fields_of(rows[1]) == {"text": long}
    assert fields_of(rows[3]) == {"text": "\udcff"}
    for index, n in ((2, 2), (4, 4)):
        with pytest.raises(llamacy.ArgumentError, match=f"wanted 3 cells, found {n}"):
            fields_of(rows[index])
    assert sum(row.n_bytes for row in rows) == path.stat().st_size
    assert csv.field_size_limit() == limit
    whole = list(found.rows(("text",), whole=True))
    assert [row.check for row in whole] == [row.check for row in rows]
    assert whole[0].content == {"id": "1", "text": 'a, "b"\nc', "when": "2024-01-01"}
    tabs = tmp_path / "in.tsv"
    tabs.write_text("a\tb\n1,2\t3\n")
    assert next(open_input(tabs).rows(None)).content == {"a": "1,2", "b": "3"}


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("in.jsonl", b"", "in.jsonl: wanted at least one row, found none"),
        ("in.jsonl", b"\n \n", "wanted at least one row"),
        ("in.csv", b"a,b\n", "wanted at least one row"),
        ("in.csv", b"", "wanted at least one row"),
        ("in.csv", b"a,a\n1,2\n", "the first row: wanted different names"),
        ("in.jsonl", "{}".encode("utf-16"), "wanted UTF-8, found UTF-16"),
        ("in.csv", "a\nb".encode("utf-16"), "wanted UTF-8, found UTF-16"),
        ("in.txt", b"{}", r"in.txt: wanted a name that ends in .jsonl, .*\.parquet"),
        ("missing.jsonl", None, "missing.jsonl: No such file"),
    ],
)
def test_a_file_without_rows_is_refused(
    tmp_path: Path, name: str, data: bytes | None, message: str
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(llamacy.LlamacyError, match=message):
        open_input(tmp_path / name)
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(llamacy.ModelFileError, match="wanted a file, found a folder"):
        open_input(tmp_path / "folder.jsonl")


def test_parquet_needs_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "in.parquet").write_bytes(b"PAR1")
    with pytest.raises(llamacy.MissingPackageError, match="pyarrow"):
        open_input(tmp_path / "in.parquet")
