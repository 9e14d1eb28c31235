"""Print the oldest versions that pyproject.toml allows, as constraints for pip.

python tools/oldest_versions.py [EXTRA ...] > oldest.txt
pip install --constraint oldest.txt WHEEL

Takes the requirements of llamacy and of the extras named. Their own requirements are
left to pip, which takes the newest versions.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
REQUIREMENT = re.compile(r"([\w-]+)(?:\[.*\])?>=([\w.]+)")


def oldest(requirements: list[str]) -> list[str]:
    """Return constraints to the lower bounds of requirements; exit if one has none."""
    pins = []
    for requirement in requirements:
        found = REQUIREMENT.fullmatch(requirement)
        if found is None:
            sys.exit(f"{requirement}: wanted NAME>=VERSION")
        pins.append("{}=={}".format(*found.groups()))
    return pins


def main() -> None:
    """Run as a command."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    for extra in sys.argv[1:]:
        wanted += project["optional-dependencies"][extra]
    own = f"{project['name']}["
    print(*oldest([each for each in wanted if not each.startswith(own)]), sep="\n")


if __name__ == "__main__":
    main()
