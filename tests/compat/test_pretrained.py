"""Models by a pattern of their file names on the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.compat.llama_cpp import Llama
from tests.support.hub_server import HubServer, Repo

REPO = "user/tiny-GGUF"
Q4, Q8 = "tiny-Q4_K_M.gguf", "sub/tiny-Q8_0.gguf"


@pytest.fixture(autouse=True)
def repo(hub: HubServer, babble_model: Path) -> Repo:
    data = babble_model.read_bytes()
    files = {Q4: data, Q8: data, "mmproj-F16.gguf": b"GGUF", "README.md": b"Hi."}
    hub.repos[REPO] = Repo(files)
    return hub.repos[REPO]


def load(*args: Any, **options: Any) -> str:
    """Return the path of the file that was loaded."""
    with Llama.from_pretrained(*args, n_ctx=64, **options) as llm:
        assert llm.n_ctx() == 64
        return llm.model_path


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [(Q4, Q4), ("*Q4_K_M.gguf", Q4), ("*q8_0*".upper(), Q8), (None, Q4)],
)
def test_a_pattern_finds_one_model(
    pattern: str | None, wanted: str, cache: Path
) -> None:
    path = load(REPO, pattern)
    assert path.endswith(wanted)
    assert Path(path).is_relative_to(cache)


def test_a_model_in_the_cache_is_used_without_asking_the_hub(hub: HubServer) -> None:
    first = load(REPO, "*Q8_0.gguf")
    n_requests = len(hub.requests)
    assert load(REPO, filename="*Q8_0.gguf") == first
    assert len(hub.requests) == n_requests


def test_further_files_are_downloaded_beside_it(tmp_path: Path) -> None:
    path = load(
        *(REPO, "*Q8_0.gguf"),
        additional_files=["mmproj*", "README.md"],
        local_dir=tmp_path / "here",
        local_dir_use_symlinks=False,
    )
    assert path == str(tmp_path / "here" / Q8)
    assert (tmp_path / "here/README.md").read_bytes() == b"Hi."
    assert (tmp_path / "here/mmproj-F16.gguf").exists()


def test_another_cache_is_used(tmp_path: Path) -> None:
    path = load(REPO, Q4, cache_dir=tmp_path / "other")
    assert Path(path).is_relative_to(tmp_path / "other")


def test_all_parts_of_a_split_model_are_downloaded(
    hub: HubServer, tmp_path: Path
) -> None:
    from tests.support import random_model

    random_model.write(str(tmp_path / "part.gguf"), split_max_tensors=10)
    parts = sorted(tmp_path.glob("part-*.gguf"))
    hub.repos[REPO] = Repo({each.name: each.read_bytes() for each in parts})
    assert len(parts) > 1
    first = load(REPO, "part-00001*")
    assert Path(first).name == parts[0].name
    assert load(REPO, "part-*", local_dir=tmp_path / "here").endswith(parts[0].name)
    assert len(list((tmp_path / "here").glob("*.gguf"))) == len(parts)


@pytest.mark.parametrize(
    ("words", "options", "error", "message"),
    [
        (["user/none", "*"], {}, llamacy.HubNotFoundError, "no repository user/none"),
        ([REPO, "*Q2_K*"], {}, llamacy.HubNotFoundError, r"Q2_K.*tiny-Q4_K_M"),
        ([REPO, "*.gguf"], {}, llamacy.ArgumentError, "more than one model"),
        (["tiny", "*"], {}, llamacy.ArgumentError, "^repo_id: wanted user/repo"),
        ([REPO, Q4], {"model_path": "a"}, llamacy.ArgumentError, "^model_path: "),
        ([REPO, Q4, ["*.gguf"]], {}, llamacy.ArgumentError, "^additional_files: "),
        ([REPO, Q4, ["*.bin"]], {}, llamacy.HubNotFoundError, r"no \*\.bin in"),
        ([REPO, Q4, "*"], {}, llamacy.ArgumentError, "^additional_files: wanted a l"),
    ],
)
def test_errors_name_what_there_is(
    words: list[Any],
    options: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        Llama.from_pretrained(*words, **options)
