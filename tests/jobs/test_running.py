"""`llamacy.jobs.run`: outputs, errors before the model loads, and going on."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.jobs import run
from llamacy.jobs.ledger import Ledger
from llamacy.jobs.storage.disk import StoredFile, draft_beside
from llamacy.model.model import Model
from tests.support.command_process import COMMAND, ENVIRONMENT, posix
from tests.support.jobs import SUMS, line_of, read_lines, sum_body, write_sums
from tests.support.levels import level_of_rows_alone, rows_alone

GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": 8}
PROMPT = "What is {a} + {b}?"


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with rows_alone(), llamacy.load("demo", n_threads=1) as loaded:
        yield loaded


def test_answers_stand_beside_the_rows_as_they_are(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llamacy.jobs.inputs.lines.N_ROWS", 4)  # looked at beforehand
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rows = ['{"a": 12, "b": 30, "id": 12345678901234567890.10}', '{"a":3 ,"b":4 }']
    source.write_text("\n".join([*rows, "{}", "[]", '{"a": 1, "b": 1, "error": 2}']))
    told: list[llamacy.jobs.JobProgress] = []
    done = run(model, source, target, prompt=PROMPT, progress=told.append, **GREEDY)
    lines = target.read_text().splitlines()
    assert lines[0].startswith(rows[0][:-1] + ', "answer": "42", "finish_reason": ')
    assert lines[1].startswith(rows[1][:-2] + ', "answer": "7", ')
    found = read_lines(target)
    columns = ["answer", "finish_reason", "prompt_tokens", "completion_tokens", "error"]
    assert all(list(each)[-5:] == columns for each in found[:4])
    assert [each["error"] is None for each in found] == [True, True, *[False] * 3]
    assert found[4]["error"] == "'error': the row has such a field already"
    assert (done.n_done, done.n_failed, done.is_complete) == (5, 3, True)
    assert done == told[-1]
    assert done.completion_tokens == sum(
        each["completion_tokens"] for each in found[:2]
    )
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_outputs_of_jobs_are_inputs_of_others(model: Model, tmp_path: Path) -> None:
    source, one, two = (tmp_path / name for name in ("in.csv", "one.jsonl", "2.jsonl"))
    source.write_text("a,b,when\n12,30,2024-01-01\n3,4,\n")
    run(model, source, one, prompt=PROMPT, limit=1, answer="sum", **GREEDY)
    run(model, one, two, prompt="{sum} {{", raw=True, answer="next", **GREEDY)
    (found,) = read_lines(two)
    assert found["when"] == "2024-01-01"
    assert (found["sum"], found["sum_error"], found["next_error"]) == ("42", None, None)
    wanted = model.generate("42 {", **GREEDY)
    assert found["next"] == wanted.text


def test_a_form_of_answers_holds_for_all_rows(model: Model, tmp_path: Path) -> None:
    pytest.importorskip("llguidance")
    source, target = write_sums(tmp_path / "in.jsonl"), tmp_path / "out.jsonl"
    run(model, source, target, prompt=PROMPT, choices=["yes", "no"], **GREEDY)
    assert {each["answer"] for each in read_lines(target)} <= {"yes", "no"}


NEW = {"prompt": PROMPT}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": "What is {a} + {c}?"}, "prompt: no column 'c'; wanted one of a, b"),
        ({"prompt": "What is {a?"}, "prompt: wanted the name of a column in braces"),
        ({"prompt": "What?"}, "prompt: wanted the name of a column in it"),
        ({"prompt": b"{a}"}, "prompt: wanted a text with names of columns"),
        ({"prompt": "{a} \ud800"}, "prompt: wanted Unicode, found a lone surrogate"),
        ({**NEW, "system": "\ud800"}, "system: wanted Unicode"),
        ({**NEW, "answer": "\ud800"}, "answer: wanted Unicode"),
        ({**NEW, "answer": "a"}, "answer: the input has a column 'a' already"),
        ({**NEW, "temprature": 1}, "did you mean temperature"),
        ({**NEW, "temperature": -1}, "temperature: wanted"),
        ({**NEW, "tools": [print]}, "tools: not for a column of answers"),
        ({**NEW, "template_arguments": {"x": {1}}}, "options: wanted values of JSON"),
        ({**NEW, "raw": True, "system": "x"}, "system: raw prompts have no messages"),
        ({**NEW, "limit": 0}, "limit: wanted an integer of at least 1"),
        ({**NEW, "seed": -1}, "seed: wanted"),
        ({"temperature": 0}, "temperature: requests have options of their own"),
        ({"answer": "x"}, "answer: requests have options"),
        ({**NEW, "target": "in.jsonl"}, "wanted another file than the input"),
        ({**NEW, "target": "out.csv"}, "out.csv: wanted a name that ends in .jsonl"),
        ({**NEW, "target": "no/out.jsonl"}, "No such file or directory"),
        ({**NEW, "target": "there.jsonl"}, "there.jsonl: exists already"),
        ({"source": "requests.csv"}, "prompt: wanted a template"),
        ({"target": "out.parquet"}, "wanted a name that ends in .jsonl, the form of"),
        ({**NEW, "progress": 1}, "progress: wanted"),
    ],
)
def test_what_is_wrong_is_said_before_the_model_is_loaded(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_sums(tmp_path / "in.jsonl")
    (tmp_path / "requests.csv").write_text("a\n1\n")
    (tmp_path / "there.jsonl").write_text("mine")
    before = sorted(tmp_path.iterdir())
    files = {"source": "in.jsonl", "target": "out.jsonl"} | options
    with pytest.raises(llamacy.LlamacyError, match=message):
        run("no such model", **files)
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.jsonl").read_text() == "mine"


def test_two_requests_with_one_id_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    lines = [line_of(str(i % 7), sum_body(1, i)) for i in range(8)]
    source.write_bytes(b"\n".join([b"{", *lines]))
    message = r"in.jsonl: rows 2 and 9 have one custom_id: '0'"
    with pytest.raises(llamacy.ArgumentError, match=message):
        run("no such model", source, tmp_path / "out.jsonl")


def test_ids_are_compared_again_when_a_job_goes_on_with_more_rows(
    model: Model, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    lines = [line_of(str(i % 3), sum_body(1, i)) for i in range(4)]
    source.write_bytes(b"\n".join(lines))
    with pytest.raises(KeyboardInterrupt), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "sync_soon", interrupt)
        run(model, source, target, limit=3)
    with pytest.raises(llamacy.ArgumentError, match="rows 1 and 4 have one custom_id"):
        run("no such model", source, target)


def interrupt(ledger: Ledger) -> None:
    raise KeyboardInterrupt


def test_a_job_goes_on_where_it_was(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = write_sums(tmp_path / "in.jsonl", SUMS * 6), tmp_path / "out.jsonl"
    options: dict[str, Any] = {"prompt": PROMPT, "temperature": 1.2, "max_tokens": 3}
    run(model, source, tmp_path / "want.jsonl", **options)
    cancel = threading.Event()

    def stop(entries: Any, n: int, error: type[BaseException] | None) -> None:
        add = Ledger.add

        def counted(ledger: Ledger, *entry: Any) -> None:
            add(ledger, *entry)
            if ledger.n_done >= n:
                if error is not None:
                    raise error
                cancel.set()

        monkeypatch.setattr(Ledger, "add", counted)

    with pytest.raises(KeyboardInterrupt), monkeypatch.context() as monkeypatch:
        stop(None, 20, KeyboardInterrupt)
        run(model, source, target, **options)
    assert not target.exists()
    with pytest.raises(llamacy.ArgumentError, match="with job temperature 1.2, not 1"):
        run(model, source, target, **{**options, "temperature": 1})
    with llamacy.load("demo", n_ctx=64, n_threads=1) as other:
        with pytest.raises(llamacy.ArgumentError, match="with model n_ctx 512, not 64"):
            run(other, source, target, **options)
    with monkeypatch.context() as monkeypatch:
        stop(None, 40, None)
        done = run(model, source, target, cancel=cancel, **options)
        assert (done.is_complete, done.n_before) == (False, 20)
        assert done.n_done >= 40
    lines = source.read_bytes().splitlines(keepends=True)
    changed = [lines[0].replace(b"12", b"21"), *lines[1:]]
    source.write_bytes(b"".join(changed))
    with pytest.raises(llamacy.ArgumentError, match="with input digest"):
        run(model, source, target, **options)
    source.write_bytes(b"".join(lines))
    done = run(model, source, target, **options)
    assert (done.n_done, done.is_complete) == (len(lines), True)
    assert done.n_before >= 40
    assert target.read_bytes() == (tmp_path / "want.jsonl").read_bytes()


def test_a_job_that_was_killed_before_it_removed_its_ledger_ends_quietly(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = write_sums(tmp_path / "in.jsonl"), tmp_path / "out.jsonl"
    part = Path(f"{target}.part")

    def again(**options: Any) -> llamacy.jobs.JobProgress:
        return run(model, source, target, prompt=PROMPT, **{**GREEDY, **options})

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "remove", lambda ledger: ledger._file.close())
        again()
    whole, kept = target.read_bytes(), part.read_bytes()
    with pytest.raises(llamacy.ArgumentError, match="job seed 0, not 1"):
        again(seed=1)
    with pytest.raises(llamacy.ModelFileError, match="exists already"):
        again(limit=4)
    target.write_bytes(whole[:-1])
    with pytest.raises(llamacy.ModelFileError, match="exists already"):
        again()
    assert part.read_bytes() == kept
    target.write_bytes(whole)
    done = again()
    assert (done.n_done, done.n_before, done.is_complete) == (8, 8, True)
    assert target.read_bytes() == whole
    assert not part.exists()
    part.write_bytes(kept)
    target.unlink()  # the output had not got its name
    assert again().n_before == 8
    assert target.read_bytes() == whole
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_a_draft_that_a_killed_job_has_left_is_replaced(
    model: Model, tmp_path: Path
) -> None:
    source, target = write_sums(tmp_path / "in.jsonl"), tmp_path / "out.jsonl"
    left = Path(draft_beside(str(target), f"{target}.part"))
    left.write_text("half of")
    run(model, source, target, prompt=PROMPT, **GREEDY)
    assert len(read_lines(target)) == len(SUMS)
    assert not left.exists()


def test_jobs_with_ledgers_of_their_own_write_whole_files(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    output = StoredFile(str(target))

    def write_one(draft: str) -> None:
        Path(draft).write_text("one")
        output.replace(write_two, "two.part")
        assert target.read_text() == "two"

    def write_two(draft: str) -> None:
        Path(draft).write_text("two")

    output.replace(write_one, "one.part")
    assert target.read_text() == "one"
    assert [*tmp_path.iterdir()] == [target]


def test_a_ledger_may_be_elsewhere(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llamacy.jobs.local._TOLD_SECONDS", 0)
    source = write_sums(tmp_path / "in.jsonl", SUMS * 6)
    target, ledger = tmp_path / "out.jsonl", tmp_path / "other" / "ledger"
    ledger.parent.mkdir()
    for wrong in (target, source):
        with pytest.raises(llamacy.ArgumentError, match="ledger: wanted another file"):
            run(model, source, target, prompt=PROMPT, ledger=wrong)
    cancel = threading.Event()
    run(
        model,
        source,
        target,
        prompt=PROMPT,
        ledger=ledger,
        cancel=cancel,
        progress=lambda progress: cancel.set(),
        **GREEDY,
    )
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["in.jsonl"]
    done = run(model, source, target, prompt=PROMPT, ledger=ledger, **GREEDY)
    assert done.n_before > 0
    assert not ledger.exists()


def test_a_row_that_has_changed_meanwhile_is_found(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = write_sums(tmp_path / "in.jsonl"), tmp_path / "out.jsonl"
    monkeypatch.setattr("llamacy.jobs.inputs._END_BYTES", 4)
    add = Ledger.add

    def change(ledger: Ledger, *entry: Any) -> None:
        add(ledger, *entry)
        if ledger.n_done == len(SUMS):
            source.write_text(source.read_text().replace("30", "31"))

    monkeypatch.setattr(Ledger, "add", change)
    with pytest.raises(llamacy.ArgumentError, match="row 1 is another than the one"):
        run(model, source, target, prompt=PROMPT, **GREEDY)
    assert not target.exists()


@posix
def test_a_process_that_is_killed_loses_only_rows_under_way(
    model: Model, tmp_path: Path
) -> None:
    source, target = write_sums(tmp_path / "in.jsonl", SUMS * 5), tmp_path / "o.jsonl"
    words = [str(source), str(target), "--prompt", PROMPT, "-n", "6", "-t", "1"]
    part = tmp_path / "o.jsonl.part"
    environment = {**ENVIRONMENT, "LLAMACY_ISA": level_of_rows_alone().name}
    with subprocess.Popen([*COMMAND, "batch", "demo", *words], env=environment) as one:
        deadline = time.monotonic() + 60
        while n_lines(part) < 9 and time.monotonic() < deadline:
            time.sleep(0.005)
        one.kill()
    assert one.returncode == -signal.SIGKILL
    n_before = n_lines(part) - 1
    options: dict[str, Any] = {"prompt": PROMPT, "max_tokens": 6}
    done = run(model, source, target, **options)
    assert done.n_before >= n_before - 1  # of which one may not be whole
    run(model, source, tmp_path / "want.jsonl", **options)
    assert target.read_bytes() == (tmp_path / "want.jsonl").read_bytes()


def n_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0
