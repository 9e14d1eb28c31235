"""Repositories that are folders of safetensors, from a local hub."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import llamacy
from llamacy.config import EmbeddingConfig
from llamacy.model_files.sources import find_source, locate
from tests.support.hub_server import HubServer, Repo
from tests.support.hugging_face import write_babble

REPO = "user/babble"
INDEX = "model.safetensors.index.json"
SHARDS = [f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)]
NEEDED = ["config.json", "tokenizer.model", "tokenizer_config.json"]
OTHER = {"README.md": b"# Babble", "pytorch_model.bin": b"old", "onnx/model.onnx": b"x"}

Files = dict[str, bytes]


@pytest.fixture(scope="session")
def folder_files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Files]:
    """Return the files of the babbling model, with `n_files` of safetensors."""

    def read(n_files: int) -> Files:
        folder = write_babble(tmp_path_factory.mktemp("folder"), n_files=n_files)
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}

    return read


@pytest.fixture
def whole(hub: HubServer, folder_files: Callable[[int], Files]) -> Repo:
    """A repository with all weights in one file, and the usual other files."""
    hub.repos[REPO] = Repo({**folder_files(1), **OTHER})
    return hub.repos[REPO]


@pytest.fixture
def sharded(hub: HubServer, folder_files: Callable[[int], Files]) -> Repo:
    """A repository with the weights in three files."""
    hub.repos[REPO] = Repo({**folder_files(3), **OTHER})
    return hub.repos[REPO]


def transferred(hub: HubServer) -> list[str]:
    """Return the safetensors requested so far."""
    paths = [one.path for one in hub.requests if one.method == "GET"]
    names = [path.rpartition("/")[2] for path in paths]
    return [name for name in names if name.endswith(".safetensors")]


def test_a_template_for_tools_is_downloaded_along(hub: HubServer, whole: Repo) -> None:
    further = "additional_chat_templates/tool_use.jinja"
    whole.files[further] = b"{{ tools | length }} {{ messages[0].content }}"
    whole.files["additional_chat_templates/old/x.jinja"] = b"{{ 1 }}"
    tool = {"type": "function", "function": {"name": "f"}}
    with llamacy.load(REPO) as model:
        assert model.metadata["tokenizer.chat_templates"] == ["tool_use"]
        ids = model.chat_prompt("bada", tools=[tool])
        assert model.tokenizer.decode(ids) == "1 bada"
        assert model.tokenizer.decode(model.chat_prompt("bada")) != "1 bada"


def test_a_folder_is_loaded_by_name(hub: HubServer, whole: Repo) -> None:
    with llamacy.load(REPO) as model:
        assert model.config.name == "babble"
        assert model.generate("ba be", max_tokens=2).tokens
    path = locate(REPO)
    assert path.name == whole.commit
    names = sorted(each.name for each in path.iterdir())
    assert names == sorted([*NEEDED, "model.safetensors"])
    hub.stop()
    assert llamacy.load_tokenizer(f"hf://{REPO}").encode("ba be")
    assert locate(f"{REPO}@main") == locate(f"{REPO}@{whole.commit[:8]}") == path


def test_all_files_that_the_index_lists_are_downloaded(
    hub: HubServer, sharded: Repo
) -> None:
    sharded.files["model-00004-of-00003.safetensors"] = b"of no model"
    shares: list[float] = []
    path = llamacy.pull(REPO, progress=shares.append)
    names = sorted(each.name for each in path.iterdir())
    assert names == sorted([*NEEDED, INDEX, *SHARDS])
    assert all((path / name).read_bytes() == sharded.files[name] for name in names)
    assert shares == sorted(shares)
    assert shares.index(1.0) == len(shares) - 1
    assert sorted(transferred(hub)) == SHARDS
    assert llamacy.pull(REPO) == path
    assert sorted(transferred(hub)) == SHARDS
    assert llamacy.inspect(REPO).n_params > 0


@pytest.fixture
def embedding(whole: Repo) -> Repo:
    """A repository of a model that sentence-transformers has saved."""
    modules = (
        ("Transformer", ""),
        ("Pooling", "1_Pooling"),
        ("Normalize", "2_Normalize"),
    )
    files = {
        "modules.json": [{"type": f"s.{kind}", "path": path} for kind, path in modules],
        "1_Pooling/config.json": {"pooling_mode_cls_token": True},
        "sentence_bert_config.json": {"max_seq_length": 99},
        "config_sentence_transformers.json": {"similarity_fn_name": "cosine"},
    }
    whole.files.update({name: json.dumps(files[name]).encode() for name in files})
    return whole


def test_the_modules_of_a_model_that_embeds_are_downloaded_along(
    hub: HubServer, embedding: Repo
) -> None:
    wanted = EmbeddingConfig(
        "cls", is_normalized=True, n_tokens=99, similarity="cosine"
    )
    with llamacy.load(REPO) as model:
        assert model.config.embedding == wanted
    pooling = locate(REPO) / "1_Pooling" / "config.json"
    pooling.unlink()
    assert llamacy.cached_models() == []
    assert llamacy.pull(REPO) == pooling.parent.parent
    assert pooling.read_bytes() == embedding.files["1_Pooling/config.json"]
    hub.stop()
    with llamacy.load(REPO) as model:
        assert model.config.embedding == wanted


def test_dense_layers_are_downloaded_along(embedding: Repo) -> None:
    modules = [{"type": "s.Pooling", "path": "1_Pooling"}]
    modules.append({"type": "s.Dense", "path": "2_Dense"})
    embedding.files["modules.json"] = json.dumps(modules).encode()
    embedding.files["2_Dense/config.json"] = b"{}"
    embedding.files["2_Dense/pytorch_model.bin"] = b"old"
    wanted = "modules.json names files .*: 2_Dense/model.safetensors$"
    with pytest.raises(llamacy.HubNotFoundError, match=wanted):
        llamacy.pull(REPO)
    embedding.files["2_Dense/model.safetensors"] = b"weights"
    names = {path.name for path in (llamacy.pull(REPO) / "2_Dense").iterdir()}
    assert names == {"config.json", "model.safetensors"}


def test_an_unknown_module_is_refused_before_the_download(
    hub: HubServer, embedding: Repo
) -> None:
    embedding.files["modules.json"] = b'[{"type": "s.CLIPModel"}]'
    with pytest.raises(llamacy.UnsupportedError, match="wanted Transformer, Pooling"):
        llamacy.pull(REPO)
    assert transferred(hub) == []


@pytest.mark.parametrize(
    "name", ["vocab.txt", "sentencepiece.bpe.model", "spiece.model"]
)
def test_the_vocabulary_of_an_encoder_is_downloaded_along(
    whole: Repo, name: str
) -> None:
    whole.files[name] = b"tokens"
    assert (llamacy.pull(REPO) / name).read_bytes() == b"tokens"


@pytest.mark.parametrize("tag", ["q8_0", "Q8_0"])
def test_a_type_in_the_name_quantises_the_weights(whole: Repo, tag: str) -> None:
    name = f"{REPO}:{tag}"
    path = llamacy.pull(name)
    assert path == locate(REPO)
    info = llamacy.inspect(name)
    assert (info.file_type, info.tensor_types["Q8_0"]) == ("Q8_0", 30)
    assert llamacy.inspect(REPO).file_type == "F32"
    assert info == llamacy.inspect(path, quantize="Q8_0")
    with llamacy.load(name) as model, llamacy.load(path, quantize="Q8_0") as same:
        got = model.logits([1, 2, 3])
        np.testing.assert_array_equal(got, same.logits([1, 2, 3]))
    with llamacy.load(name, quantize="q8_0") as model, llamacy.load(path) as floats:
        np.testing.assert_array_equal(model.logits([1, 2, 3]), got)
        assert np.abs(floats.logits([1, 2, 3]) - got).max() > 0
    wanted = "quantize: wanted Q8_0, as the model's name says, found 'Q4_0'"
    with pytest.raises(llamacy.ArgumentError, match=wanted):
        llamacy.load(name, quantize="Q4_0")


def test_quantize_and_convert_accept_names(whole: Repo, tmp_path: Path) -> None:
    done = llamacy.convert(f"{REPO}:Q8_0", tmp_path / "a.gguf")
    assert done.tensor_types == {"Q8_0": 30, "F32": 9}
    assert set(llamacy.convert(REPO, tmp_path / "b.gguf").tensor_types) == {"F32"}
    llamacy.quantize(f"{REPO}:q8_0", tmp_path / "c.gguf", "Q8_0")
    files = [(tmp_path / f"{name}.gguf").read_bytes() for name in "ac"]
    assert files[0] == files[1]
    with pytest.raises(llamacy.ArgumentError, match="type: wanted Q8_0, as the model"):
        llamacy.quantize(f"{REPO}:Q8_0", tmp_path / "d.gguf", "Q4_0")


@pytest.mark.parametrize("is_cached", [False, True])
def test_a_type_that_cannot_be_written_is_refused(
    hub: HubServer, whole: Repo, is_cached: bool
) -> None:
    if is_cached:
        llamacy.pull(REPO)
    n_requests = len(transferred(hub))
    with pytest.raises(llamacy.ArgumentError, match=r"of F32, .* found 'latest'"):
        llamacy.load(f"{REPO}:latest")
    for tag in ("IQ2_XXS", "q2_k_s"):
        with pytest.raises(llamacy.ArgumentError, match="needs no importance matrix"):
            llamacy.load(f"{REPO}:{tag}")
    with pytest.raises(llamacy.HubNotFoundError, match="no user/babble/a.gguf on"):
        llamacy.load(f"{REPO}/a.gguf")
    assert len(transferred(hub)) == n_requests


def test_a_broken_download_leaves_no_model(hub: HubServer, sharded: Repo) -> None:
    hub.cuts[SHARDS[1]] = [-1000]
    with pytest.raises(llamacy.HubConnectionError, match="in the cache: none"):
        llamacy.pull(REPO)
    assert llamacy.cached_models() == []
    assert transferred(hub) == SHARDS[:2]
    path = llamacy.pull(REPO)
    assert transferred(hub) == [*SHARDS[:2], *SHARDS[1:]]
    assert (path / SHARDS[1]).read_bytes() == sharded.files[SHARDS[1]]
    assert [model.path for model in llamacy.cached_models()] == [path]


def test_a_broken_download_resumes(hub: HubServer, sharded: Repo) -> None:
    hub.cuts[SHARDS[2]] = [len(sharded.files[SHARDS[2]]) // 2]
    path = llamacy.pull(REPO)
    assert (path / SHARDS[2]).read_bytes() == sharded.files[SHARDS[2]]
    first, second = hub.transfers(SHARDS[2])
    assert (first.range is None, second.range is None) == (True, False)


def test_a_file_missing_in_the_repository_is_named(
    hub: HubServer, sharded: Repo
) -> None:
    del sharded.files[SHARDS[1]]
    with pytest.raises(
        llamacy.HubNotFoundError, match=f"not in the repository: {SHARDS[1]}$"
    ):
        llamacy.load(REPO)
    assert transferred(hub) == []
    assert llamacy.cached_models() == []


@pytest.mark.parametrize("lost", [SHARDS[1], "config.json", INDEX])
def test_a_file_missing_in_the_cache_is_downloaded(
    hub: HubServer, sharded: Repo, lost: str
) -> None:
    path = llamacy.pull(REPO)
    (path / lost).unlink()
    assert llamacy.cached_models() == []
    with llamacy.load(REPO) as model:
        assert model.path == str(path)
    (path / lost).unlink()
    hub.stop()
    with pytest.raises(llamacy.HubConnectionError, match="in the cache: none"):
        llamacy.load(REPO)


def test_a_failed_update_leaves_the_old_version(hub: HubServer, sharded: Repo) -> None:
    old = llamacy.pull(REPO)
    sharded.files[SHARDS[0]] += b" "
    hub.cuts[SHARDS[0]] = [-10]
    with pytest.raises(llamacy.HubConnectionError):
        llamacy.pull(REPO)
    assert locate(REPO) == old
    assert llamacy.inspect(REPO).path == str(old)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("config.json", {"architectures": ["BarkModel"]}, "found BarkModel"),
        ("config.json", {"hidden_size": -1}, "hidden_size"),
        (INDEX, {"weight_map": {"a": "../../a.safetensors"}}, "in the folder"),
        (INDEX, {"weight_map": 3}, "weight_map"),
    ],
)
def test_an_unsupported_model_is_refused_before_the_download(
    hub: HubServer, sharded: Repo, name: str, changes: dict[str, object], message: str
) -> None:
    values = json.loads(sharded.files[name]) | changes
    sharded.files[name] = json.dumps(values).encode()
    with pytest.raises(llamacy.FormatError, match=message):
        llamacy.pull(REPO)
    assert transferred(hub) == []
    assert llamacy.cached_models() == []


def test_gguf_files_take_precedence_over_safetensors(
    hub: HubServer, whole: Repo, model: bytes
) -> None:
    whole.files["babble-Q8_0.gguf"] = model
    assert find_source(REPO).type is None
    assert locate(f"{REPO}:Q8_0").name == "babble-Q8_0.gguf"
    assert transferred(hub) == []
    with pytest.raises(llamacy.HubNotFoundError, match="has user/babble:Q8_0$"):
        llamacy.load(f"{REPO}:Q4_0")


def test_a_repository_with_neither_format_is_unsupported(
    hub: HubServer, whole: Repo
) -> None:
    del whole.files["config.json"]
    wanted = "wanted a GGUF file, or config.json and safetensors"
    with pytest.raises(llamacy.UnsupportedError, match=wanted):
        llamacy.load(REPO)


def test_weights_in_a_format_that_is_not_read_are_not_downloaded(
    hub: HubServer, whole: Repo
) -> None:
    config = json.loads(whole.files["config.json"])
    config["quantization_config"] = {"quant_method": "awq", "bits": 4}
    whole.files["config.json"] = json.dumps(config).encode()
    for call in (llamacy.load, llamacy.pull, llamacy.inspect):
        with pytest.raises(llamacy.UnsupportedError, match="GGUF.*quantize=.* awq"):
            call(REPO)
    assert transferred(hub) == []


def test_cached_folders_are_listed_and_removed(
    hub: HubServer, sharded: Repo, cache: Path, model: bytes
) -> None:
    hub.repos["user/gguf"] = Repo({"tiny-Q8_0.gguf": model})
    path = llamacy.pull(f"{REPO}:Q4_K_M")
    kept = llamacy.pull("user/gguf")
    first, second = llamacy.cached_models()
    assert (first.name, first.path, second.path) == (REPO, path, kept)
    assert first.files == ("config.json", INDEX, *NEEDED[1:], *SHARDS)
    assert first.n_bytes == sum(len(sharded.files[name]) for name in first.files)
    for name in (f"{REPO}:Q4_K_M", f"{REPO}@v1"):
        with pytest.raises(llamacy.HubNotFoundError, match=f"it has {REPO}, user"):
            llamacy.remove_cached(name)
    assert llamacy.remove_cached(REPO) == first.n_bytes
    assert not (cache / "models--user--babble").exists()
    assert llamacy.cached_models() == [second]


def test_incomplete_or_unsupported_folders_are_not_listed(
    hub: HubServer, whole: Repo
) -> None:
    path = llamacy.pull(REPO)
    config = json.loads((path / "config.json").read_text())
    # as another program would download it into the same cache
    config["architectures"] = ["BarkModel"]
    (path / "config.json").unlink()
    (path / "config.json").write_text(json.dumps(config))
    assert llamacy.cached_models() == []
    hub.stop()
    with pytest.raises(llamacy.UnsupportedError, match="found BarkModel"):
        llamacy.load(REPO)
