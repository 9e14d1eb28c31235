"""Room on a disk, and the speed of reading from it."""

from __future__ import annotations

import shutil
from pathlib import Path

from llamacy.system.disk import free_bytes, read_speed


def test_the_room_of_a_folder_that_is_yet_to_be_made_is_that_of_its_disk(
    tmp_path: Path,
) -> None:
    before = shutil.disk_usage(tmp_path).free
    found = free_bytes(tmp_path / "not/yet/there")
    assert 0 < found <= max(before, shutil.disk_usage(tmp_path).total)


def test_a_speed_is_told_of_large_files_alone(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(bytes(4096))
    large.write_bytes(bytes(8 * 2**20))
    for path in (small, tmp_path, tmp_path / "none"):
        assert read_speed(path) is None
    speed = read_speed(large)  # not every file system reads past the cache
    assert speed is None or speed > 0
