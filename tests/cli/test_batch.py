"""The options, the summary and the errors of `llamacy batch`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.cli.batch import span
from llamacy.jobs import run
from tests.support.jobs import line_of, read_lines, sum_body, write_sums
from tests.support.levels import rows_alone

Shell = Callable[..., Any]
PROMPT = ["--prompt", "What is {a} + {b}?"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_sums(tmp_path / "in.jsonl")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def test_rows_are_answered(shell: Shell, source: Path, target: Path) -> None:
    done = shell("batch", "demo", source, target, *PROMPT, "--temp", 0, "--limit", 3)
    assert (done.status, done.err) == (0, "")
    assert done.out == f"{target}: 3 rows\n"
    assert [each["answer"] for each in read_lines(target)] == ["42", "7", "42"]


def test_options_are_those_of_the_library(
    shell: Shell, source: Path, target: Path, tmp_path: Path
) -> None:
    template = tmp_path / "template.txt"
    template.write_text("{a}\n{b}\n")
    words = ["-f", template, "--raw", "--answer", "more", "-s", 5, "-n", 4]
    words += ["--top-k", 0, "--temp", 1.5, "-r", "zzz", "-l", "5-inf", "-t", 1]
    with rows_alone():
        done = shell("batch", "-m", "demo", source, target, *words, "-c", 128)
    assert done.status == 0, done.err
    wanted = tmp_path / "want.jsonl"
    options: dict[str, Any] = {"max_tokens": 4, "top_k": 0, "temperature": 1.5}
    options |= {"stop": "zzz", "logit_bias": {5: float("-inf")}, "seed": 5}
    with rows_alone(), llamacy.load("demo", n_ctx=128, n_threads=1) as model:
        run(
            model, source, wanted, prompt="{a}\n{b}", raw=True, answer="more", **options
        )
    assert target.read_bytes() == wanted.read_bytes()


def test_max_active_reaches_the_model(shell: Shell, source: Path, target: Path) -> None:
    done = shell("batch", "demo", source, target, *PROMPT, "--max-active", 600)
    assert done.status != 0
    assert "max_active: wanted an integer from 1 to 512, found 600" in done.err


def test_requests_of_openai_are_answered(shell: Shell, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    bodies = [sum_body(12, 30), sum_body(1, 1, temprature=1)]
    lines = [line_of(str(index), body) for index, body in enumerate(bodies)]
    source.write_bytes(b"\n".join(lines))
    done = shell("batch", "demo", source, target, "--seed", 3)
    assert done.out == f"{target}: 2 rows, 1 with errors\n"
    found = [each["response"]["status_code"] for each in read_lines(target)]
    assert found == [200, 400]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--prompt", "{c}"], "prompt: no column 'c'; wanted one of a, b"),
        (["--prompt", "{a}", "-f", "x"], "--prompt and --file: wanted one of them"),
        ([*PROMPT, "-s", -1], "--seed: wanted a number from 0, found -1"),
        ([*PROMPT, "--ignore-eos"], "--ignore-eos: not for a batch"),
        ([*PROMPT, "--chat-template-kwargs", "["], "wanted a JSON object"),
        (["--temp", 0], "--temperature: requests have options of their own"),
        (["more.jsonl"], "wanted an input and an output, found 3 files"),
        ([*PROMPT, "-n", 1, "--overwrit"], "--overwrit"),
    ],
)
def test_wrong_usage_is_said_before_the_model_is_looked_for(
    shell: Shell, source: Path, target: Path, words: list[Any], message: str
) -> None:
    done = shell("batch", "no-such-model", source, target, *words)
    assert done.status in (1, 2)
    assert message in done.err
    assert not target.exists()


def test_an_output_is_only_replaced_when_asked_for(
    shell: Shell, source: Path, target: Path
) -> None:
    target.write_text("mine")
    words = ["batch", "demo", source, target, *PROMPT, "-n", 1]
    done = shell(*words)
    assert (done.status, target.read_text()) == (1, "mine")
    assert "out.jsonl: exists already: choose another name, or have it" in done.err
    assert shell(*words, "--overwrite").status == 0
    assert len(read_lines(target)) == 8


def test_an_ended_batch_says_that_it_can_go_on(
    shell: Shell, source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llamacy.jobs.ledger import Ledger

    add = Ledger.add

    def interrupt(ledger: Ledger, *entry: Any) -> None:
        add(ledger, *entry)
        if ledger.n_done == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "add", interrupt)
        done = shell("batch", "demo", source, target, *PROMPT, "--temp", 0)
    assert done.status == 130
    assert "the same command goes on" in done.err
    done = shell("batch", "demo", source, target, *PROMPT, "--temp", 0)
    assert done.out == f"{target}: 8 rows, 5 of them from before\n"
    done = json.loads(target.read_text().splitlines()[0])
    assert done["answer"] == "42"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (3700, "1 h 1 min"), (200000, "2 d 7 h")],
)
def test_times_have_two_units_at_most(seconds: float, text: str) -> None:
    assert span(seconds) == text
