"""The default number of threads, from files like Linux's."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

from llamacy.system import cgroups
from llamacy.system import threads as cpu_count
from llamacy.system.threads import (
    cgroup_quota,
    default_threads,
    physical_cores,
    system_cores,
    windows_cores,
)


def write(root: Path, files: dict[str, str]) -> str:
    """Write files under `root` like the kernel shows them."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return str(root)


def siblings(*groups: str) -> dict[str, str]:
    """Return topology files of CPUs; each group is a core's list: `"0,4"`."""
    return {
        f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list": group
        for group in groups
        for cpu in group.split(",")
    }


class TestPhysicalCores:
    def test_two_hardware_threads_count_as_one_core(self, tmp_path: Path) -> None:
        root = write(tmp_path, siblings("0,4", "1,5", "2,6", "3,7"))
        assert physical_cores(range(8), root) == 4

    def test_affinity_to_both_threads_of_a_core_counts_one_core(
        self, tmp_path: Path
    ) -> None:
        root = write(tmp_path, siblings("0,2", "1,3"))
        assert physical_cores({0, 2}, root) == 1

    def test_affinity_to_one_thread_of_each_core_counts_all_cores(
        self, tmp_path: Path
    ) -> None:
        root = write(tmp_path, siblings("0,2", "1,3"))
        assert physical_cores({2, 3}, root) == 2

    def test_an_unknown_topology_counts_cpus_instead_of_cores(
        self, tmp_path: Path
    ) -> None:
        assert physical_cores(range(6), str(tmp_path)) == 6


def core(*masks: int, group: int = 0) -> bytes:
    """Return Windows' record of a core: relationship, size, flags, then its masks."""
    groups = b"".join(struct.pack("<QH6x", mask, group) for mask in masks)
    size = 32 + len(groups)
    return struct.pack("<IIBB20xH", 0, size, len(masks) > 0, 0, len(masks)) + groups


class TestWindows:
    def test_two_hardware_threads_count_as_one_core(self) -> None:
        records = core(0b0011) + core(0b1100)
        assert windows_cores(records, 0b1111) == 2

    def test_cores_outside_the_affinity_do_not_count(self) -> None:
        records = b"".join(core(3 << 2 * i) for i in range(8))
        assert windows_cores(records, 0b0100_1011) == 3

    def test_an_affinity_that_tells_nothing_leaves_all(self) -> None:
        records = core(1) + core(2)
        assert windows_cores(records, 0) == 2
        assert windows_cores(records + core(1, group=1), 0b1) == 3

    def test_records_may_differ_in_size(self) -> None:
        assert windows_cores(core(0b1, 0b1) + core(0b10), 0b11) == 2


class FakeLibc:
    """The C library of a Mac, of which sysctl tells some values."""

    def __init__(self, values: dict[bytes, int]) -> None:
        self.values = values

    def sysctlbyname(
        self, name: bytes, value: Any, size: Any, new: None, new_size: int
    ) -> int:
        assert size._obj.value == ctypes.sizeof(value._obj) == 4
        if name not in self.values:
            return -1
        value._obj.value = self.values[name]
        return 0


class TestSystemsWithoutLinuxsFiles:
    """No affinity, and nothing in /proc and /sys."""

    @pytest.fixture(autouse=True)
    def hidden(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        monkeypatch.delattr(os, "sched_getaffinity", raising=False)
        for module in (cpu_count, cgroups):
            monkeypatch.setattr(module, "read_text", self.read_nothing)

    @staticmethod
    def read_nothing(path: Path) -> str:
        raise AssertionError(f"{path} was read")

    @pytest.mark.parametrize(
        ("values", "cores"),
        [
            ({b"hw.perflevel0.physicalcpu": 4, b"hw.physicalcpu": 10}, 4),
            ({b"hw.physicalcpu": 6}, 6),
        ],
    )
    def test_a_mac_has_the_cores_that_compute_fast(
        self, values: dict[bytes, int], cores: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "platform", "darwin")
        monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeLibc(values))
        assert system_cores() == default_threads() == cores

    def test_cpus_count_where_nothing_tells_of_cores(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "cpu_count", lambda: 12)
        monkeypatch.setattr(sys, "platform", "freebsd14")
        assert default_threads() == 12
        monkeypatch.setattr(sys, "platform", "darwin")
        monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeLibc({}))
        assert default_threads() == 12
        monkeypatch.setattr(os, "cpu_count", lambda: None)
        assert default_threads() == 1


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="needs an affinity that counts"
)
def test_linux_without_proc_counts_the_cpus_it_may_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {1, 4, 5})
    for module in (cpu_count, cgroups):
        monkeypatch.setattr(module, "read_text", lambda path: "")
    assert default_threads() == 3


class TestQuotaVersion2:
    def test_v2_quota_is_the_ratio_of_quota_and_period(self, tmp_path: Path) -> None:
        files = {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "250000 100000"}
        assert cgroup_quota(write(tmp_path, files)) == 2.5

    def test_v2_max_means_no_quota(self, tmp_path: Path) -> None:
        files = {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "max 100000"}
        assert cgroup_quota(write(tmp_path, files)) is None

    def test_v2_smallest_quota_of_enclosing_groups_counts(self, tmp_path: Path) -> None:
        files = {
            "proc/self/cgroup": "0::/user.slice/app.scope",
            "sys/fs/cgroup/user.slice/app.scope/cpu.max": "800000 100000",
            "sys/fs/cgroup/user.slice/cpu.max": "300000 100000",
        }
        assert cgroup_quota(write(tmp_path, files)) == 3

    def test_v2_quota_is_found_in_a_container_that_sees_the_hosts_path(
        self, tmp_path: Path
    ) -> None:
        files = {
            "proc/self/cgroup": "0::/../../docker/1a2b",
            "sys/fs/cgroup/cpu.max": "100000 50000",
        }
        assert cgroup_quota(write(tmp_path, files)) == 2


class TestQuotaVersion1:
    def test_v1_quota_is_the_ratio_of_quota_and_period(self, tmp_path: Path) -> None:
        files = {
            "proc/self/cgroup": "5:cpuset:/\n4:cpu,cpuacct:/docker/1a2b\n0::/x",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "150000",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        }
        assert cgroup_quota(write(tmp_path, files)) == 1.5

    def test_v1_quota_is_found_if_the_cpu_controller_is_mounted_alone(
        self, tmp_path: Path
    ) -> None:
        files = {
            "proc/self/cgroup": "1:cpu:/job",
            "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "400000",
            "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000",
        }
        assert cgroup_quota(write(tmp_path, files)) == 4

    def test_v1_negative_quota_means_no_quota(self, tmp_path: Path) -> None:
        files = {
            "proc/self/cgroup": "1:cpu:/",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        }
        assert cgroup_quota(write(tmp_path, files)) is None


class TestDefault:
    def test_without_cgroups_there_is_no_quota(self, tmp_path: Path) -> None:
        assert cgroup_quota(str(tmp_path)) is None

    @pytest.mark.skipif(
        not hasattr(os, "sched_getaffinity"), reason="needs an affinity that counts"
    )
    @pytest.mark.parametrize(
        ("cores", "quota", "threads"),
        [(8, None, 8), (8, 2.5, 2), (8, 0.5, 1), (2, 16.0, 2)],
    )
    def test_default_is_capped_by_the_quota_rounded_down(
        self,
        cores: int,
        quota: float | None,
        threads: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        monkeypatch.setattr(cpu_count, "physical_cores", lambda cpus: cores)
        monkeypatch.setattr(cpu_count, "cgroup_quota", lambda: quota)
        assert default_threads() == threads

    @pytest.mark.parametrize(
        ("text", "threads"),
        [("2", 2), ("1", 1), ("3,2", 3), (" 2 ", 2), ("99", 8), ("", 8), ("0", 8)]
        + [("-1", 8), ("two", 8), ("\N{ARABIC-INDIC DIGIT TWO}", 8), ("9" * 5000, 8)],
    )
    def test_openmps_variable_is_an_upper_bound(
        self, text: str, threads: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cpu_count, "_cores", lambda: 8)
        monkeypatch.setenv("OMP_NUM_THREADS", text)
        assert default_threads() == threads

    def test_default_of_this_machine_is_at_least_one(self) -> None:
        assert 1 <= default_threads() <= (os.cpu_count() or 1)
