"""Models by name, from a local hub."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import llamacy
from llamacy.model_files.sources import locate
from tests.support.hub_fixtures import REPO
from tests.support.hub_server import HubServer, Repo


def test_a_model_is_loaded_by_name(repo: Repo, cache: Path, model: bytes) -> None:
    with llamacy.load(REPO) as loaded:
        assert loaded.generate("Once", max_tokens=2).tokens
    (snapshot,) = (cache / "models--user--tiny-GGUF/snapshots").iterdir()
    assert snapshot.name == repo.commit
    assert [path.name for path in snapshot.iterdir()] == ["tiny-Q4_K_M.gguf"]
    assert (snapshot / "tiny-Q4_K_M.gguf").read_bytes() == model


def test_a_cached_model_is_loaded_without_asking_the_hub(
    hub: HubServer, repo: Repo
) -> None:
    first = llamacy.pull(f"{REPO}:q8_0")
    assert first.name == "tiny-q8_0.gguf"
    hub.stop()
    asked = len(hub.requests)
    for name in (f"{REPO}:Q8_0", REPO, f"{REPO}/tiny-q8_0.gguf", f"hf://{REPO}@main"):
        assert locate(name) == first
    assert locate(f"{REPO}@{repo.commit[:8]}:Q8_0") == first
    assert llamacy.load_tokenizer(REPO).encode("a")
    assert len(hub.requests) == asked


def test_loading_a_cached_model_imports_no_slow_modules(
    repo: Repo, cache: Path
) -> None:
    path = llamacy.pull(REPO)
    code = (
        "import sys; from llamacy.model_files.sources import locate\n"
        f"print(locate({REPO!r}))\n"
        "assert not {'httpx', 'httpx2', 'requests', 'hf_xet'} & set(sys.modules)\n"
    )
    environment = {
        "HF_HUB_CACHE": str(cache),
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "PYTHONPATH": str(Path(llamacy.__file__).parents[1]),
    }
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == (f"{path}\n", "")


def test_an_existing_path_is_not_a_name(
    hub: HubServer, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(REPO).mkdir(parents=True)
    assert locate(REPO) == Path(REPO)
    with pytest.raises(llamacy.FormatError, match="found no config.json"):
        llamacy.load(REPO)
    assert not hub.requests
    assert locate(f"hf://{REPO}").name == "tiny-Q4_K_M.gguf"
    n_requests = len(hub.requests)
    for path in (Path(f"{REPO}:Q4_K_M"), "./user/none"):
        with pytest.raises(llamacy.ModelFileError, match="no such file or folder"):
            llamacy.load(path)
    assert len(hub.requests) == n_requests


def test_all_files_of_a_split_model_are_downloaded(
    hub: HubServer, cache: Path, split: dict[str, bytes]
) -> None:
    assert len(split) >= 3
    hub.repos[REPO] = Repo({f"Q8_0/{name}": data for name, data in split.items()})
    shares: list[float] = []
    path = llamacy.pull(f"{REPO}:Q8_0", progress=shares.append)
    assert path.name == f"tiny-Q8_0-00001-of-{len(split):05}.gguf"
    assert {one.name: one.read_bytes() for one in path.parent.iterdir()} == split
    assert shares == sorted(shares)
    assert shares.index(1.0) == len(shares) - 1
    with llamacy.load(REPO) as loaded:
        assert loaded.generate("Once", max_tokens=2).tokens
    # a split that lacks a part is not a model
    (path.parent / f"tiny-Q8_0-00002-of-{len(split):05}.gguf").unlink()
    hub.stop()
    with pytest.raises(llamacy.HubConnectionError, match="in the cache: none"):
        llamacy.load(REPO)


def test_pull_downloads_a_newer_version(
    hub: HubServer, repo: Repo, model: bytes
) -> None:
    old = llamacy.pull(REPO)
    assert llamacy.pull(REPO) == old
    assert len(hub.transfers("tiny-Q4_K_M.gguf")) == 1
    repo.tags["v1"] = dict(repo.files)
    repo.files["tiny-Q4_K_M.gguf"] = model + b"newer"
    assert locate(REPO) == old
    new = llamacy.pull(REPO)
    assert new.read_bytes() == model + b"newer"
    assert locate(REPO) == new
    assert llamacy.pull(f"{REPO}@v1") == old == locate(f"{REPO}@v1")
    assert len(hub.transfers("tiny-Q4_K_M.gguf")) == 2


def test_a_failed_update_leaves_the_old_version(
    hub: HubServer, repo: Repo, model: bytes
) -> None:
    old = llamacy.pull(REPO)
    repo.files["tiny-Q4_K_M.gguf"] = model + b"newer"
    hub.cuts["tiny-Q4_K_M.gguf"] = [-1000]
    with pytest.raises(llamacy.HubConnectionError):
        llamacy.pull(REPO)
    assert locate(REPO) == old


def test_a_broken_download_resumes(hub: HubServer, repo: Repo, model: bytes) -> None:
    hub.cuts["tiny-Q4_K_M.gguf"] = [len(model) // 2]
    shares: list[float] = []
    assert llamacy.pull(REPO, progress=shares.append).read_bytes() == model
    first, second = hub.transfers("tiny-Q4_K_M.gguf")
    assert first.range is None
    assert second.range and second.range.startswith("bytes=")
    assert int(second.range[6:].rstrip("-").split("-")[0]) >= len(model) // 4
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_damaged_file_is_downloaded_again(
    hub: HubServer, repo: Repo, model: bytes
) -> None:
    path = llamacy.pull(REPO)
    path.resolve().write_bytes(model[:1000])
    with pytest.raises(llamacy.FormatError):
        llamacy.load(REPO)
    assert llamacy.pull(REPO) == path
    assert path.read_bytes() == model


def test_a_progress_callback_may_end_the_download(
    hub: HubServer, repo: Repo, cache: Path
) -> None:
    class Enough(Exception):
        pass

    def progress(share: float) -> None:
        raise Enough

    with pytest.raises(Enough):
        llamacy.pull(REPO, progress=progress)
    assert llamacy.cached_models() == []
    assert not list(cache.rglob("*.incomplete"))


@pytest.mark.parametrize("name", ["model.gguf", "./user/repo", "user/repo:", 7])
def test_an_invalid_name_cannot_be_pulled(hub: HubServer, name: object) -> None:
    with pytest.raises(llamacy.ArgumentError, match="wanted"):
        llamacy.pull(name)  # type: ignore[arg-type]
    with pytest.raises(llamacy.ArgumentError, match="wanted"):
        llamacy.remove_cached(name)  # type: ignore[arg-type]
