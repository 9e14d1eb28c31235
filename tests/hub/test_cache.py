"""The contents of the cache, and their removal."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hub_fixtures import REPO
from hub_server import HubServer, Repo

import llamacy
from llamacy.hub.cache import CachedModel
from llamacy.model_files.sources import locate


def by_name() -> dict[str, CachedModel]:
    """Return the models in the cache."""
    models = llamacy.cached_models()
    assert models == sorted(models, key=lambda model: model.name)
    return {model.name: model for model in models}


def test_an_empty_cache_lists_no_models(hub: HubServer, cache: Path) -> None:
    assert llamacy.cached_models() == []
    cache.mkdir(parents=True)
    (cache / "CACHEDIR.TAG").write_text("")
    (cache / "models--user--empty").mkdir()
    (cache / "datasets--user--x/snapshots" / ("0" * 40)).mkdir(parents=True)
    (cache / "datasets--user--x/snapshots" / ("0" * 40) / "x.gguf").write_text("")
    assert llamacy.cached_models() == []


def test_each_model_is_listed_by_a_name_that_finds_it(
    hub: HubServer, repo: Repo, split: dict[str, bytes]
) -> None:
    hub.repos["user/split"] = Repo({f"q8/{name}": data for name, data in split.items()})
    hub.repos["user/plain"] = Repo({"model.gguf": repo.files["tiny-Q4_K_M.gguf"]})
    repo.tags["v1"] = {"old-Q4_K_M.gguf": repo.files["tiny-Q4_K_M.gguf"] + b"old"}
    begin = time.time()
    paths = [
        llamacy.pull(name)
        for name in (
            REPO,
            f"{REPO}:Q8_0",
            f"{REPO}/mmproj-F16.gguf",
            f"{REPO}@v1",
            "user/split",
            "user/plain",
        )
    ]
    models = by_name()
    assert list(models) == [
        "user/plain/model.gguf",
        "user/split:Q8_0",
        f"{REPO}/mmproj-F16.gguf",
        f"{REPO}:Q4_K_M",
        f"{REPO}:Q8_0",
        f"{REPO}@v1:Q4_K_M",
    ]
    assert {model.path for model in models.values()} == set(paths)
    for name, model in models.items():
        assert locate(name) == model.path
        assert begin - 5 < model.used < time.time() + 5
    assert models["user/split:Q8_0"].n_bytes == sum(map(len, split.values()))
    assert models["user/split:Q8_0"].files == tuple(f"q8/{name}" for name in split)
    assert models[f"{REPO}@v1:Q4_K_M"].revisions == ("v1", repo.revision("v1")[0])  # type: ignore[index]


def test_a_listed_model_says_when_it_was_last_used(repo: Repo) -> None:
    path = llamacy.pull(REPO)
    os.utime(path, (1_700_000_000, 1_600_000_000))
    assert llamacy.cached_models()[0].used == 1_700_000_000


def test_a_model_that_did_not_change_is_listed_once(
    repo: Repo, hub: HubServer, caplog: pytest.LogCaptureFixture
) -> None:
    first = llamacy.pull(REPO)
    repo.files["README.md"] = b"# Tiny, but changed"
    with caplog.at_level("INFO", logger="llamacy"):
        second = llamacy.pull(REPO)
    assert "fetching" not in caplog.text
    assert first != second
    assert len(hub.transfers("tiny-Q4_K_M.gguf")) == 1
    (model,) = llamacy.cached_models()
    assert (model.name, model.path) == (f"{REPO}:Q4_K_M", second)
    assert len(model.revisions) == 3  # main, and two commits
    assert llamacy.remove_cached(REPO) == model.n_bytes
    assert llamacy.cached_models() == []


def test_a_replaced_model_is_listed_by_its_commit(repo: Repo) -> None:
    old, commit = llamacy.pull(REPO), repo.commit
    repo.files["tiny-Q4_K_M.gguf"] += b"newer"
    new = llamacy.pull(REPO)
    models = by_name()
    assert list(models) == [f"{REPO}:Q4_K_M", f"{REPO}@{commit[:8]}:Q4_K_M"]
    assert locate(f"{REPO}@{commit[:8]}:Q4_K_M") == old
    size = old.stat().st_size
    assert llamacy.remove_cached(f"{REPO}@{commit[:8]}:Q4_K_M") == size
    assert list(by_name()) == [f"{REPO}:Q4_K_M"]
    assert new.exists() and not old.is_symlink()


def test_only_the_named_model_is_removed(
    hub: HubServer, repo: Repo, cache: Path, split: dict[str, bytes]
) -> None:
    hub.repos["user/split"] = Repo(split)
    kept = llamacy.pull(f"{REPO}:Q8_0")
    gone = llamacy.pull(f"{REPO}:Q4_K_M")
    llamacy.pull("user/split")
    blob = gone.resolve()
    assert llamacy.remove_cached(f"{REPO}:q4_k_m") == len(repo.files[gone.name])
    assert not os.path.lexists(gone) and not blob.exists()
    assert kept.exists()
    assert llamacy.remove_cached("user/split:Q8_0") == sum(map(len, split.values()))
    assert not (cache / "models--user--split").exists()
    assert list(by_name()) == [f"{REPO}:Q8_0"]
    assert locate(REPO) == kept
    assert llamacy.remove_cached(REPO) == len(repo.files[kept.name])
    assert not (cache / "models--user--tiny-GGUF").exists()


def test_files_beside_a_model_stay(repo: Repo, cache: Path) -> None:
    path = llamacy.pull(REPO)
    (path.parent / "README.md").write_text("# Tiny")
    llamacy.remove_cached(REPO)
    assert [one.name for one in path.parent.iterdir()] == ["README.md"]


def test_removing_never_guesses(repo: Repo, tmp_path: Path) -> None:
    llamacy.pull(f"{REPO}:Q8_0")
    llamacy.pull(f"{REPO}:Q4_K_M")
    with pytest.raises(llamacy.ArgumentError, match=f"of {REPO}:Q4_K_M, {REPO}:Q8_0$"):
        llamacy.remove_cached(REPO)
    for name in (f"{REPO}:Q2_K", f"{REPO}@v1:Q8_0", "user/other"):
        with pytest.raises(llamacy.HubNotFoundError, match=f"it has {REPO}:Q4_K_M, "):
            llamacy.remove_cached(name)
    path = tmp_path / "mine.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(llamacy.ArgumentError):
        llamacy.remove_cached(str(path))
    assert path.exists()
    assert len(llamacy.cached_models()) == 2


def test_a_damaged_cache_is_reported(repo: Repo, cache: Path) -> None:
    path = llamacy.pull(REPO)
    (path.parent / "torn.gguf").symlink_to("nowhere")
    assert list(by_name()) == [f"{REPO}:Q4_K_M"]
    with pytest.raises(llamacy.ModelFileError, match="damaged, remove it by hand"):
        llamacy.remove_cached(REPO)
    (cache / "models--user--tiny-GGUF/refs/main").write_text("../../../etc")
    with pytest.raises(llamacy.HubNotFoundError):
        llamacy.remove_cached(REPO)


def test_a_cache_without_symbolic_links_works(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, model: bytes
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_SYMLINKS", True)
    path = llamacy.pull(REPO)
    assert not path.is_symlink()
    path.write_bytes(model[:1000])
    assert llamacy.pull(REPO).read_bytes() == model
    assert locate(REPO) == path
    assert llamacy.remove_cached(REPO) == len(model)
    assert llamacy.cached_models() == []


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_a_cache_behind_a_symbolic_link_works(repo: Repo, cache: Path) -> None:
    (cache.parent / "elsewhere").mkdir()
    cache.symlink_to("elsewhere")
    assert llamacy.pull(REPO) == llamacy.pull(REPO) == locate(REPO)
    (model,) = llamacy.cached_models()
    assert model.path == locate(REPO)
