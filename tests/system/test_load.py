"""The load by other processes, from files like Linux's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from llamacy.system.load import LoadMeter

CPU = "cpu{n} {user} 0 0 {idle} 0 0 0 {steal} 0 0"


def write_cpus(root: Path, *cpus: tuple[int, int, int]) -> None:
    """Write the ticks (user, idle, stolen) of each CPU."""
    (root / "proc").mkdir(exist_ok=True)
    lines = [
        CPU.format(n=n, user=user, idle=idle, steal=steal)
        for n, (user, idle, steal) in enumerate(cpus)
    ]
    (root / "proc/stat").write_text("\n".join(["cpu 9 9 9 9", *lines, "intr 1", ""]))


def write_process(
    root: Path, pid: int | str, name: bytes, ticks: int, began: int = 5
) -> None:
    (root / f"proc/{pid}").mkdir(exist_ok=True, parents=True)
    columns = b"S 1 1 1 0 -1 0 0 0 0 0 %d 0 0 0 20 0 1 0 %d 0 0" % (ticks, began)
    (root / f"proc/{pid}/stat").write_bytes(b"7 (%b) %b\n" % (name, columns))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two CPUs, this process, and another one."""
    write_cpus(tmp_path, (1000, 1000, 0), (1000, 1000, 0))
    write_process(tmp_path, "self", b"python", 100)
    write_process(tmp_path, 7, b"cc1plus", 5000)
    return tmp_path


def test_ticks_of_others_are_those_of_all_without_ones_own(root: Path) -> None:
    meter = LoadMeter(str(root), cpus={0, 1})
    write_cpus(root, (1100, 1000, 0), (1070, 1010, 20))
    write_process(root, "self", b"python", 150)
    write_process(root, 7, b"cc1plus", 5110)
    load = meter.read()
    assert load is not None
    assert load.cpus == pytest.approx(1.2)
    assert load.stolen == pytest.approx(0.2)
    (other,) = load.busiest
    assert (other.pid, other.name) == (7, "cc1plus")
    assert other.cpus == pytest.approx(1.1)
    assert load.is_busy
    assert str(load) == (
        "other processes kept 1.2 CPUs busy, the virtual machine's host 0.2: "
        "cc1plus (7) 1.1"
    )


def test_cpus_that_this_process_may_not_use_do_not_count(root: Path) -> None:
    meter = LoadMeter(str(root), cpus={1})
    write_cpus(root, (1100, 1000, 0), (1000, 1100, 0))
    load = meter.read()
    assert load is not None
    assert (load.cpus, load.is_busy) == (0.0, False)
    assert str(load) == "other processes kept 0.0 CPUs busy"


def test_a_process_that_has_just_begun_counts_from_nothing(root: Path) -> None:
    meter = LoadMeter(str(root), cpus={0, 1})
    write_cpus(root, (1100, 1000, 0), (1000, 1100, 0))
    write_process(root, 8, b"a) S (b\x1b[2J\xff", 90)
    write_process(root, 7, b"another", 80, began=6)
    load = meter.read()
    assert load is not None
    assert [(each.pid, each.name) for each in load.busiest] == [
        (8, "a) S (b?[2J\N{REPLACEMENT CHARACTER}"),
        (7, "another"),
    ]


def test_a_worker_of_the_kernel_keeps_its_ticks_under_another_name(root: Path) -> None:
    meter = LoadMeter(str(root), cpus={0, 1})
    write_cpus(root, (1100, 1000, 0), (1000, 1100, 0))
    write_process(root, 7, b"kworker/0:2-events", 5001)
    load = meter.read()
    assert load is not None
    assert load.busiest == ()


def test_some_ticks_are_too_few_to_tell_a_load(root: Path) -> None:
    meter = LoadMeter(str(root), cpus={0, 1})
    write_cpus(root, (1019, 1000, 0), (1019, 1000, 0))
    assert meter.read() is None
    write_cpus(root, (1020, 1000, 0), (1020, 1000, 0))
    assert meter.read() is not None


@pytest.mark.parametrize(
    "stat", ["", "cpu0 1 2", "cpu0 a b c d e f g h", "cpu0 " + "1 " * 8, None]
)
def test_an_unexpected_file_means_an_unknown_load(root: Path, stat: str | None) -> None:
    if stat is None:
        (root / "proc/stat").unlink()
    else:
        (root / "proc/stat").write_text(stat)
    assert LoadMeter(str(root), cpus={0}).read() is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's files")
def test_a_process_does_not_count_its_own_work() -> None:
    meter = LoadMeter()
    load = None
    while load is None:  # until enough ticks have passed
        sum(range(10_000))
        load = meter.read()
    assert 0 <= load.cpus <= len(meter._cpus) + 1
