"""Jobs on a cluster give the bytes of jobs in a process, whatever dies meanwhile."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.jobs import JobProgress, run
from llamacy.jobs.ray.crew import Crew
from llamacy.model.model import Model
from tests.support.command_process import COMMAND, ENVIRONMENT
from tests.support.jobs import SUMS, read_lines, write_sums
from tests.support.levels import rows_alone

pytestmark = pytest.mark.integrations
pytest.importorskip("ray", reason="Ray is absent")

N_ROWS = 300
LARGE = 2**53 + 1
OPTIONS: dict[str, Any] = {"raw": True, "temperature": 1.3, "max_tokens": 12}
PROMPT = "{n}, {text}: {large} and"


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with rows_alone(), llamacy.load("demo", n_threads=1) as loaded:
        yield loaded


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Rows that Ray's own reader would change: dates, and numbers beside nulls."""
    rows = [
        {
            "n": n,
            "text": f"2024-01-{n % 28 + 1:02}",
            "large": LARGE if n % 2 else None,
        }
        for n in range(N_ROWS)
    ]
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def wanted(model: Model, source: Path, tmp_path: Path) -> bytes:
    """The output of the job in this process."""
    target = tmp_path / "wanted.jsonl"
    run(model, source, target, prompt=PROMPT, **OPTIONS)
    return target.read_bytes()


def test_output_is_that_of_a_job_in_a_process(
    cluster: Any, model: Model, source: Path, wanted: bytes, tmp_path: Path
) -> None:
    target = tmp_path / "out.jsonl"
    done = run(model, source, target, prompt=PROMPT, ray="auto", **OPTIONS)
    assert target.read_bytes() == wanted
    assert (done.n_done, done.n_before, done.n_failed) == (N_ROWS, 0, N_ROWS // 2)
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "in.jsonl",
        "out.jsonl",
        "wanted.jsonl",
    ]


def test_errors_are_those_of_a_job_in_a_process(
    cluster: Any, source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.jsonl"
    with pytest.raises(llamacy.ModelFileError, match="no such model"):
        run("no such model.gguf", source, target, prompt=PROMPT, ray="auto")
    assert not list(tmp_path.glob("out*"))


def test_rows_of_lost_workers_and_nodes_are_done_once(
    cluster: Any,
    model: Model,
    source: Path,
    wanted: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ray

    crews: list[Crew] = []

    def enter(crew: Crew) -> Crew:
        crews.append(crew)
        return crew

    monkeypatch.setattr(Crew, "__enter__", enter)
    node = cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    kills = [50, 100, 150]

    def kill(progress: JobProgress) -> None:
        if not kills or progress.n_done < kills[0]:
            return
        if len(kills) == 1:
            cluster.remove_node(node, allow_graceful=False)
            del kills[0]
            return
        for hand in crews[0]._crew.values():
            if hand.is_ready:
                ray.kill(hand.actor)
                del kills[0]
                break

    monkeypatch.setattr("llamacy.jobs.local._TOLD_SECONDS", 0)
    target = tmp_path / "out.jsonl"
    done = run(
        model, source, target, prompt=PROMPT, ray="auto", progress=kill, **OPTIONS
    )
    assert not kills
    assert target.read_bytes() == wanted
    assert done.n_done == N_ROWS


def test_job_goes_on_where_it_was_on_a_cluster_or_off_it(
    cluster: Any, model: Model, source: Path, wanted: bytes, tmp_path: Path
) -> None:
    target = tmp_path / "out.jsonl"
    cancel = threading.Event()
    ended = run(
        model,
        source,
        target,
        prompt=PROMPT,
        ray="auto",
        cancel=cancel,
        progress=lambda progress: cancel.set(),
        **OPTIONS,
    )
    assert 0 < ended.n_done < N_ROWS
    assert not ended.is_complete
    done = run(model, source, target, prompt=PROMPT, **OPTIONS)
    assert 0 < done.n_before <= ended.n_done
    assert target.read_bytes() == wanted


def test_cluster_that_is_absent_is_an_error(tmp_path: Path) -> None:
    source = write_sums(tmp_path / "in.jsonl")
    words: list[Any] = [
        source,
        tmp_path / "out.jsonl",
        "-p",
        "{a}",
        "--ray",
        "127.0.0.1:1",
    ]
    command = [*COMMAND, "batch", "demo", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 1
    assert "ray: no cluster at '127.0.0.1:1': " in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["in.jsonl"]


def test_address_of_ray_client_is_refused(tmp_path: Path) -> None:
    source = write_sums(tmp_path / "in.jsonl")
    with pytest.raises(llamacy.ArgumentError, match="ray: wanted host:port"):
        run("demo", source, tmp_path / "out.jsonl", prompt="{a}", ray="ray://x:1")


def test_cluster_of_this_machine_is_begun_and_ended(tmp_path: Path) -> None:
    source, target = write_sums(tmp_path / "in.jsonl"), tmp_path / "out.jsonl"
    words: list[Any] = [
        source,
        target,
        "-p",
        "What is {a} + {b}?",
        "--ray",
        "local",
        "-t",
        "1",
    ]
    command = [*COMMAND, "batch", "demo", *words, "--temp", "0", "-n", "8"]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{target}: {len(SUMS)} rows\n"
    assert [int(each["answer"]) for each in read_lines(target)] == [*map(sum, SUMS)]
