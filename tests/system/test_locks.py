"""Locks of files: one opening at a time has it, and closing frees it."""

from __future__ import annotations

from pathlib import Path

from llamacy.system.locks import is_at, try_lock


def test_one_opening_of_a_file_at_a_time_has_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with open(path, "ab+") as one, open(path, "ab+") as other:
        assert try_lock(one)
        assert not try_lock(other)
        one.close()
        assert try_lock(other)


def test_a_file_that_was_removed_is_not_at_its_path(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with open(path, "ab+") as file:
        assert is_at(file, str(path))
        path.rename(tmp_path / "elsewhere")
        assert not is_at(file, str(path))
        path.write_text("another")
        assert not is_at(file, str(path))
