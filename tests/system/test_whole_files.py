"""A written file is complete under its name, or its place is as it was before."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llamacy.errors import ModelFileError
from llamacy.system.whole_files import file_errors, new_file, regular_path

OLD, NEW = "what was there", "what is new"
POSIX = pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder, where leftovers would be seen."""
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


@pytest.fixture
def old(place: Path) -> Path:
    """A file that exists before."""
    path = place / "file"
    path.write_text(OLD)
    return path


@pytest.fixture
def usual_mask() -> Iterator[None]:
    """A umask with which others may read new files, but not write them."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def write(path: Path, text: str = NEW, *, private: bool = False) -> None:
    with new_file(path, private=private) as draft:
        Path(draft).write_text(text)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_appears_under_its_name_only_when_it_is_complete(old: Path) -> None:
    with new_file(old) as draft:
        assert os.path.dirname(draft) == str(old.parent)  # so that it can be renamed
        Path(draft).write_text(NEW)
        assert old.read_text() == OLD
    assert old.read_text() == NEW
    assert list(old.parent.iterdir()) == [old]


def test_a_file_is_synced_to_disk_before_it_is_renamed(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, str]] = []
    fsync = os.fsync

    def noted(file: int) -> None:
        fsync(file)
        (draft,) = (one for one in old.parent.iterdir() if one != old)
        assert os.path.samestat(os.fstat(file), draft.stat())
        synced.append((draft.read_text(), old.read_text()))

    monkeypatch.setattr(os, "fsync", noted)
    write(old)
    assert synced == [(NEW, OLD)]


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt, SystemExit, GeneratorExit, OSError(5, "of another")]
)
def test_an_error_leaves_the_old_file_unchanged(
    old: Path, error: type[BaseException] | OSError
) -> None:
    kind = error if isinstance(error, type) else type(error)
    with pytest.raises(kind) as caught, new_file(old) as draft:
        Path(draft).write_text(NEW)
        raise error
    # the error may be about other files
    assert not isinstance(caught.value, ModelFileError)
    assert old.read_text() == OLD
    assert list(old.parent.iterdir()) == [old]


def test_an_error_leaves_nothing_if_there_was_no_file(place: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_file(place / "file"):
        raise KeyboardInterrupt
    assert not list(place.iterdir())


def test_a_deleted_draft_is_an_error_about_the_file(old: Path) -> None:
    with pytest.raises(ModelFileError) as caught, new_file(old) as draft:
        os.unlink(draft)
    assert caught.value.filename == str(old)
    assert caught.value.errno == errno.ENOENT
    assert old.read_text() == OLD


def test_the_longest_possible_name_can_be_written(place: Path) -> None:
    path = place / ("x" * 250)
    write(path)
    assert path.read_text() == NEW


def test_two_writers_of_one_file_do_not_mix(old: Path) -> None:
    with new_file(old) as one, new_file(old) as other:
        Path(one).write_text("one")
        Path(other).write_text("other")
    assert old.read_text() == "one"
    assert list(old.parent.iterdir()) == [old]


def test_a_symbolic_link_stays_and_its_target_is_replaced(
    old: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    try:
        link.symlink_to(old)
    except OSError:
        pytest.skip("no links here")
    write(link)
    assert link.is_symlink()
    assert old.read_text() == NEW
    assert list(old.parent.iterdir()) == [old]


@POSIX
@pytest.mark.usefixtures("usual_mask")
def test_new_files_get_the_usual_permissions_or_only_their_owners(place: Path) -> None:
    write(place / "open")
    write(place / "private", private=True)
    assert mode(place / "open") == 0o644
    assert mode(place / "private") == 0o600


@POSIX
@pytest.mark.parametrize("private", [False, True])
def test_permissions_of_a_replaced_file_stay(old: Path, private: bool) -> None:
    old.chmod(0o640)
    write(old, private=private)
    assert mode(old) == 0o640


def test_a_folder_is_never_replaced(place: Path) -> None:
    with pytest.raises(ModelFileError, match="wanted a file, found a folder") as caught:
        write(place)
    assert caught.value.errno == errno.EISDIR
    assert not list(place.iterdir())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
def test_special_files_are_never_replaced(place: Path) -> None:
    pipe = place / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ModelFileError, match="not a regular file") as caught:
        write(pipe)
    assert caught.value.filename == str(pipe)
    assert pipe.is_fifo()


def test_a_missing_folder_is_an_error(place: Path) -> None:
    with pytest.raises(ModelFileError) as caught:
        write(place / "none" / "file")
    assert caught.value.errno == errno.ENOENT
    assert not list(place.iterdir())


@pytest.mark.parametrize("name", ["a\0b", "x" * 300])
def test_impossible_names_are_refused(place: Path, name: str) -> None:
    with pytest.raises(ModelFileError):
        write(place / name)
    assert not list(place.iterdir())


def test_a_full_disk_is_reported_before_the_work(old: Path) -> None:
    with pytest.raises(ModelFileError, match="no space for") as caught:
        with new_file(old, n_bytes=1 << 60):
            raise AssertionError
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(old)
    assert list(old.parent.iterdir()) == [old]


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_a_disk_that_gets_full_leaves_the_old_file(old: Path) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(ModelFileError, match="File too large") as caught:
            with new_file(old) as draft, file_errors(old):
                Path(draft).write_bytes(bytes(1 << 17))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.filename == str(old)
    assert old.read_text() == OLD
    assert list(old.parent.iterdir()) == [old]


def test_an_os_error_without_a_reason_gets_one(old: Path) -> None:
    with pytest.raises(ModelFileError, match="the disk may be full .9 requested"):
        with file_errors(old):
            raise OSError("9 requested and 5 written")  # like NumPy raises it


def test_the_target_of_a_path_is_resolved(old: Path, place: Path) -> None:
    assert regular_path(old) == os.path.realpath(old)
    assert regular_path(os.fsencode(place / "new").decode()) == os.path.realpath(
        place / "new"
    )
