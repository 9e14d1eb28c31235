"""The ledger keeps what is done, whatever ends its process."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.jobs.ledger import Entry, Ledger
from tests.support.waiting import wait_until

JOB: dict[str, dict[str, Any]] = {"input": {"size": 3}, "job": {"seed": 0, "top_k": 4}}
MODEL = {"weights": "abc"}


def begun(target: Path, job: dict[str, dict[str, Any]] = JOB) -> Ledger:
    ledger = Ledger(f"{target}.part", job)
    ledger.begin(model=MODEL)
    return ledger


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def entry(index: int) -> Entry:
    return Entry(index, 7 * index, {"answer": f"é{index}\n", "error": None})


def test_results_come_in_the_order_of_rows(target: Path) -> None:
    order = list(range(60))
    random.Random(0).shuffle(order)
    with begun(target) as ledger:
        for index in order[:30]:
            ledger.add(*entry(index))
    with begun(target) as ledger:
        assert ledger.n_done == 30
        assert all(ledger.has(index) == (index in order[:30]) for index in range(70))
        for index in order:  # twice: the first stays
            ledger.add(index, 7 * index, entry(index).result if index % 2 else {"x": 1})
        assert ledger.n_done == 60
        found = list(ledger.results())
    assert [each.index for each in found] == list(range(60))
    assert all(each == entry(each.index) for each in found if each.index % 2)


def test_half_a_line_and_what_follows_is_cut_off(target: Path) -> None:
    with begun(target) as ledger:
        for index in range(3):
            ledger.add(*entry(index))
    part = Path(ledger.path)
    whole = part.read_bytes()
    lines = whole.splitlines(keepends=True)
    for broken, n_done in (
        (whole[:-1], 2),
        (whole[:-20], 2),
        (whole + bytes(4096), 3),
        (whole + lines[-1][:9] + bytes(99) + b"\n", 3),
        (b"".join(lines[:2]) + lines[2].replace(b"1", b"2") + lines[3], 1),
        (lines[0], 0),
        (lines[0][:-1], 0),
        (lines[0][:5], 0),
        (bytes(99), 0),
        (b"", 0),
    ):
        part.write_bytes(broken)
        with begun(target) as ledger:
            assert ledger.n_done == n_done
            for index in range(n_done, 3):
                ledger.add(*entry(index))
        assert part.read_bytes() == whole


def test_another_job_is_refused_by_what_differs(target: Path) -> None:
    with begun(target) as ledger:
        ledger.add(*entry(0))
    part = Path(ledger.path)
    whole = part.read_bytes()
    for job, message in (
        ({**JOB, "input": {"size": 4}}, "with input size 3, not 4: remove"),
        ({**JOB, "job": {"seed": 0}}, "with job top_k 4, not None: remove"),
        ({**JOB, "job": {**JOB["job"], "x": [1]}}, r"with job x None, not \[1\]"),
    ):
        with pytest.raises(llamacy.ArgumentError, match=message):
            Ledger(f"{target}.part", job)
    with Ledger(f"{target}.part", JOB) as ledger:
        with pytest.raises(llamacy.ArgumentError, match="model weights 'abc', not 'd'"):
            ledger.begin(model={"weights": "d"})
    assert part.read_bytes() == whole
    for mine in ("a text of my own\n", "{", "a"):
        part.write_text(mine + "x")
        with pytest.raises(llamacy.ArgumentError, match="found another file"):
            Ledger(f"{target}.part", JOB)
        assert part.read_text() == mine + "x"


def test_one_process_at_a_time_has_it(target: Path) -> None:
    with begun(target):
        with pytest.raises(llamacy.ModelFileError, match="another process is writing"):
            Ledger(f"{target}.part", JOB)
    with begun(target) as ledger:
        ledger.add(*entry(0))


def test_results_are_on_the_disk_soon_after(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr("llamacy.jobs.late_sync._SECONDS", 0.001)
    with begun(target) as ledger:
        monkeypatch.setattr("os.fsync", synced.append)
        for index in range(3):
            ledger.add(*entry(index))
            ledger.sync_soon()
            wait_until(lambda: len(synced) > index)  # noqa: B023

        def fail(number: int) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr("os.fsync", fail)
        ledger.sync_soon()
        wait_until(lambda: ledger._late_sync.failure is not None)
        with pytest.raises(llamacy.ModelFileError, match="Input/output error"):
            ledger.sync_soon()


def test_a_sync_that_comes_late_finds_the_file_closed(target: Path) -> None:
    with begun(target) as ledger:
        ledger.add(*entry(0))
    ledger._late_sync.sync()
    assert ledger._late_sync.failure is None


def test_nothing_is_left_where_no_row_was_done(target: Path) -> None:
    with Ledger(f"{target}.part", JOB):
        pass
    with begun(target):
        pass
    assert not list(target.parent.iterdir())
    with begun(target) as ledger:
        ledger.add(*entry(0))
    with Ledger(f"{target}.part", JOB):  # never begun: the model was not found, say
        pass
    with begun(target) as ledger:
        assert ledger.n_done == 1
        ledger.remove()
    assert not list(target.parent.iterdir())


def test_a_full_disk_loses_the_row_at_hand_alone(target: Path) -> None:
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with begun(target) as ledger:
            ledger.add(*entry(0))
            size = Path(ledger.path).stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, before[1]))
            with pytest.raises(llamacy.ModelFileError, match=r"out.jsonl.part: "):
                ledger.add(*entry(1))
            assert Path(ledger.path).stat().st_size == size
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            ledger.add(*entry(1))
            assert list(ledger.results()) == [entry(0), entry(1)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
