"""Whole models in low-bit types can be read, described, run and converted."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

import llamacy
from llamacy.cli import app
from tests.support import byte_level_model
from tests.support.forward_passes import logits

TYPES = (
    *("IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ1_S", "IQ1_M"),
    *("TQ1_0", "TQ2_0", "NVFP4", "Q2_0", "Q1_0"),
)
each_type = pytest.mark.parametrize("type_name", TYPES)


@pytest.fixture(scope="session")
def low_bit_model(
    tmp_path_factory: pytest.TempPathFactory,
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., dict[str, NDArray[np.float32]]],
) -> Callable[[str], Path]:
    """Write a model with all its matrices of one type; each only once."""

    @cache
    def make(type_name: str) -> Path:
        path = tmp_path_factory.mktemp("models") / f"{type_name}.gguf"
        keys = llama_metadata(embedding_length=256, feed_forward_length=512)
        tensors = random_tensors(byte_level_model.shapes(256, 512))
        byte_level_model.write(path, keys, tensors, (type_name,))
        return path

    return make


@pytest.fixture(scope="session")
def wanted(
    low_bit_model: Callable[[str], Path],
) -> Callable[[str], NDArray[np.float32]]:
    """Logits of such a model by the reference, which are the same at every level."""
    return cache(lambda type_name: logits(low_bit_model(type_name), "reference"))


@pytest.mark.usefixtures("selected_level")
@each_type
def test_plan_and_reference_agree_on_low_bit_types(
    low_bit_model: Callable[[str], Path],
    wanted: Callable[[str], NDArray[np.float32]],
    type_name: str,
) -> None:
    want = wanted(type_name)
    got = logits(low_bit_model(type_name), "plan", kv_type="f32", n_threads=1)
    assert want.std() > 0.1
    assert np.sqrt(np.mean((got - want) ** 2)) <= 0.05 * want.std()


@each_type
def test_a_low_bit_model_generates(
    low_bit_model: Callable[[str], Path], type_name: str
) -> None:
    with llamacy.load(low_bit_model(type_name), n_threads=1) as model:
        out = model.generate("the", max_tokens=8, temperature=0.0)
        assert out.usage.completion_tokens in range(1, 9)
        logits = model.logits(model.tokenize("the"))
        assert out.tokens[0] == logits[-1].argmax()


@each_type
def test_a_low_bit_model_is_described(
    low_bit_model: Callable[[str], Path], type_name: str
) -> None:
    path = low_bit_model(type_name)
    result = CliRunner().invoke(app, ["show", str(path)])
    assert result.exit_code == 0
    assert type_name in result.output


@each_type
def test_low_bit_types_can_be_converted(
    low_bit_model: Callable[[str], Path], tmp_path: Path, type_name: str
) -> None:
    source, target = low_bit_model(type_name), tmp_path / "target.gguf"
    done = llamacy.quantize(source, target, "Q8_0", n_threads=1)
    assert done.tensor_types["Q8_0"] == 15
