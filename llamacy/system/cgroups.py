"""The Linux control groups of this process, whose limits are small files in folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def cgroup_folders(controller: str, root: str = "/") -> Iterator[tuple[Path, int]]:
    """Yield the folders that may have limits of `controller`.

    The folders of enclosing groups are included, because their limits apply too. Some
    folders may not exist: in a container, the path in `/proc/self/cgroup` can be the
    host's, of which only the root is visible.

    Parameters
    ----------
    controller : str
        `"cpu"` or `"memory"`.
    root : str
        The root of the file system, for tests.

    Yields
    ------
    folder : Path
        A folder.
    version : int
        1 or 2, the version of cgroups, on which the files' names depend.
    """
    mount = Path(root, "sys/fs/cgroup")
    for line in read_text(Path(root, "proc/self/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            tops = [mount, mount / "unified"]
        elif controller in controllers.split(","):
            tops = [mount / controllers, mount / controller]
        else:
            continue
        inner = Path(path.lstrip("/"))
        for top in tops:
            for folder in (inner, *inner.parents):
                yield top / folder, 1 if controllers else 2


def read_text(path: Path) -> str:
    """Return the text of a small system file, stripped; `""` if it cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
