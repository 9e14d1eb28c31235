"""Faults of a cluster: errors say their causes, and nothing is lost."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

import llamacy
from llamacy.jobs import run
from llamacy.jobs.columns import ColumnTask
from llamacy.jobs.ray.crew import Crew
from llamacy.jobs.ray.rows_left import RowsLeft
from llamacy.jobs.ray.worker import Begun, LoadArguments
from llamacy.jobs.requests import COMPLETIONS, EMBEDDINGS
from llamacy.model_files.sources import find_source
from tests.support.command_process import COMMAND, ENVIRONMENT, posix
from tests.support.jobs import line_of, read_lines, sum_body, write_sums
from tests.support.levels import rows_alone

pytestmark = pytest.mark.integrations
pytest.importorskip("ray", reason="Ray is absent")

PROMPT = "What is {a} + {b}?"


def test_requests_are_answered_as_in_a_process(cluster: Any, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    texts = {"prompt": ["One day", "Once"], "max_tokens": 6, "n": 2, "temperature": 1.2}
    bodies = [
        *((sum_body(n, 2 * n, temperature=1.1, n=1 + n % 2), None) for n in range(40)),
        (texts, COMPLETIONS),
        ({"input": ["one", "two"], "dimensions": 4}, EMBEDDINGS),
        ({"input": 3}, EMBEDDINGS),
    ]
    lines = [
        line_of(str(n), body, *([url] if url else []))
        for n, (body, url) in enumerate(bodies)
    ]
    source.write_bytes(b"\n".join([*lines, b"no request"]))
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    with rows_alone(), llamacy.load("demo", n_threads=1) as model:
        run(model, source, one, seed=5)
        done = run(model, source, two, seed=5, ray="auto")
    assert two.read_bytes() == one.read_bytes()
    assert (done.n_done, done.n_failed) == (44, 2)


def test_a_node_with_another_model_is_left_out(
    cluster: Any, homes: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nodes with homes of their own have files of their own at one path."""
    demo = find_source("demo").path.read_bytes()
    other = demo[:-1] + bytes([demo[-1] ^ 1])  # the last byte is one of a weight
    for home, model in zip(homes, (demo, other), strict=True):
        (home / "m.gguf").write_bytes(model)
    source, target = write_sums(tmp_path / "in.jsonl"), tmp_path / "out.jsonl"
    with caplog.at_level(logging.WARNING, "llamacy.jobs"):
        task = ColumnTask(prompt=PROMPT)
        with Crew(task, LoadArguments("~/m.gguf", {"n_threads": 1})) as both:
            assert both.identity() is not None
            end = monotonic() + 60
            while not both._faults and monotonic() < end:
                assert not [*both._step(RowsLeft([]))]
            (fault,) = both._faults.values()
    assert isinstance(fault, llamacy.FormatError)
    assert "wanted the model that other nodes have, found another" in str(fault)
    assert "cannot do the job: ~/m.gguf: " in caplog.text
    run("~/m.gguf", source, target, prompt=PROMPT, ray="auto", temperature=0)
    assert len(read_lines(target)) == len(read_lines(source))


def test_a_node_with_another_version_is_an_error() -> None:
    crew = Crew(ColumnTask(prompt=PROMPT), LoadArguments("demo", {}))
    with pytest.raises(llamacy.LlamacyError, match=r"wanted llamacy .*, found 0\.0"):
        crew._check(Begun("0.0", {}))


def test_a_model_that_no_node_has_memory_for_is_an_error(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_sums(tmp_path / "in.jsonl")
    monkeypatch.setattr("llamacy.jobs.ray.driving.memory_of", lambda arguments: 2**50)
    with pytest.raises(llamacy.LlamacyError, match="wanted 1e.06 GiB of memory"):
        run("demo", source, tmp_path / "out.jsonl", prompt=PROMPT, ray="auto")
    assert [each.name for each in tmp_path.iterdir()] == ["in.jsonl"]


@posix
def test_a_driver_that_is_killed_loses_only_rows_under_way(
    cluster: Any, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps({"a": n, "b": n}) + "\n" for n in range(300)))
    options: list[Any] = ["-p", PROMPT, "-n", "24", "--temp", "1.3"]
    options += ["-t", "1", "--ray", cluster.address]
    words = [*COMMAND, "batch", "demo", source, target, *options]
    driver = subprocess.Popen(words, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    part = Path(f"{target}.part")
    try:
        end = monotonic() + 60
        while not part.exists() or part.read_bytes().count(b"\n") < 20:
            assert driver.poll() is None and monotonic() < end
            sleep(0.01)
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    assert not target.exists()
    job: dict[str, Any] = {"prompt": PROMPT, "max_tokens": 24, "temperature": 1.3}
    with rows_alone(), llamacy.load("demo", n_threads=1) as model:
        done = run(model, source, target, ray="auto", **job)
        assert 19 <= done.n_before < done.n_done == 300
        wanted = tmp_path / "wanted.jsonl"
        run(model, source, wanted, **job)
    assert target.read_bytes() == wanted.read_bytes()
