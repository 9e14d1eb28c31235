"""Atomic writes: the complete new file, or the old one and no draft."""

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
    """An empty folder, to look for leftover files."""
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


@pytest.fixture
def old(place: Path) -> Path:
    """An existing file."""
    path = place / "file"
    path.write_text(OLD)
    return path


@pytest.fixture
def usual_mask() -> Iterator[None]:
    """Others may read new files, and not write them."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def write(path: Path, text: str = NEW, *, private: bool = False) -> None:
    with new_file(path, private=private) as draft:
        Path(draft).write_text(text)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_in_its_place_at_the_end_and_not_before(old: Path) -> None:
    with new_file(old) as draft:
        assert os.path.dirname(draft) == str(old.parent)  # so that it can be renamed
        Path(draft).write_text(NEW)
        assert old.read_text() == OLD
    assert old.read_text() == NEW
    assert list(old.parent.iterdir()) == [old]


def test_it_is_on_the_disk_before_it_is_in_its_place(
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
def test_what_goes_wrong_leaves_what_was_there(
    old: Path, error: type[BaseException] | OSError
) -> None:
    kind = error if isinstance(error, type) else type(error)
    with pytest.raises(kind) as caught, new_file(old) as draft:
        Path(draft).write_text(NEW)
        raise error
    assert not isinstance(caught.value, ModelFileError)  # it may be about other files
    assert old.read_text() == OLD
    assert list(old.parent.iterdir()) == [old]


def test_what_goes_wrong_leaves_nothing_where_nothing_was(place: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_file(place / "file"):
        raise KeyboardInterrupt
    assert not list(place.iterdir())


def test_a_draft_that_is_gone_is_an_error_about_the_file(old: Path) -> None:
    with pytest.raises(ModelFileError) as caught, new_file(old) as draft:
        os.unlink(draft)
    assert caught.value.filename == str(old)
    assert caught.value.errno == errno.ENOENT
    assert old.read_text() == OLD


def test_a_name_as_long_as_can_be(place: Path) -> None:
    path = place / ("x" * 250)
    write(path)
    assert path.read_text() == NEW


def test_two_at_once_do_not_mix(old: Path) -> None:
    with new_file(old) as one, new_file(old) as other:
        Path(one).write_text("one")
        Path(other).write_text("other")
    assert old.read_text() == "one"
    assert list(old.parent.iterdir()) == [old]


def test_a_link_stays_one(old: Path, tmp_path: Path) -> None:
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
def test_permissions_are_those_of_any_new_file_or_its_owners_alone(place: Path) -> None:
    write(place / "open")
    write(place / "private", private=True)
    assert mode(place / "open") == 0o644
    assert mode(place / "private") == 0o600


@POSIX
@pytest.mark.parametrize("private", [False, True])
def test_permissions_of_what_was_there_stay(old: Path, private: bool) -> None:
    old.chmod(0o640)
    write(old, private=private)
    assert mode(old) == 0o640


def test_a_folder_is_not_replaced(place: Path) -> None:
    with pytest.raises(ModelFileError, match="wanted a file, found a folder") as caught:
        write(place)
    assert caught.value.errno == errno.EISDIR
    assert not list(place.iterdir())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
def test_what_is_no_file_is_not_replaced(place: Path) -> None:
    pipe = place / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ModelFileError, match="not a regular file") as caught:
        write(pipe)
    assert caught.value.filename == str(pipe)
    assert pipe.is_fifo()


def test_a_folder_that_is_not_there(place: Path) -> None:
    with pytest.raises(ModelFileError) as caught:
        write(place / "none" / "file")
    assert caught.value.errno == errno.ENOENT
    assert not list(place.iterdir())


@pytest.mark.parametrize("name", ["a\0b", "x" * 300])
def test_what_cannot_be_a_name(place: Path, name: str) -> None:
    with pytest.raises(ModelFileError):
        write(place / name)
    assert not list(place.iterdir())


def test_no_room_is_told_before_the_work(old: Path) -> None:
    with pytest.raises(ModelFileError, match="no space for") as caught:
        with new_file(old, n_bytes=1 << 60):
            raise AssertionError
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(old)
    assert list(old.parent.iterdir()) == [old]


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_a_disk_that_gets_full_leaves_what_was_there(old: Path) -> None:
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


def test_an_error_without_a_reason_is_given_one(old: Path) -> None:
    with pytest.raises(ModelFileError, match="the disk may be full .9 requested"):
        with file_errors(old):
            raise OSError("9 requested and 5 written")  # as NumPy says it


def test_where_a_path_leads_to(old: Path, place: Path) -> None:
    assert regular_path(old) == os.path.realpath(old)
    assert regular_path(os.fsencode(place / "new").decode()) == os.path.realpath(
        place / "new"
    )
