"""`llamacy doctor`: what it looks at, what it warns of, and its exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llamacy import kernels, roofline
from llamacy.cli import checks
from llamacy.errors import CPUError
from llamacy.system.load import OtherLoad, OtherProcess
from llamacy.system.memory import MemoryState
from tests.support.hub_server import HubServer

Shell = Callable[..., Any]
NAMES = "cpu threads environment memory disk load bandwidth model".split()
GIB = 2**30


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure briefly: the figures do not matter."""
    monkeypatch.setattr(roofline, "_READ_SECONDS", 0.001)
    monkeypatch.setattr(roofline, "_QUICK_SECONDS", 0.001)
    monkeypatch.setattr(roofline, "_QUICK_BYTES", 2**20)
    monkeypatch.setattr(checks, "_LOAD_SECONDS", 0.0)


def test_all_is_checked_and_models_can_run(
    shell: Shell, hub: HubServer, cache: Path
) -> None:
    done = shell("doctor", "--json")
    assert done.status == 0
    report = json.loads(done.out)
    assert report["can_run"] is True
    found = {check["name"]: check for check in report["checks"]}
    assert list(found) == NAMES
    for check in found.values():
        assert check["state"] in ("ok", "warning")
        assert (check["state"] == "ok") == (check["advice"] == "")
    assert found["cpu"]["values"]["isa"] == kernels.selected().name
    assert found["bandwidth"]["values"]["read_bytes_per_second"] > 0
    assert found["disk"]["values"]["folder"] == str(cache)
    lines = shell("doctor").out.splitlines()
    assert [line.split()[1] for line in lines if line[0] != " "] == NAMES


def test_a_level_that_cannot_be_used_is_an_error(
    shell: Shell, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> None:
        raise CPUError("LLAMACY_ISA=x: no such level")

    monkeypatch.setattr(kernels, "selected", none)
    done = shell("doctor", "--json")
    assert done.status == 1
    report = json.loads(done.out)
    assert report["can_run"] is False
    states = {check["name"]: check["state"] for check in report["checks"]}
    assert (states["cpu"], states["model"]) == ("error", "error")


@pytest.mark.parametrize(
    ("quota", "advice"),
    [
        (None, ""),
        (2.0, ""),
        (0.5, "the container limits this process to 0.5 CPUs"),
        (1.5, "of the container's 1.5 CPUs, 1 are used"),
    ],
)
def test_a_quota_of_parts_of_a_cpu_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, advice: str
) -> None:
    monkeypatch.setattr("llamacy.system.threads.cgroup_quota", lambda: quota)
    monkeypatch.setattr("llamacy.system.threads.default_threads", lambda: 1)
    check = checks.threads()
    assert check.advice.startswith(advice)
    assert check.state == ("warning" if advice else "ok")


@pytest.mark.parametrize(
    ("variables", "state", "text"),
    [
        ({}, "ok", "no variable"),
        ({"OMP_NUM_THREADS": "4"}, "ok", "OMP_NUM_THREADS=4, the most threads"),
        ({"OMP_NUM_THREADS": "4", "GOMP_CPU_AFFINITY": "0"}, "warning", "GOMP_CPU_A"),
    ],
)
def test_variables_that_change_threads_are_warned_of(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], state: str, text: str
) -> None:
    monkeypatch.setattr("os.environ", variables)
    check = checks.environment()
    assert (check.state, check.text[: len(text)]) == (state, text)


@pytest.mark.parametrize(
    ("state", "advice"),
    [
        (MemoryState(None, None, None, 0), ""),
        (MemoryState(8 * GIB, 4 * GIB, 3 * GIB, 0), ""),
        (MemoryState(8 * GIB, None, GIB // 2, 0), "only models of less than 1 B"),
        (MemoryState(8 * GIB, None, 3 * GIB, 2 * GIB), "2.0 GiB are swapped out"),
    ],
)
def test_little_memory_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, state: MemoryState, advice: str
) -> None:
    monkeypatch.setattr("llamacy.system.memory.memory_state", lambda: state)
    check = checks.memory()
    assert check.advice.startswith(advice)
    assert check.state == ("warning" if advice else "ok")
    assert ("limited to 4.0 GiB" in check.text) == (state.limit is not None)


def test_a_full_or_unreadable_cache_is_warned_of(
    hub: HubServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llamacy.system.disk.free_bytes", lambda folder: 17)
    (check,) = checks.disk()
    assert check.text.startswith("17 bytes free")
    assert "llamacy rm" in check.advice
    cache.touch()
    (check,) = checks.disk()
    assert "cannot be read" in check.advice


@pytest.mark.parametrize(
    ("found", "state", "text"),
    [
        (None, "ok", "this system does not say"),
        (OtherLoad(0.1, 0.0, ()), "ok", "other processes kept 0.1 CPUs busy"),
        (
            OtherLoad(0.1, 0.8, (OtherProcess(1, "x", 0.1),)),
            "warning",
            "other processes kept 0.1 CPUs busy, the virtual machine's host 0.8: x (1)",
        ),
    ],
)
def test_a_busy_machine_is_warned_of(
    found: OtherLoad | None, state: str, text: str
) -> None:
    class Meter:
        def read(self) -> OtherLoad | None:
            return found

    check = checks.load(Meter())  # type: ignore[arg-type]
    assert (check.state, check.text[: len(text)]) == (state, text)
