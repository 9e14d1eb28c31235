"""The command that measures llamacy beside its peers runs, and reports its results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from statistics import median

import pytest

import llamacy
from llamacy.kernels import selected

PEERS = Path(__file__).resolve().parents[2] / "bench" / "peers.py"
# The package under test, in whatever folder the tests run.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(llamacy.__file__).parents[1])}


def peers(*words: object) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, str(PEERS), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)


def test_results_of_each_engine_are_printed_and_written(
    babble_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "results.json"
    sizes = ["-p", 12, "-n", 3, "-d", 5, "-r", 2, "-t", 1]
    sizes += ["--texts", "1,3"]
    done = peers(babble_model, *sizes, "--note", "tiny", "--json", path)
    assert done.returncode == 0, done.stderr
    report = json.loads(path.read_text(encoding="utf-8"))
    assert report["n_threads"] == 1
    assert report["isa"] == selected().name
    assert report["versions"]["llamacy"] == llamacy.__version__
    assert report["note"] == "tiny"
    rows = [row for row in report["results"] if row["engine"] == "llamacy"]
    assert [(row["test"], row.get("texts", 1)) for row in rows] == [
        ("pp12", 1),
        ("tg3", 1),
        ("tg3", 3),
    ]
    for row in rows:
        assert row["model"] == babble_model.stem
        assert row["depth"] == 5
        assert len(row["repetitions"]) == 2
        assert min(row["repetitions"]) > 0
        assert row["tokens_per_second"] == median(row["repetitions"])
        assert f"{row['tokens_per_second']:.2f} tokens/s" in done.stdout


@pytest.mark.server
def test_servers_are_measured_with_their_clients(
    babble_model: Path, tmp_path: Path
) -> None:
    pytest.importorskip("llamacy.server", exc_type=ImportError)
    path = tmp_path / "results.json"
    sizes = ["-p", 0, "-n", 3, "-r", 1, "-t", 1, "--texts", 2]
    done = peers(babble_model, *sizes, "--clients", 2, "--json", path)
    assert done.returncode == 0, done.stderr
    found = [
        (row["engine"], row["test"], row["texts"])
        for row in json.loads(path.read_text(encoding="utf-8"))["results"]
    ]
    assert found == [("llamacy", "tg3", 2), ("llamacy", "sv3", 2)]


def test_a_context_that_is_too_short_is_refused(babble_model: Path) -> None:
    done = peers(babble_model, "-p", 200, "-n", 3, "-d", 57)
    assert done.returncode == 1
    assert "wanted a context of 257 tokens, found 256" in done.stderr


def test_a_program_that_is_not_there_is_refused(babble_model: Path) -> None:
    for option in ("--ik", "--peer-python"):
        done = peers(babble_model, option, "no/such/program")
        assert done.returncode == 2
        assert f"{option}: wanted a program, found 'no/such/program'" in done.stderr


def test_a_program_is_found_from_any_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "llama-bench").touch(0o755)
    monkeypatch.syspath_prepend(PEERS.parent)
    monkeypatch.chdir(tmp_path)
    found = import_module("peers").program("./llama-bench")
    assert found == str(tmp_path / "llama-bench")
