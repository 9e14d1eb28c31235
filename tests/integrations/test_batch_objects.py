"""Jobs whose files are objects of a store that speaks S3."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.jobs import run
from llamacy.jobs.ledger import Ledger
from llamacy.jobs.storage import stored
from llamacy.model.model import Model
from tests.support.jobs import SUMS, write_sums
from tests.support.levels import rows_alone

pytestmark = pytest.mark.integrations
fs: Any = pytest.importorskip("pyarrow.fs", reason="pyarrow is absent")
parquet: Any = pytest.importorskip("pyarrow.parquet", reason="pyarrow is absent")
moto_server: Any = pytest.importorskip("moto.server", reason="moto is absent")

PROMPT = "What is {a} + {b}?"
OPTIONS: dict[str, Any] = {"prompt": PROMPT, "temperature": 1.2, "max_tokens": 4}


@pytest.fixture(scope="module")
def query() -> Iterator[str]:
    """The query of addresses of a store with a bucket named `rows`."""
    server = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        query = f"?endpoint_override={host}:{port}&scheme=http&region=us-east-1"
        store, _ = fs.FileSystem.from_uri(
            f"s3://rows{query}&allow_bucket_creation=true"
        )
        store.create_dir("rows")
        yield query
    server.stop()


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with rows_alone(), llamacy.load("demo", n_threads=1) as loaded:
        yield loaded


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")  # where ledgers of objects are


def policy_of(host: str, user: str, *actions: str) -> dict[str, str]:
    """Let a new user do some actions; return the environment with the user's key."""
    boto3: Any = pytest.importorskip("boto3")
    iam = boto3.client("iam", endpoint_url=host, region_name="us-east-1")
    allowed = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.create_user(UserName=user)
    iam.put_user_policy(UserName=user, PolicyName=user, PolicyDocument=document)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }


def put(address: str, path: Path) -> None:
    store, key = fs.FileSystem.from_uri(address)
    fs.copy_files(str(path), key, destination_filesystem=store)


def content(address: str) -> bytes:
    with stored("x", address).open() as file:
        return file.read()


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_job_of_objects_goes_on_and_gives_the_bytes_of_one_of_files(
    query: str,
    model: Model,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    suffix: str,
) -> None:
    monkeypatch.setattr("llamacy.jobs.local._TOLD_SECONDS", 0)
    rows = write_sums(tmp_path / "in.jsonl", SUMS * 4)
    wanted, local = tmp_path / f"wanted{suffix}", tmp_path / f"in{suffix}"
    if suffix == ".parquet":
        import pyarrow.json

        parquet.write_table(pyarrow.json.read_json(rows), local)
    run(model, local, wanted, **OPTIONS)
    source, target = (f"s3://rows/a/{n}{suffix}{query}" for n in ("in", "out é"))
    put(source, local)
    cancel = threading.Event()
    ended = run(
        model,
        source,
        target,
        cancel=cancel,
        progress=lambda progress: cancel.set(),
        **OPTIONS,
    )
    assert not ended.is_complete
    assert [each.name for each in Path().iterdir()] == [f"out é{suffix}.part"]
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "remove", lambda ledger: ledger._file.close())
        done = run(model, source, target, **OPTIONS)
    assert 0 < done.n_before <= ended.n_done
    assert content(target) == wanted.read_bytes()
    # it was killed after it had written
    assert run(model, source, target, **OPTIONS).n_before == len(SUMS) * 4
    assert not list(Path().iterdir())
    with pytest.raises(llamacy.ModelFileError, match=f"out é{suffix}: exists already"):
        run(model, source, target, **OPTIONS)


def test_a_job_that_ends_while_it_writes_leaves_the_object_as_it_is(
    query: str, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = write_sums(tmp_path / "in.jsonl"), f"s3://rows/b.jsonl{query}"
    put(target, source)

    def fail(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("llamacy.jobs.outputs.lines.check_same", fail)
        with pytest.raises(KeyboardInterrupt):
            run(model, source, target, overwrite=True, **OPTIONS)
    assert content(target) == source.read_bytes()
    assert [each.name for each in Path().iterdir()] == ["b.jsonl.part"]
    assert run(model, source, target, overwrite=True, **OPTIONS).n_before == len(SUMS)
    assert b"answer" in content(target)


@pytest.mark.parametrize("actions", ["s3:PutObject", "s3:PutObject s3:GetObject"])
def test_a_user_who_may_not_look_may_write(
    query: str,
    model: Model,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    actions: str,
) -> None:
    rows, name = write_sums(tmp_path / "in.jsonl"), actions.replace(":", "-")
    wanted, target = tmp_path / "out.jsonl", f"s3://rows/{name}.jsonl{query}"
    run(model, rows, wanted, **OPTIONS)
    host = f"http://{query.partition('=')[2].partition('&')[0]}"
    keys = policy_of(host, name.replace(" ", "-"), *actions.split())
    with monkeypatch.context() as patch:
        for variable, value in keys.items():
            patch.setenv(variable, value)
        patch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0.0)
        with pytest.raises(llamacy.ModelFileError, match="may exist already"):
            run(model, rows, target, **OPTIONS)
        patch.setattr(Ledger, "remove", lambda ledger: ledger._file.close())
        for n_before in (0, len(SUMS)):  # the second goes on, and writes it again
            done = run(model, rows, target, overwrite=True, **OPTIONS)
            assert (done.is_complete, done.n_before) == (True, n_before)
    assert content(target) == wanted.read_bytes()


def test_what_is_wrong_is_said_before_the_model_is_loaded(
    query: str, tmp_path: Path
) -> None:
    rows = write_sums(tmp_path / "in.jsonl")
    source = f"s3://rows/in.jsonl{query}"
    put(source, rows)
    wrong = llamacy.ArgumentError, llamacy.ModelFileError
    for given, target, message in (
        (f"s3://rows/none.jsonl{query}", "out.jsonl", "none.jsonl: No such file"),
        (f"s3://none/in.jsonl{query}", "out.jsonl", "none/in.jsonl: No such file"),
        (source, f"s3://none/out.jsonl{query}", "out.jsonl: no bucket none"),
        (source, source, "in.jsonl: wanted another file than the input"),
        (source, f"s3://rows/out.txt{query}", "wanted a name that ends in .jsonl"),
        (f"s3://rows{query}", "out.jsonl", "source: wanted a bucket and a name"),
        (f"s3://rows/in.jsonl{query}&x=1", "out.jsonl", "source: .*'x'"),
        ("ftp://rows/in.jsonl", "out.jsonl", "source: .* begins with s3:// or gs://"),
        (f"s3://me:secret@rows/x{query}&x=1", "out.jsonl", "source: .*'x'"),
        (f"s3://me:secret@ro ws/x{query}", "out.jsonl", "source: Cannot parse URI$"),
        (f"s3://me:secret@rows/x{query}", "out.jsonl", "^s3://rows/x: wanted a name"),
        ("s3://me:secret℀@rows/x.jsonl", "out.jsonl", "source: .* not well formed"),
        ("s3://rows/\udc80.jsonl", "out.jsonl", "source: .* not well formed"),
    ):
        with pytest.raises(wrong, match=message) as caught:
            run("no such model", given, target, **OPTIONS)
        assert "secret" not in str(caught.value)
    with pytest.raises(llamacy.ModelFileError, match="none.jsonl: No such file"):
        stored("x", f"s3://rows/none.jsonl{query}").size()
    with pytest.raises(llamacy.ArgumentError, match="prompt: .*no column"):
        run("no such model", source, "out.jsonl", prompt="{none}")
    ledger = f"s3://me:secret@rows/x.part{query}"
    with pytest.raises(llamacy.ArgumentError, match="ledger: wanted a path") as caught:
        run("no such model", source, "out.jsonl", ledger=ledger, **OPTIONS)
    assert "secret" not in str(caught.value)
    assert not list(Path().iterdir())
