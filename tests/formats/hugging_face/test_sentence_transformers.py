"""The files of sentence-transformers beside a model say how it embeds texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.config import EmbeddingConfig
from llamacy.errors import FormatError, ModelFileError, UnsupportedError
from llamacy.formats.gguf.config import read_config
from llamacy.model.executors import load_executor
from llamacy.model_files.opening import open_model
from llamacy.ops.batch import TextBatch
from tests.support import random_model
from tests.support.hugging_face import write_babble, write_json, write_safetensors

N_EMBD = random_model.N_EMBD
TRANSFORMER = ("Transformer", "")
POOLING, NORMALIZE = ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")
PROMPTS = {"query": "query: ", "document": "passage: "}


def write(
    folder: Path, modules: list[tuple[str, str]], files: dict[str, Any] | None = None
) -> Path:
    """Write the babbling model, with modules and their settings."""
    write_babble(folder)
    listed = [
        {
            "idx": i,
            "name": str(i),
            "path": path,
            "type": f"sentence_transformers.{kind}",
        }
        for i, (kind, path) in enumerate(modules)
    ]
    write_json(folder / "modules.json", listed)
    for name, settings in (files or {}).items():
        (folder / name).parent.mkdir(exist_ok=True)
        write_json(folder / name, settings)
    return folder


def embedding_of(path: Path) -> EmbeddingConfig:
    with open_model(path) as file:
        return read_config(file).embedding


def test_a_folder_without_them_says_nothing(tmp_path: Path) -> None:
    folder = write_babble(tmp_path / "babble")
    assert embedding_of(folder) == EmbeddingConfig()


def test_all_that_they_say_is_read_and_stays_in_a_gguf_file(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "babble",
        [TRANSFORMER, POOLING, NORMALIZE],
        {
            "1_Pooling/config.json": {"pooling_mode_cls_token": True},
            "sentence_bert_config.json": {"max_seq_length": 99, "do_lower_case": False},
            "config_sentence_transformers.json": {
                "prompts": PROMPTS,
                "default_prompt_name": "query",
                "similarity_fn_name": "cosine",
            },
        },
    )
    wanted = EmbeddingConfig(
        pooling="cls",
        is_normalized=True,
        n_tokens=99,
        prompts=PROMPTS,
        default_prompt="query",
        similarity="cosine",
    )
    assert embedding_of(folder) == wanted
    llamacy.convert(folder, tmp_path / "babble.gguf")
    assert embedding_of(tmp_path / "babble.gguf") == wanted


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False}, "mean"),
        ({"pooling_mode_lasttoken": True}, "last"),
        ({"pooling_mode": "lasttoken", "include_prompt": True}, "last"),
        ({"pooling_mode": ["cls"]}, "cls"),
        ({"word_embedding_dimension": 64}, "mean"),
    ],
)
def test_old_and_new_names_of_pooling(
    tmp_path: Path, settings: dict[str, Any], wanted: str
) -> None:
    files = {"1_Pooling/config.json": settings}
    folder = write(tmp_path / "babble", [TRANSFORMER, POOLING], files)
    assert embedding_of(folder).pooling == wanted


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({"tokenizer_config.json": {"model_max_length": 77}}, 77),
        ({"tokenizer_config.json": {"model_max_length": 1e30}}, None),
        ({"sentence_bert_config.json": {"max_seq_length": 100000}}, None),
        ({"sentence_roberta_config.json": {"max_seq_length": 30}}, 30),
        ({"sentence_bert_config.json": {"max_seq_length": None}}, None),
    ],
)
def test_a_limit_below_that_of_the_model_counts(
    tmp_path: Path, files: dict[str, Any], wanted: int | None
) -> None:
    assert embedding_of(write(tmp_path / "babble", [], files)).n_tokens == wanted


@pytest.mark.parametrize("activation", ["linear.Identity", "activation.Tanh"])
def test_dense_layers_follow_the_pooling(tmp_path: Path, activation: str) -> None:
    rng = np.random.default_rng(0)

    def noise(*shape: int) -> NDArray[np.float32]:
        return rng.standard_normal(shape, np.float32) / np.float32(8)

    layers = {
        "2_Dense": {"linear.weight": noise(24, N_EMBD)},
        "3_Dense": {"linear.weight": noise(16, 24), "linear.bias": noise(16)},
    }
    files: dict[str, Any] = {"1_Pooling/config.json": {}}
    for name, tensors in layers.items():
        n_out, n_in = tensors["linear.weight"].shape
        files[f"{name}/config.json"] = {
            "in_features": n_in,
            "out_features": n_out,
            "activation_function": f"torch.nn.modules.{activation}",
        }
    modules = [TRANSFORMER, POOLING, *(("Dense", name) for name in layers), NORMALIZE]
    folder = write(tmp_path / "babble", modules, files)
    for name, tensors in layers.items():
        write_safetensors(folder / name / "model.safetensors", tensors)
    llamacy.convert(folder, tmp_path / "babble.gguf")
    batch = TextBatch.of([[5, 6, 7], [300, 301]])
    for path in (folder, tmp_path / "babble.gguf"):
        with open_model(path) as file:
            config = read_config(file)
            executor = load_executor(file, config)
        assert config.embedding.dense == (24, 16)
        rows = executor.embed(batch, "none")
        x = np.stack([rows[:3].mean(axis=0), rows[3:].mean(axis=0)])
        for tensors in layers.values():
            x = x @ tensors["linear.weight"].T + tensors.get("linear.bias", 0)
            x = np.tanh(x) if "Tanh" in activation else x
        np.testing.assert_allclose(executor.embed(batch, "mean"), x, atol=2e-5)
        executor.close()


@pytest.mark.parametrize(
    ("modules", "files", "message"),
    [
        ([("CLIPModel", "")], {}, "modules.json: .*wanted Transformer, Pooling"),
        ([("Transformer", "0_Transformer")], {}, "wanted the folder itself"),
        ([("Pooling", "../x")], {}, "wanted the name of a folder beside it"),
        ([("Pooling", "a/b")], {}, "wanted the name of a folder beside it"),
        ([("Dense", "..")], {}, "wanted the name of a folder beside it"),
        (
            [POOLING],
            {"1_Pooling/config.json": {"pooling_mode_max_tokens": True}},
            "pooling_mode: wanted one of mean, cls, lasttoken, found max",
        ),
        (
            [POOLING],
            {
                "1_Pooling/config.json": {
                    "pooling_mode_max_tokens": True,
                    "pooling_mode_mean_tokens": True,
                }
            },
            "found max, mean",
        ),
        (
            [POOLING],
            {"1_Pooling/config.json": {"pooling_mode": [["cls"]]}},
            r"pooling_mode: wanted one of mean, cls, lasttoken, found \['cls'\]",
        ),
        (
            [POOLING],
            {"1_Pooling/config.json": {"include_prompt": False}},
            "include_prompt: wanted True, found False",
        ),
        (
            [("Dense", "2_Dense")],
            {
                "2_Dense/config.json": {
                    "in_features": 64,
                    "out_features": 8,
                    "activation_function": "torch.nn.modules.activation.GELU",
                }
            },
            "activation_function: wanted one of Identity, Tanh, found GELU",
        ),
        (
            [],
            {"sentence_bert_config.json": {"do_lower_case": True}},
            "do_lower_case: wanted false, or a vocabulary that does it",
        ),
        (
            [],
            {"config_sentence_transformers.json": {"default_prompt_name": "query"}},
            "default_prompt: wanted the name of a prompt, found query",
        ),
        (
            [],
            {"config_sentence_transformers.json": {"prompts": {"query": 5}}},
            "prompts.query: wanted a string, found 5",
        ),
    ],
)
def test_what_is_not_known_is_refused(
    tmp_path: Path,
    modules: list[tuple[str, str]],
    files: dict[str, Any],
    message: str,
) -> None:
    folder = write(tmp_path / "babble", modules, files)
    with pytest.raises((FormatError, UnsupportedError), match=message):
        embedding_of(folder)


def test_files_that_are_missing_or_no_list(tmp_path: Path) -> None:
    folder = write(tmp_path / "babble", [POOLING])
    with pytest.raises(ModelFileError):
        embedding_of(folder)
    write_json(folder / "modules.json", {"type": "Pooling"})
    with pytest.raises(FormatError, match="wanted an array of JSON objects"):
        embedding_of(folder)
    write_json(folder / "modules.json", [1])
    with pytest.raises(FormatError, match="wanted an object, found 1"):
        embedding_of(folder)
