"""The memory that a process can get, from files like Linux's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from llamacy.system.memory import available_memory, memory_state

GIB = 2**30
MEMINFO = "MemTotal: 16777216 kB\nMemFree: 1048576 kB\nMemAvailable:  8388608 kB\n"

linux = pytest.mark.skipif(
    sys.platform in ("darwin", "win32"), reason="reads Linux's files"
)


def write(root: Path, files: dict[str, str]) -> str:
    """Write files under `root` like the kernel shows them."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return str(root)


def v2(folder: str, limit: object, used: int, cached: int = 0) -> dict[str, str]:
    """Return the files of a cgroup of version 2, at `folder` below the root."""
    top = f"sys/fs/cgroup/{folder}"
    return {
        f"{top}/memory.max": str(limit),
        f"{top}/memory.current": str(used),
        f"{top}/memory.stat": f"anon 1\ninactive_file {cached // 2}\n"
        f"active_file {cached - cached // 2}",
    }


@linux
class TestMachine:
    def test_cached_memory_counts_as_available(self, tmp_path: Path) -> None:
        assert available_memory(write(tmp_path, {"proc/meminfo": MEMINFO})) == 8 * GIB

    def test_free_swap_counts_as_available(self, tmp_path: Path) -> None:
        files = {"proc/meminfo": f"{MEMINFO}SwapFree: {2 << 20} kB"}
        assert available_memory(write(tmp_path, files)) == 10 * GIB

    @pytest.mark.parametrize(
        "meminfo", [None, "", "MemFree: 12 kB", "MemAvailable: much", "\0"]
    )
    def test_without_a_usable_meminfo_the_available_memory_is_unknown(
        self, tmp_path: Path, meminfo: str | None
    ) -> None:
        files = {} if meminfo is None else {"proc/meminfo": meminfo}
        assert available_memory(write(tmp_path, files)) is None


@linux
class TestState:
    def test_the_least_limit_and_used_swap_are_told(self, tmp_path: Path) -> None:
        swap = f"SwapTotal: {3 << 20} kB\nSwapFree: {1 << 20} kB"
        files = {
            "proc/meminfo": f"{MEMINFO}{swap}",
            "proc/self/cgroup": "0::/user/job",
        }
        files |= v2("user", 2 * GIB, GIB) | v2("user/job", "max", GIB)
        state = memory_state(write(tmp_path, files))
        assert (state.total, state.limit) == (16 * GIB, 2 * GIB)
        assert (state.available, state.swap_used) == (2 * GIB, 2 * GIB)

    def test_a_limit_beyond_all_memory_is_none(self, tmp_path: Path) -> None:
        files = {"proc/meminfo": MEMINFO, "proc/self/cgroup": "4:memory:/"}
        folder = "sys/fs/cgroup/memory"
        files[f"{folder}/memory.limit_in_bytes"] = str(2**63 - 4096)
        state = memory_state(write(tmp_path, files))
        assert (state.total, state.limit) == (16 * GIB, None)

    def test_files_that_cannot_be_read_leave_all_unknown(self, tmp_path: Path) -> None:
        state = memory_state(str(tmp_path))
        assert (state.total, state.limit, state.available) == (None, None, None)


@linux
class TestVersion2:
    def test_v2_limit_minus_usage_is_available(self, tmp_path: Path) -> None:
        files = {"proc/meminfo": MEMINFO, "proc/self/cgroup": "0::/job"}
        files |= v2("job", 4 * GIB, 3 * GIB, cached=2 * GIB)
        assert available_memory(write(tmp_path, files)) == 3 * GIB

    def test_v2_smallest_limit_of_enclosing_groups_counts(self, tmp_path: Path) -> None:
        files = {"proc/meminfo": MEMINFO, "proc/self/cgroup": "0::/user/job"}
        files |= v2("user", 2 * GIB, GIB) | v2("user/job", "max", GIB)
        assert available_memory(write(tmp_path, files)) == GIB

    def test_v2_limit_is_found_in_a_container_that_sees_the_hosts_path(
        self, tmp_path: Path
    ) -> None:
        files = {"proc/meminfo": MEMINFO, "proc/self/cgroup": "0::/../docker/1a"}
        files |= v2("", 2 * GIB, GIB)
        assert available_memory(write(tmp_path, files)) == GIB

    @pytest.mark.parametrize(("limit", "extra"), [("max", 2), ("0", 0), (str(GIB), 1)])
    def test_v2_swap_counts_up_to_its_own_limit(
        self, tmp_path: Path, limit: str, extra: int
    ) -> None:
        files = {"proc/self/cgroup": "0::/job"} | v2("job", 4 * GIB, 3 * GIB)
        files["proc/meminfo"] = f"{MEMINFO}SwapFree: {2 << 20} kB"
        files["sys/fs/cgroup/job/memory.swap.max"] = limit
        files["sys/fs/cgroup/job/memory.swap.current"] = "0"
        assert available_memory(write(tmp_path, files)) == (1 + extra) * GIB

    def test_v2_limit_that_is_exceeded_leaves_nothing(self, tmp_path: Path) -> None:
        files = {"proc/meminfo": MEMINFO, "proc/self/cgroup": "0::/job"}
        files |= v2("job", GIB, 2 * GIB)
        assert available_memory(write(tmp_path, files)) == 0

    def test_v2_without_limits_the_machines_memory_counts(self, tmp_path: Path) -> None:
        files = {"proc/meminfo": MEMINFO, "proc/self/cgroup": "0::/"}
        assert available_memory(write(tmp_path, files)) == 8 * GIB


@linux
class TestVersion1:
    def files(self, limit: int, **more: int) -> dict[str, str]:
        top = "sys/fs/cgroup/memory/docker/1a"
        return {
            "proc/meminfo": f"{MEMINFO}SwapFree: {4 << 20} kB",
            "proc/self/cgroup": "4:memory:/docker/1a\n1:cpu:/docker/1a",
            f"{top}/memory.limit_in_bytes": str(limit),
            f"{top}/memory.usage_in_bytes": str(3 * GIB),
            f"{top}/memory.stat": f"cache 9\ntotal_inactive_file {GIB}\n"
            "total_active_file 0",
        } | {f"{top}/memory.memsw.{name}": str(x) for name, x in more.items()}

    def test_v1_limit_minus_usage_is_available(self, tmp_path: Path) -> None:
        root = write(tmp_path, self.files(5 * GIB))
        assert available_memory(root) == (5 - 3 + 1 + 4) * GIB

    def test_v1_limit_on_memory_and_swap_together(self, tmp_path: Path) -> None:
        more = {"limit_in_bytes": 6 * GIB, "usage_in_bytes": 3 * GIB}
        root = write(tmp_path, self.files(5 * GIB, **more))
        assert available_memory(root) == (6 - 3 + 1) * GIB

    def test_v1_very_large_limit_means_no_limit(self, tmp_path: Path) -> None:
        root = write(tmp_path, self.files(9223372036854771712))
        assert available_memory(root) == 12 * GIB


def test_this_machine_has_memory_available() -> None:
    found = available_memory()
    assert found is None or 2**26 < found < 2**50
