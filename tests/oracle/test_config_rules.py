"""The keys of config.json, there, absent, null or false, mean what transformers reads.

Each case is a config.json written by hand. transformers makes a tiny random model of it
and reads the folder again; llamacy reads the same folder.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.hugging_face.classes import DEFAULTS, MODEL_TYPES
from llamacy.formats.hugging_face.config import read_config as read_folder_config
from llamacy.formats.hugging_face.families import FAMILIES
from llamacy.formats.hugging_face.keys import HARMLESS, REFUSED
from llamacy.formats.json_text import read_json
from tests.support.config_cases import (
    CASES,
    DYNAMIC,
    EMBEDDING,
    FULL,
    HEAD,
    IMPOSSIBLE,
    N_VOCAB,
    NEEDED,
    SHORT,
    SLIDING,
    TIED,
    settings,
)
from tests.support.forward_passes import error, logits_of
from tests.support.hugging_face import write_safetensors

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch", reason="PyTorch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is absent")

Array = NDArray[np.float32]
N_TOKENS = 40


def make(folder: Path, config: dict[str, Any]) -> Any:
    """Write a folder, config.json as it is, and random weights; return the model."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    read = transformers.AutoConfig.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_config(read).float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("bias", "norm.weight")):
                parameter.add_(0.1 * torch.randn_like(parameter))
    tied = read.tie_word_embeddings
    write_safetensors(
        folder / "model.safetensors",
        {
            name: tensor.numpy()
            for name, tensor in model.state_dict().items()
            if name != HEAD or not tied
        },
    )
    return model


def wanted(model: Any) -> Array:
    with torch.no_grad():
        logits: Array = model(torch.tensor([tokens()])).logits[0].numpy()
    return logits


def tokens() -> list[int]:
    ids: list[int] = np.random.default_rng(1).integers(0, N_VOCAB, N_TOKENS).tolist()
    return ids


def run(path: Path, kind: Any = "reference") -> Array:
    return logits_of(path, tokens(), kind)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small matrices are multiplied faster by one thread."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_config_means_what_transformers_takes_it_for(
    case: str, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    want = wanted(make(folder, settings(*CASES[case])))
    got = run(folder)
    assert error(got, want) <= 1e-4
    if "sliding_window" in CASES[case][1] or "dynamic" in case:
        llamacy.convert(folder, tmp_path / "model.gguf")
        np.testing.assert_array_equal(run(tmp_path / "model.gguf"), got)
        assert error(run(folder, "plan"), want) <= 2e-4


@pytest.mark.parametrize("n_prompt", [10, 24])
def test_a_text_of_a_dynamic_model_grows_as_in_transformers(
    n_prompt: int, tmp_path: Path
) -> None:
    """Its keys keep the rotations of the length that the text had then."""
    folder = tmp_path / "model"
    model = make(folder, settings("llama", {**SHORT, "rope_scaling": DYNAMIC}))
    ids = tokens()[:n_prompt]
    options = {"do_sample": False, "max_new_tokens": 12, "eos_token_id": None}
    want = model.generate(torch.tensor([ids]), **options)[0, n_prompt:].tolist()
    with llamacy.load(folder, kv_type="f32", n_ctx=48, n_threads=1) as ours:
        got = ours.generate(ids, max_tokens=12, temperature=0)
        logits = ours.logits(tokens())
    assert list(got.tokens) == want
    model = make(folder, settings("llama", {**SHORT, "rope_scaling": DYNAMIC}))
    assert error(logits, wanted(model)) <= 2e-4


def test_a_tied_flag_beside_another_output_matrix_is_not_followed(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "model"
    make(folder, settings("llama", {}))
    config = settings("llama", TIED)
    (folder / "config.json").write_text(json.dumps(config))
    got = run(folder)
    assert error(got, wanted(from_folder(folder))) <= 1e-4
    llamacy.convert(folder, tmp_path / "model.gguf")
    np.testing.assert_array_equal(run(tmp_path / "model.gguf"), got)


@pytest.mark.parametrize("names", [(HEAD,), (EMBEDDING,), (HEAD, EMBEDDING)], ids=str)
def test_a_tied_matrix_may_be_there_under_either_name_or_both(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    model = make(folder, settings("llama", TIED))
    tensors = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    tied = tensors.pop(EMBEDDING)
    tensors.pop(HEAD, None)
    tensors |= dict.fromkeys(names, tied)
    write_safetensors(folder / "model.safetensors", tensors)
    want = wanted(from_folder(folder))
    np.testing.assert_array_equal(want, wanted(model))
    assert error(run(folder), want) <= 1e-4


def from_folder(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32
    ).eval()


@pytest.mark.parametrize("case", IMPOSSIBLE, ids=str)
def test_a_config_that_transformers_cannot_run_is_refused(
    case: str, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    config = settings(*IMPOSSIBLE[case])
    with pytest.raises(Exception):  # noqa: B017, PT011 - of any type
        wanted(make(folder, config))
    with pytest.raises((FormatError, UnsupportedError)):
        read_folder_config(read_json(folder / "config.json"), "name")


OUTSIDE = ("minicpm", "internlm2", "llama_bidirec", "lfm2_bidirectional")
"""Classes whose code is beside their weights, not in transformers."""


@pytest.mark.parametrize("model_type", [x for x in MODEL_TYPES if x not in OUTSIDE])
def test_tables_of_keys_are_those_of_the_classes(
    model_type: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each key of a class is read with its default, or known to change nothing."""
    name = MODEL_TYPES[model_type]
    ours, theirs = DEFAULTS[name], transformers.CONFIG_MAPPING[model_type]
    if FAMILIES[name].images and hasattr(theirs(), "text_config"):
        theirs = type(theirs().text_config)
    config = theirs()
    for field in dataclasses.fields(theirs):
        if field.name not in ours:
            assert field.name in HARMLESS or field.name in REFUSED, field.name
        elif field.name != "rope_parameters":  # of gpt-oss: None stands for them
            defaults = [field.default]
            if field.default in ("auto", None):  # computed from others, in some classes
                defaults.append(getattr(config, field.name))
            lists = [list(x) if isinstance(x, tuple) else x for x in defaults]
            assert ours[field.name] in lists, field.name
    parameters = getattr(config, "rope_parameters", {})
    if parameters:
        rope = dict(parameters.get(FULL, parameters))
        assert rope["rope_theta"] == ours["rope_theta"]
        usual: dict[str, Any] = ours["rope_parameters"] or {"rope_type": "default"}
        usual = dict(usual.get(FULL, usual))
        key, n_turned = "partial_rotary_factor", ours.get("partial_rotary_factor")
        if "qk_rope_head_dim" in ours:  # which says the same
            rope.pop(key, None)
        assert rope.pop(key, 1.0) == usual.pop(key, n_turned or 1.0)
        for key in ("type", "max_position_embeddings"):  # of Ministral, said twice
            rope.pop(key, None)
        assert rope == usual | {"rope_theta": ours["rope_theta"]}
        local = parameters.get(SLIDING, {}).get("rope_theta")
        assert local == ours.get("rope_local_base_freq")
    # and a file with all keys is read without a warning
    config.architectures = [name]
    config.save_pretrained(tmp_path)
    file = read_json(tmp_path / "config.json")
    file.values.update(NEEDED.get(name, {}))
    assert read_folder_config(file, "name").metadata
    assert not [each for each in caplog.records if each.name == "llamacy"]
