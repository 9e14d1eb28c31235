"""Check wheels before they are given to others.

python tools/check_wheel.py WHEEL ...

Each must be small enough, say whose Pythons it is for, and contain nothing that differs
from one build to the next: no times but SOURCE_DATE_EPOCH's, if that is set, and no
paths of the folder in which it was built. Its own modules must run with the glibc of
manylinux_2_28; the libraries that auditwheel adds are its own concern.
"""

from __future__ import annotations

import os
import re
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

MOST_BYTES = 12_000_000
NEWEST_GLIBC = 28  # 2.28
GLIBC = re.compile(rb"GLIBC_2\.(\d+)")
TAGS = re.compile(r"llamacy-[^-]+-(cp311-abi3|cp314-cp314t)-[^-]+\.whl")


def faults(wheel: Path) -> Iterator[str]:
    """Yield what is wrong with a wheel."""
    size = wheel.stat().st_size
    if size > MOST_BYTES:
        yield f"wanted at most {MOST_BYTES} bytes, found {size}"
    if not TAGS.fullmatch(wheel.name):
        yield "wanted a name with cp311-abi3 or cp314-cp314t"
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if not _is_dated(member):
                yield f"{member.filename}: of {member.date_time}"
            content = archive.read(member)
            if os.fsencode(Path.cwd()) in content:
                yield f"{member.filename}: names {Path.cwd()}"
            if re.fullmatch(r"llamacy/.*\.so", member.filename):
                newest = max((int(each) for each in GLIBC.findall(content)), default=0)
                if newest > NEWEST_GLIBC:
                    yield f"{member.filename}: needs glibc 2.{newest}"


def _is_dated(member: zipfile.ZipInfo) -> bool:
    """Whether a member is of the time of SOURCE_DATE_EPOCH, or none is wanted.

    Zip files count seconds by twos; years before 1980 cannot be written.
    """
    if "SOURCE_DATE_EPOCH" not in os.environ:
        return True
    wanted = max(int(os.environ["SOURCE_DATE_EPOCH"]), 315532800)
    return member.date_time[:5] == time.gmtime(wanted)[:5]


def main() -> None:
    """Run as a command; the exit status tells whether all is well."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    failed = False
    for wheel in map(Path, sys.argv[1:]):
        print(f"{wheel.name}: {wheel.stat().st_size} bytes")
        for fault in faults(wheel):
            print(f"{wheel.name}: {fault}")
            failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
