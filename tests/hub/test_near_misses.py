"""Names that an unknown name may mean."""

from __future__ import annotations

from pathlib import Path

import pytest

import llamacy
from llamacy.hub import near_misses
from llamacy.hub.catalogue import CATALOGUE
from llamacy.hub.near_misses import nearest, similar_names
from tests.support.hub_fixtures import REPO
from tests.support.hub_server import HubServer, Repo

NAMES = [model.name for model in CATALOGUE]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("smollm2:135m", "bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M"),
        ("llama3.2:3b-instruct-q4_K_M", "bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M"),
        ("gemma3:1b", "ggml-org/gemma-3-1b-it-GGUF:Q4_K_M"),
        ("phi4-mini", "unsloth/Phi-4-mini-instruct-GGUF:Q4_K_M"),
        ("gpt-oss:latest", "ggml-org/gpt-oss-20b-GGUF:MXFP4"),
        ("qwen3:30b-a3b", "Qwen/Qwen3-30B-A3B-GGUF:Q4_K_M"),
        ("qwen3-coder", "unsloth/Qwen3-Coder-30B-A3B-Instruct-GGUF:Q4_K_M"),
        ("Qwen/Qwen3-4B-GUFF", "Qwen/Qwen3-4B-GGUF:Q4_K_M"),
        ("qwne3:8b", "Qwen/Qwen3-8B-GGUF:Q4_K_M"),
        (
            r"models\granite-3.3-2b.gguf",
            "ibm-granite/granite-3.3-2b-instruct-GGUF:Q4_K_M",
        ),
    ],
)
def test_the_nearest_name_comes_first(text: str, first: str) -> None:
    assert nearest(text, NAMES)[0] == first


@pytest.mark.parametrize(
    "text", ["", "/", ".", "model.gguf", "7b", "no-such-thing", "\0", "ü", "x" * 10**6]
)
def test_a_name_that_is_near_to_none_gives_none(text: str) -> None:
    assert nearest(text, NAMES) == []


def test_a_family_without_that_size_gives_its_other_sizes() -> None:
    found = nearest("qwen3:235b", NAMES)
    assert len(found) == 3
    assert all("Qwen3" in name for name in found)


def test_models_in_the_cache_come_before_the_catalogue(
    repo: Repo, hub: HubServer
) -> None:
    hub.repos["user/gemma-3-1b-GGUF"] = hub.repos[REPO]
    llamacy.pull("user/gemma-3-1b-GGUF:Q8_0")
    first, *others = similar_names("gemma3:1b")
    assert first == "user/gemma-3-1b-GGUF:Q8_0"
    assert others == ["ggml-org/gemma-3-1b-it-GGUF:Q4_K_M"]


def test_a_cache_that_cannot_be_read_hides_no_advice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(file))
    assert similar_names("phi4-mini") == ["unsloth/Phi-4-mini-instruct-GGUF:Q4_K_M"]


def test_an_unknown_repository_is_answered_with_near_ones(hub: HubServer) -> None:
    near = r"; did you mean Qwen/Qwen3-4B-GGUF:Q4_K_M or unsloth/Qwen3-4B.*\?$"
    with pytest.raises(llamacy.HubNotFoundError, match=near):
        llamacy.pull("qwen/qwen3-4b-gguff")
    with pytest.raises(llamacy.ArgumentError, match=near):
        llamacy.pull("qwen3:4b")


def test_only_models_of_the_cache_are_near_to_one_to_remove(
    repo: Repo, hub: HubServer
) -> None:
    hub.repos["user/qwen3-4b-mine"] = hub.repos[REPO]
    llamacy.pull("user/qwen3-4b-mine:Q8_0")
    near = r"; did you mean user/qwen3-4b-mine:Q8_0\?$"
    with pytest.raises(llamacy.ArgumentError, match=near):
        llamacy.remove_cached("qwen3:4b")


def test_examples_in_the_docstrings_run() -> None:
    import doctest

    from llamacy.hub import addresses, choice, names

    for module in (addresses, choice, names, near_misses):
        tested = doctest.testmod(module)
        assert tested.attempted
        assert not tested.failed
