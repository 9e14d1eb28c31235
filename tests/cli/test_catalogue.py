"""`llamacy models`, and the models of the catalogue in `llamacy list`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from llamacy.hub.catalogue import CATALOGUE
from tests.support.hub_fixtures import REPO
from tests.support.hub_server import HubServer, Repo

Shell = Callable[..., Any]
GEMMA = "ggml-org/gemma-3-1b-it-GGUF:Q4_K_M"


def test_models_are_listed_with_memory_and_licence(
    shell: Shell, hub: HubServer
) -> None:
    rows = json.loads(shell("models", "--json").out)
    assert [row["name"] for row in rows] == [model.name for model in CATALOGUE]
    longer = json.loads(shell("models", "-c", 8192, "--json").out)
    whole = json.loads(shell("models", "-c", 0, "--json").out)
    for model, row, more, most in zip(CATALOGUE, rows, longer, whole, strict=True):
        assert row["memory_bytes"] > row["file_bytes"] + 4096 * model.kv.token_bytes
        more_kv = more["memory_bytes"] - row["memory_bytes"]
        assert more_kv == 4096 * model.kv.token_bytes
        assert most["n_ctx"] == model.n_ctx_train
    out = shell("models").out
    for model in CATALOGUE:
        assert f"\n{model.name} " in f"\n{out}"
        assert model.purpose in out
        assert f"licence {model.license}\n" in out
    assert "tried with llamacy only where" in out


@pytest.mark.parametrize(
    ("available", "word"), [(2**60, "yes"), (1, "no"), (None, "unknown")]
)
def test_each_model_fits_here_or_does_not(
    shell: Shell,
    hub: HubServer,
    monkeypatch: pytest.MonkeyPatch,
    available: int | None,
    word: str,
) -> None:
    monkeypatch.setattr("llamacy.system.memory.available_memory", lambda: available)
    assert shell("models").out.count(f"fits here: {word}\n") == len(CATALOGUE)


def test_list_has_the_catalogue_after_the_cache(
    shell: Shell, hub: HubServer, repo: Repo
) -> None:
    hub.repos["ggml-org/gemma-3-1b-it-GGUF"] = hub.repos[REPO]
    assert shell("pull", GEMMA).status == 0
    (cached,) = json.loads(shell("list", "--json").out)
    first, *others = json.loads(shell("list", "--all", "--json").out)
    assert first == cached
    assert [row["name"] for row in others] == [
        model.name for model in CATALOGUE if model.name != GEMMA
    ]
    assert {row["path"] for row in others} == {None}
    assert f"{GEMMA} " in shell("ls", "-a").out
    cached_in_models = [
        row["name"]
        for row in json.loads(shell("models", "--json").out)
        if row["cached"]
    ]
    assert cached_in_models == [GEMMA]
    assert "fits here: yes, in the cache" in shell("models").out
