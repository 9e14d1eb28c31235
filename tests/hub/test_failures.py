"""Failures raise typed errors, and leave nothing incomplete."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

import llamacy
from llamacy.model_files.sources import locate
from llamacy.system.memory import MemoryState
from tests.support.hub_fixtures import REPO
from tests.support.hub_server import HubServer, Repo

FILE = "tiny-Q4_K_M.gguf"


def nothing_is_left(cache: Path) -> bool:
    """Return whether the cache contains neither a model nor parts of one."""
    files = [path for path in cache.rglob("*") if path.is_file()]
    return llamacy.cached_models() == [] and not [
        path for path in files if path.stat().st_size > 1000
    ]


def test_a_missing_repository_is_not_found(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = f"no repository user/none at {hub.url}, nor a path of that name.*HF_TOKEN"
    with pytest.raises(llamacy.HubNotFoundError, match=message):
        llamacy.load("user/none:Q8_0")
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    with pytest.raises(FileNotFoundError, match="check that the token"):
        llamacy.load("user/none")


def test_a_missing_revision_type_or_file_is_not_found(repo: Repo) -> None:
    with pytest.raises(llamacy.HubNotFoundError, match="no revision v9"):
        llamacy.load(f"{REPO}@v9")
    there = (
        rf"the repository has {REPO}/imatrix.gguf, {REPO}/mmproj-F16.gguf, "
        rf"{REPO}:Q4_K_M, {REPO}:Q8_0$"
    )
    with pytest.raises(llamacy.HubNotFoundError, match=f"no {REPO}:Q2_K .*{there}"):
        llamacy.load(f"{REPO}:Q2_K")
    with pytest.raises(llamacy.HubNotFoundError, match=there):
        llamacy.load(f"{REPO}/none.gguf")


def test_an_ambiguous_name_is_refused(repo: Repo, model: bytes) -> None:
    repo.files["other-Q4_K_M.gguf"] = model
    names = f"{REPO}/other-Q4_K_M.gguf, {REPO}/{FILE}"
    for name in (REPO, f"{REPO}:Q4_K_M"):
        with pytest.raises(llamacy.ArgumentError, match=names):
            llamacy.load(name)
    assert locate(f"{REPO}:{FILE}").name == FILE
    assert locate(f"{REPO}:Q4_K_M").name == FILE  # the models that are here


def test_a_repository_without_a_model_is_unsupported(hub: HubServer) -> None:
    hub.repos[REPO] = Repo({"pytorch_model.bin": b"", "config.json": b"{}"})
    with pytest.raises(llamacy.UnsupportedError) as caught:
        llamacy.load(f"{REPO}:Q8_0")
    assert caught.value.found == "config.json, pytorch_model.bin"


@pytest.mark.parametrize("gated", [True, False])
def test_a_gated_repository_needs_a_token(
    repo: Repo, hub: HubServer, gated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.token, repo.gated = "hf_right", gated
    kind = llamacy.HubAccessError if gated else llamacy.HubNotFoundError
    with pytest.raises(kind, match="set HF_TOKEN"):
        llamacy.load(REPO)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(kind, match="check that the token"):
        llamacy.load(REPO)
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert locate(REPO).name == FILE
    assert hub.transfers(FILE)[0].token == "hf_right"


def test_an_unreachable_hub_is_a_connection_error(repo: Repo, hub: HubServer) -> None:
    llamacy.pull(f"{REPO}:Q8_0")
    hub.stop()
    message = f"cannot be downloaded from {hub.url}: .*; in the cache: {REPO}:Q8_0$"
    with pytest.raises(llamacy.HubConnectionError, match=message):
        llamacy.load(f"{REPO}:Q4_K_M")
    with pytest.raises(ConnectionError):
        llamacy.pull(f"{REPO}:Q8_0")


def test_a_name_that_may_be_a_path_is_answered_as_both(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    message = "^big/f9.ggu: no such file or folder; taken for a name on the hub, big/f9"
    with pytest.raises(llamacy.HubConnectionError, match=message):
        llamacy.load("big/f9.ggu")
    with pytest.raises(llamacy.HubConnectionError, match="^big/f9.ggu: HF"):
        llamacy.load("hf://big/f9.ggu")


def test_offline_mode_downloads_nothing(
    repo: Repo, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = llamacy.pull(f"{REPO}:Q8_0")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    n_asked = len(hub.requests)
    assert locate(f"{REPO}:Q8_0") == path
    message = f"HF_HUB_OFFLINE is set, .*; in the cache: {REPO}:Q8_0$"
    with pytest.raises(llamacy.HubConnectionError, match=message):
        llamacy.load("user/other")
    assert len(hub.requests) == n_asked


def test_a_transfer_that_breaks_leaves_nothing(
    repo: Repo, hub: HubServer, cache: Path
) -> None:
    hub.cuts[FILE] = [-100_000]
    with pytest.raises(
        llamacy.HubConnectionError, match=f"{REPO}: cannot be downloaded"
    ):
        llamacy.load(REPO)
    assert nothing_is_left(cache)
    assert locate(REPO).stat().st_size == len(repo.files[FILE])


@pytest.mark.parametrize("difference", [-5, 5])
def test_a_file_of_another_size_than_announced_is_refused(
    repo: Repo, cache: Path, difference: int
) -> None:
    repo.announced[FILE] = len(repo.files[FILE]) + difference
    with pytest.raises(llamacy.FormatError, match="size: wanted what the hub ann"):
        llamacy.load(REPO)
    assert nothing_is_left(cache)


def test_a_file_of_another_size_than_listed_is_refused(
    repo: Repo, hub: HubServer, cache: Path
) -> None:
    repo.listed[FILE] = 1234
    with pytest.raises(llamacy.FormatError, match="size: wanted 1234 bytes, as"):
        llamacy.load(REPO)
    assert nothing_is_left(cache)


def test_a_full_disk_is_noticed_before_the_download(repo: Repo, cache: Path) -> None:
    repo.listed[FILE] = 1 << 60
    with pytest.raises(llamacy.ModelFileError, match=f"{1 << 60} bytes wanted, "):
        llamacy.load(REPO)
    assert nothing_is_left(cache)


def test_a_cache_that_cannot_be_written_is_an_error(repo: Repo, cache: Path) -> None:
    cache.parent.mkdir(exist_ok=True)
    cache.write_text("a file")
    with pytest.raises(llamacy.ModelFileError, match="cache"):
        llamacy.load(REPO)


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_a_failed_write_leaves_nothing(repo: Repo, hub: HubServer, cache: Path) -> None:
    code = (
        "import resource, llamacy\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        f"try: llamacy.load({REPO!r})\n"
        "except llamacy.ModelFileError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={
            "HF_HUB_CACHE": str(cache),
            "HF_ENDPOINT": hub.url,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "PYTHONPATH": str(Path(llamacy.__file__).parents[1]),
        },
        capture_output=True,
        text=True,
    )
    assert "File too large" in done.stdout, done.stderr
    assert nothing_is_left(cache)


@pytest.mark.parametrize(
    ("body", "status"), [(b"<html>", 200), (b"{}", 200), (b"[]", 200), (b"", 503)]
)
def test_a_server_that_is_not_a_hub_is_an_error(
    hub: HubServer, repo: Repo, body: bytes, status: int
) -> None:
    hub.answer = (status, body)
    with pytest.raises(llamacy.HubError):
        llamacy.load(REPO)


def test_hostile_file_names_are_ignored(hub: HubServer) -> None:
    hub.repos[REPO] = Repo(
        {
            "../../evil-Q4_K_M.gguf": b"evil",
            "C:\\evil.gguf": b"evil",
            "/evil.gguf": b"evil",
            "\x1b[31mred.gguf": b"evil",
        }
    )
    with pytest.raises(llamacy.UnsupportedError, match="found none"):
        llamacy.load(REPO)


@pytest.mark.parametrize("limit", [None, 2**40, 1000])
def test_a_model_beyond_the_memory_is_announced_before_the_download(
    repo: Repo,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    limit: int | None,
) -> None:
    state = MemoryState(total=2**40, limit=limit, available=None, swap_used=0)
    monkeypatch.setattr("llamacy.hub.transfer.memory_state", lambda: state)
    with caplog.at_level(logging.INFO, logger="llamacy"):
        llamacy.pull(REPO)
    texts = [record.getMessage() for record in caplog.records]
    assert [f"{REPO} has 0.0 GiB, more than" in text for text in texts] == (
        [True, False] if limit == 1000 else [False]
    )


def test_a_download_is_logged_and_prints_nothing(
    repo: Repo, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO, logger="llamacy"):
        llamacy.pull(REPO)
    assert f"{len(repo.files[FILE])} bytes" in caplog.text
    assert capfd.readouterr() == ("", "")
