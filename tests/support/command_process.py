"""Running the command line as a process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import llamacy

COMMAND = [sys.executable, "-P", "-m", "llamacy"]
# finds the package under test from any directory
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(llamacy.__file__).parents[1])}

posix = pytest.mark.skipif(os.name != "posix", reason="signals and terminals of POSIX")
