"""The Linux control groups a process is in: folders of limits, small files to read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def cgroup_folders(controller: str, root: str = "/") -> Iterator[tuple[Path, int]]:
    """Yield the folders that may hold limits of `controller`, and their version.

    Those of the enclosing groups too, whose limits count as well. Some may not exist:
    inside a container the path in ``/proc/self/cgroup`` may be the host's; then only
    its root is there to be read.

    Parameters
    ----------
    controller : ``"cpu"``, ``"memory"``.
    root : where the system's files are.

    Yields
    ------
    A folder, and 1 or 2: the version of cgroups, whose files have other names.
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
    """Text of a small system file, stripped; ``""`` if it cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
