"""The command that puts servers under load runs, and reports its figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.test_peers import ENVIRONMENT, PEERS

pytestmark = pytest.mark.server


def test_the_server_and_the_library_are_measured_in_turn(
    babble_model: Path, tmp_path: Path
) -> None:
    pytest.importorskip("llamacy.server", exc_type=ImportError)
    figures = tmp_path / "figures.json"
    sizes = ["-p", 12, "-n", 4, "-t", 1, "--clients", 2, "--requests", 1, "--rounds", 1]
    words = [PEERS.with_name("serve_load.py"), babble_model, *sizes, "--json", figures]
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    engines = json.loads(figures.read_text(encoding="utf-8"))[babble_model.stem]
    assert list(engines) == ["llamacy serve", "library"]
    for one in engines.values():
        assert one["tokens_per_second"] > 0
        assert 0 < one["first_p50"] <= one["first_p95"]
    assert "llamacy serve / library: " in done.stdout
