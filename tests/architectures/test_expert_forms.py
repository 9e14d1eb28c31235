"""Experts in the forms of old and new files make the same model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.errors import FormatError
from llamacy.formats.gguf.file import open_gguf
from llamacy.model.executors import load_executor
from llamacy.model_files.hyperparameters import read_hyperparameters
from llamacy.ops.batch import Batch
from tests.support.model_shapes import model_shapes

Tensors = dict[str, NDArray[np.float32]]
Change = Callable[[Tensors], Tensors]
MakeModel = Callable[..., Path]

NAMES = {
    part: gguf.TENSOR_NAMES[gguf.MODEL_TENSOR[f"FFN_{part.upper()}_EXP"]]
    for part in ("gate", "up", "down", "gate_up")
}
KEYS: dict[str, Any] = {
    **{"expert_count": 3, "expert_used_count": 2, "context_length": 128},
    **{"embedding_length": 256, "feed_forward_length": 256, "vocab_size": 50},
    "expert_feed_forward_length": 256,
}


def usual(tensors: Tensors) -> Tensors:
    """Leave the tensors as they are."""
    return tensors


def merged(tensors: Tensors) -> Tensors:
    """Merge gate and up, and their biases."""
    tensors = dict(tensors)
    for layer in range(2):
        for kind in ("weight", "bias"):
            gate, up, both = (
                f"{NAMES[part].format(bid=layer)}.{kind}"
                for part in ("gate", "up", "gate_up")
            )
            if gate in tensors:
                halves = [tensors.pop(gate), tensors.pop(up)]
                tensors[both] = np.concatenate(halves, axis=1)
    return tensors


def alone(tensors: Tensors) -> Tensors:
    """Split the experts into one matrix each."""
    tensors = dict(tensors)
    for layer in range(2):
        for part in ("gate", "up", "down"):
            name = NAMES[part].format(bid=layer)
            for number, matrix in enumerate(tensors.pop(f"{name}.weight")):
                tensors[f"blk.{layer}.ffn_{part}.{number}.weight"] = matrix
    return tensors


@pytest.fixture(scope="module")
def make_model(
    tmp_path_factory: pytest.TempPathFactory,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., Tensors],
) -> MakeModel:
    """Write a model of (form, family, type of the matrices)."""
    folder = tmp_path_factory.mktemp("models")

    def make(form: Change, family: str = "llama", type_name: str = "F32") -> Path:
        metadata = llama_metadata(family, **KEYS)
        shapes = model_shapes(write_gguf, folder, metadata)
        tensors = form(random_tensors(shapes.items()))
        path = folder / f"{form.__name__}-{family}-{type_name}.gguf"
        return write_gguf(path, metadata, tensors, type_name)

    return make


def logits(path: Path, kind: Any = "plan") -> NDArray[np.float32]:
    with open_gguf(path) as file:
        _, config = read_hyperparameters(file)
        executor = load_executor(file, config, executor=kind, kv_type="f32")
    ids = np.random.default_rng(1).integers(0, config.n_vocab, 20).tolist()
    batch = Batch.of(ids, executor.new_sequence(), "all")
    result: NDArray[np.float32] = executor.forward(batch)
    return result


each_form = pytest.mark.parametrize(
    ("form", "family"),
    [(alone, "llama"), (merged, "llama"), (merged, "qwen3moe"), (merged, "gpt-oss")],
)


@each_form
@pytest.mark.parametrize("type_name", ["F32", "Q8_0", "MXFP4"])
def test_all_forms_of_experts_give_the_same_logits(
    make_model: MakeModel, form: Change, family: str, type_name: str
) -> None:
    want = logits(make_model(usual, family, type_name))
    assert want.std() > 0.1
    path = make_model(form, family, type_name)
    np.testing.assert_array_equal(logits(path), want)


@each_form
def test_all_forms_of_experts_give_the_same_logits_by_the_reference(
    make_model: MakeModel, form: Change, family: str
) -> None:
    want = logits(make_model(usual, family, "Q8_0"), "reference")
    got = logits(make_model(form, family, "Q8_0"), "reference")
    np.testing.assert_array_equal(got, want)


@each_form
def test_experts_are_counted_in_the_form_of_the_file(
    make_model: MakeModel, form: Change, family: str
) -> None:
    want = llamacy.inspect(make_model(usual, family, "Q8_0"))
    got = llamacy.inspect(make_model(form, family, "Q8_0"))
    for name in ("n_params", "file_bytes", "weights_bytes", "n_vocab", "kv_page_bytes"):
        assert getattr(got, name) == getattr(want, name), name
    # two layers of three tensors are n_expert matrices each, or one less
    n_more = {"alone": 2 * 3 * (3 - 1), "merged": -2}[form.__name__]
    assert got.tensor_types["Q8_0"] == want.tensor_types["Q8_0"] + n_more


@each_form
def test_quantised_experts_of_each_form_run(
    make_model: MakeModel, tmp_path: Path, form: Change, family: str
) -> None:
    small = {}
    for each in (usual, form):
        small[each] = tmp_path / f"{each.__name__}.gguf"
        path = make_model(each, family)
        done = llamacy.quantize(path, small[each], "Q4_K_M", n_threads=1)
        assert done.n_params == llamacy.inspect(path).n_params
    np.testing.assert_array_equal(logits(small[form]), logits(small[usual]))
    assert llamacy.inspect(small[form]).weights_bytes < done.source_bytes / 4


@each_form
def test_experts_of_each_form_are_quantised_while_loading(
    make_model: MakeModel, form: Change, family: str
) -> None:
    found = []
    for each in (usual, form):
        path = make_model(each, family)
        with llamacy.load(path, quantize="Q4_K_M", n_threads=1) as model:
            found.append(model.logits(list(range(20))))
    np.testing.assert_array_equal(found[0], found[1])


def without(name: str) -> Change:
    def change(tensors: Tensors) -> Tensors:
        return {each: x for each, x in alone(tensors).items() if each != name}

    return change


def cut(form: Change, name: str, to: Callable[[Any], Any]) -> Change:
    def change(tensors: Tensors) -> Tensors:
        tensors = form(tensors)
        tensors[name] = np.ascontiguousarray(to(tensors[name]))
        return tensors

    return change


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (
            without("blk.1.ffn_up.1.weight"),
            r"tensor blk\.1\.ffn_up\.1\.weight: wanted one of 2 experts, found no such",
        ),
        (
            without("blk.1.ffn_up.0.weight"),
            r"tensor blk\.1\.ffn_up\.0\.weight: wanted one of 2 experts, found no such",
        ),
        (
            without("blk.1.ffn_up.2.weight"),
            r"blk\.1\.ffn_up_exps\.weight: shape: wanted \(3, 256, 256\), found \(2, ",
        ),
        (
            cut(alone, "blk.0.ffn_down.2.weight", lambda x: x[:-1]),
            r"tensor blk\.0\.ffn_down\.2\.weight: shape: wanted a matrix",
        ),
        (
            cut(alone, "blk.0.ffn_down.0.weight", lambda x: x[0]),
            r"tensor blk\.0\.ffn_down\.0\.weight: shape: wanted a matrix",
        ),
        (
            cut(merged, "blk.0.ffn_gate_up_exps.weight", lambda x: x[:, :-1]),
            r"gate_up_exps\.weight: shape: wanted \(n_expert, 2 n_ff, n_embd\)",
        ),
        (
            cut(merged, "blk.0.ffn_gate_up_exps.weight", lambda x: x[0]),
            r"gate_up_exps\.weight: shape: wanted \(n_expert, 2 n_ff, n_embd\)",
        ),
        (
            cut(merged, "blk.0.ffn_gate_up_exps.weight", lambda x: x[:, :-2]),
            r"ffn_gate_exps\.weight: shape: wanted \(3, 256, 256\), found \(3, 255",
        ),
    ],
)
def test_experts_that_do_not_fit_together_are_refused(
    make_model: MakeModel, form: Change, message: str
) -> None:
    path = make_model(form)
    with pytest.raises(FormatError, match=message):
        logits(path)
    with pytest.raises(FormatError, match=message):
        llamacy.inspect(path)


def test_experts_of_different_types_are_refused_but_can_be_quantised(
    make_model: MakeModel, tmp_path: Path
) -> None:
    path = tmp_path / "mixed.gguf"
    with open_gguf(make_model(alone)) as file:
        writer = gguf.GGUFWriter(path, "llama")
        for key, value in file.metadata.items():
            if isinstance(value, float):
                writer.add_float32(key, value)
            elif isinstance(value, int):
                writer.add_uint32(key, value)
        for name, tensor in file.tensors.items():
            values = tensor.dequantize()
            half = name == "blk.1.ffn_gate.2.weight"
            writer.add_tensor(name, values.astype(np.float16) if half else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(
        FormatError, match=r"gate\.2\.weight: type: wanted F32, like .*F16"
    ):
        logits(path)
    assert llamacy.quantize(path, tmp_path / "same.gguf", "Q8_0", n_threads=1)
    assert logits(tmp_path / "same.gguf").shape == (20, 50)


def test_a_merged_bias_of_quantised_blocks_is_refused(
    make_model: MakeModel, tmp_path: Path
) -> None:
    from llamacy.formats.expert_tensors import usual_experts
    from llamacy.ggml.types import GGMLType

    class Bias:
        name, shape, type = "blk.0.ffn_gate_up_exps.bias", (3, 64), GGMLType.Q8_0

    bias: Any = Bias()
    with pytest.raises(FormatError, match=r"bias: type: wanted a type of single"):
        usual_experts({bias.name: bias}, tmp_path)
