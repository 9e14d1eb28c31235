"""LoRA adapters: what a model computes with them, and that texts of two never mix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from lora_files import Pairs, product, random_pairs, write_lora
from numpy.typing import NDArray

import llamacy
from llamacy.adapters import low_ranks, read_adapters
from llamacy.executors import Executor, load_executor
from llamacy.formats.gguf import open_gguf
from llamacy.formats.gguf_config import read_config
from llamacy.model import Model
from llamacy.ops.batch import Batch

Floats = NDArray[np.float32]
Kind = Literal["plan", "reference"]

RANK, ALPHA = 5, 12.0
TOKENS = [3, 14, 15, 9, 26, 5, 35, 8, 9, 7]
# of the largest logit; weights are float32, activations on the plan may be less
PLAN_TOLERANCE = 2e-3
TOLERANCES: dict[Kind, float] = {"reference": 1e-5, "plan": PLAN_TOLERANCE}
LONG = list(range(3, 50)) + list(range(3, 40))  # enough to be found again
GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": 12}


@pytest.fixture(scope="module")
def tensors(random_tensors: Callable[..., dict[str, Floats]]) -> dict[str, Floats]:
    block = {
        "attn_norm.weight": (64,),
        "attn_q.weight": (64, 64),
        "attn_k.weight": (32, 64),
        "attn_v.weight": (32, 64),
        "attn_v.bias": (32,),
        "attn_output.weight": (64, 64),
        "ffn_norm.weight": (64,),
        "ffn_gate.weight": (96, 64),
        "ffn_up.weight": (96, 64),
        "ffn_down.weight": (64, 96),
    }
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (50, 64),
        "output_norm.weight": (64,),
        "output.weight": (50, 64),
    }
    for layer in range(2):
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in block.items()}
    return random_tensors(shapes.items())


@pytest.fixture(scope="module")
def write_model(
    write_gguf: Callable[..., Path], llama_metadata: Callable[..., dict[str, Any]]
) -> Callable[..., Path]:
    return lambda path, tensors, *type_name: write_gguf(
        path, llama_metadata(), tensors, *type_name
    )


@pytest.fixture(scope="module")
def base(
    tmp_path_factory: pytest.TempPathFactory,
    tensors: dict[str, Floats],
    write_model: Callable[..., Path],
) -> Path:
    return write_model(tmp_path_factory.mktemp("base") / "base.gguf", tensors)


@pytest.fixture(scope="module")
def pairs(tensors: dict[str, Floats]) -> Pairs:
    """For every matrix of the model."""
    return random_pairs({name: t.shape for name, t in tensors.items()}, RANK, 1)


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory, pairs: Pairs) -> Path:
    path = tmp_path_factory.mktemp("lora") / "lora.gguf"
    return write_lora(path, pairs, alpha=ALPHA)


@pytest.fixture
def model(base: Path) -> Iterator[Model]:
    with llamacy.load(base, n_threads=1) as model:
        yield model


def merged(tensors: dict[str, Floats], pairs: Pairs, scale: float) -> dict[str, Floats]:
    """The weights with `scale * b @ a` in them."""
    changed = {
        name: tensors[name] + np.float32(scale) * product(name, a, b)
        for name, (a, b) in pairs.items()
    }
    return {**tensors, **changed}


def executor_of(path: Path, kind: Kind, lora: Any = None) -> Executor:
    with open_gguf(path) as file:
        config = read_config(file)
        executor = load_executor(file, config, executor=kind, kv_type="f32")
    if lora is not None:
        low = low_ranks(read_adapters(lora), config.architecture, executor.shapes)
        executor.set_adapters(low)
    return executor


def logits_of(executor: Executor) -> Floats:
    return executor.forward(Batch.of(TOKENS, executor.new_sequence(), "all"))


def largest_difference(a: Floats, b: Floats) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


# What is computed.


@pytest.mark.parametrize("scale", [1.0, 0.25, -1.5])
@pytest.mark.parametrize("type_name", ["F32", "Q8_0", "Q4_0"])
def test_beside_the_weights_is_as_in_them(
    tmp_path: Path,
    tensors: dict[str, Floats],
    write_model: Callable[..., Path],
    pairs: Pairs,
    lora: Path,
    type_name: str,
    scale: float,
) -> None:
    base = write_model(tmp_path / "base.gguf", tensors, type_name)
    with open_gguf(base) as file:
        weights = {name: each.dequantize() for name, each in file.tensors.items()}
    whole = write_model(
        tmp_path / "merged.gguf", merged(weights, pairs, scale * ALPHA / RANK)
    )
    wanted = logits_of(executor_of(whole, "reference"))
    assert largest_difference(logits_of(executor_of(base, "reference")), wanted) > 0.05
    found = logits_of(executor_of(base, "reference", (lora, scale)))
    assert largest_difference(found, wanted) < 1e-5
    # quantised weights read activations in 8 bits
    most = PLAN_TOLERANCE if type_name == "F32" else 0.05
    found = logits_of(executor_of(base, "plan", (lora, scale)))
    assert largest_difference(found, wanted) < most


def test_every_level(
    selected_level: object, base: Path, tensors: dict[str, Floats], pairs: Pairs,
    lora: Path, tmp_path: Path, write_model: Callable[..., Path],
) -> None:  # fmt: skip
    whole = write_model(tmp_path / "merged.gguf", merged(tensors, pairs, ALPHA / RANK))
    wanted = logits_of(executor_of(whole, "reference"))
    found = logits_of(executor_of(base, "plan", lora))
    assert largest_difference(found, wanted) < PLAN_TOLERANCE


@pytest.mark.parametrize("rank", [1, 3, 16, 40])
def test_ranks_and_types(
    tmp_path: Path, base: Path, tensors: dict[str, Floats], rank: int,
    write_model: Callable[..., Path],
) -> None:  # fmt: skip
    shapes = {name: each.shape for name, each in tensors.items()}
    pairs = random_pairs(shapes, rank, rank)
    whole = write_model(tmp_path / "merged.gguf", merged(tensors, pairs, 1))
    wanted = logits_of(executor_of(whole, "reference"))
    for type_name, most in (("F32", 1e-5), ("F16", 5e-3), ("BF16", 5e-2)):
        path = write_lora(
            tmp_path / "l.gguf", pairs, alpha=float(rank), type_name=type_name
        )
        found = logits_of(executor_of(base, "reference", path))
        assert largest_difference(found, wanted) < most
        found = logits_of(executor_of(base, "plan", path))
        assert largest_difference(found, wanted) < PLAN_TOLERANCE + most


@pytest.mark.parametrize(
    "part", ["attn_q", "attn_v", "ffn_gate", "ffn_down", "token_embd", "output.weight"]
)
def test_parts_of_a_model(
    tmp_path: Path, base: Path, tensors: dict[str, Floats], pairs: Pairs, part: str,
    write_model: Callable[..., Path],
) -> None:  # fmt: skip
    """What is adapted may be fused with what is not."""
    some = {name: pair for name, pair in pairs.items() if part in name}
    whole = write_model(tmp_path / "merged.gguf", merged(tensors, some, ALPHA / RANK))
    wanted = logits_of(executor_of(whole, "reference"))
    path = write_lora(tmp_path / "lora.gguf", some, alpha=ALPHA)
    for kind, most in TOLERANCES.items():
        found = logits_of(executor_of(base, kind, path))
        assert largest_difference(found, wanted) < most


def test_a_tied_embedding_is_adapted_as_an_embedding(
    tmp_path: Path, tensors: dict[str, Floats], pairs: Pairs,
    write_model: Callable[..., Path],
) -> None:  # fmt: skip
    name = "token_embd.weight"
    tied = {key: each for key, each in tensors.items() if key != "output.weight"}
    base = write_model(tmp_path / "tied.gguf", tied)
    path = write_lora(tmp_path / "lora.gguf", {name: pairs[name]}, alpha=ALPHA)
    untied = merged(tied, {name: pairs[name]}, ALPHA / RANK)
    untied["output.weight"] = tied[name]
    wanted = logits_of(
        executor_of(write_model(tmp_path / "m.gguf", untied), "reference")
    )
    for kind, most in TOLERANCES.items():
        found = logits_of(executor_of(base, kind, path))
        assert largest_difference(found, wanted) < most


def test_several_add_up(
    tmp_path: Path, base: Path, tensors: dict[str, Floats], pairs: Pairs, lora: Path,
    write_model: Callable[..., Path],
) -> None:  # fmt: skip
    shapes = {name: each.shape for name, each in tensors.items() if "ffn" in name}
    shapes["token_embd.weight"] = tensors["token_embd.weight"].shape
    others = random_pairs(shapes, 3, 2)
    # without an alpha products are taken as they are
    second = write_lora(tmp_path / "second.gguf", others, alpha=None)
    both = merged(merged(tensors, pairs, 0.5 * ALPHA / RANK), others, -2)
    wanted = logits_of(executor_of(write_model(tmp_path / "m.gguf", both), "reference"))
    for kind, most in TOLERANCES.items():
        executor = executor_of(base, kind, [(lora, 0.5), (str(second), -2), (lora, 0)])
        assert largest_difference(logits_of(executor), wanted) < most


# A model in use.


def test_at_load_and_at_run_time(base: Path, model: Model, lora: Path) -> None:
    without = model.logits(TOKENS)
    assert model.adapters == ()
    with llamacy.load(base, n_threads=1, lora=(lora, 0.5)) as other:
        assert other.adapters == ((str(lora), 0.5),)
        wanted = other.logits(TOKENS)
    assert largest_difference(wanted, without) > 0.02
    model.set_adapters([(lora, 0.5)])
    np.testing.assert_array_equal(model.logits(TOKENS), wanted)
    model.set_adapters(None)
    assert model.adapters == ()
    np.testing.assert_array_equal(model.logits(TOKENS), without)


def test_what_was_read_with_others_is_not_found_again(model: Model, lora: Path) -> None:
    def text() -> tuple[list[int], int]:
        out = model.generate(LONG, **GREEDY)
        return out.tokens, out.usage.cached_tokens

    without = text()
    assert text()[1] > 32
    model.set_adapters(lora)
    adapted = text()
    assert (adapted[1], adapted[0] == without[0]) == (0, False)
    assert text()[1] > 32
    model.set_adapters((lora, 2.0))
    assert text()[1] == 0
    model.set_adapters(None)
    assert text() == without


def test_sessions_read_again(base: Path, model: Model, lora: Path) -> None:
    with llamacy.load(base, n_threads=1, lora=lora) as other:
        wanted = other.generate(LONG, **GREEDY).tokens
    with model.session() as session, model.session() as second:
        session.feed(LONG[:40])
        second.feed(LONG)
        model.set_adapters(lora)
        out = session.generate(LONG[40:], **GREEDY)
        assert (out.tokens, out.usage.cached_tokens) == (wanted, 0)
        twin = second.fork()
        model.set_adapters(None)
        model.set_adapters(lora)
        assert twin.generate(**GREEDY).tokens == wanted
        assert twin.generate(max_tokens=1).usage.cached_tokens > len(LONG)
        # what was read with the adapters in use is not read again
        out = session.generate(max_tokens=1)
        assert out.usage.cached_tokens > len(LONG)


def test_saved_sessions_know_their_adapters(
    model: Model, lora: Path, tmp_path: Path
) -> None:
    model.set_adapters(lora)
    with model.session() as session:
        session.feed(LONG)
        session.save(tmp_path / "s")
    with model.load_session(tmp_path / "s") as session:
        wanted = session.generate(**GREEDY).tokens
    assert wanted == model.generate(LONG, **GREEDY).tokens
    for others in (None, (lora, 0.5)):
        model.set_adapters(others)
        with pytest.raises(llamacy.FormatError, match="header model"):
            model.load_session(tmp_path / "s")


def test_not_while_texts_are_generated(model: Model, lora: Path) -> None:
    stream = model.stream(LONG, temperature=0, max_tokens=20)
    before = next(iter(stream))
    with pytest.raises(llamacy.BusyError):
        model.set_adapters(lora)
    assert model.adapters == ()
    rest = [before.text, *(piece.text for piece in stream)]
    assert len(rest) > 1
    model.set_adapters(lora)
    assert len(model.adapters) == 1
    with model.stream(LONG, max_tokens=20) as stream:
        next(iter(stream))
    model.set_adapters(None)


def test_a_closed_model(model: Model, lora: Path) -> None:
    model.close()
    with pytest.raises(llamacy.ClosedError):
        model.set_adapters(lora)


# What is no adapter, or none of this model.


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ({"general.type": "model"}, "general.type"),
        ({"general.type": None}, "general.type"),
        ({"general.type": 3}, "general.type"),
        ({"adapter.type": "ia3"}, "adapter.type"),
        ({"adapter.type": None}, "adapter.type"),
        ({"general.architecture": "qwen2"}, "general.architecture"),
        ({"adapter.lora.alpha": -1.0}, "adapter.lora.alpha"),
        ({"adapter.lora.alpha": float("nan")}, "adapter.lora.alpha"),
        ({"adapter.lora.alpha": "8"}, "adapter.lora.alpha"),
        ({"adapter.alora.invocation_tokens": [1, 2]}, "adapter"),
    ],
)
def test_metadata(
    tmp_path: Path, model: Model, pairs: Pairs, keys: dict[str, Any], field: str
) -> None:
    path = write_lora(tmp_path / "lora.gguf", pairs, keys=keys)
    with pytest.raises(llamacy.FormatError) as caught:
        model.set_adapters(path)
    assert caught.value.field == field
    assert model.adapters == ()


NAME = "blk.0.attn_q.weight"


def zeros(*shape: int) -> Floats:
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("pairs", "field"),
    [
        ({}, "tensors"),
        ({NAME: (zeros(5, 63), zeros(64, 5))}, f"tensor {NAME}.lora_a: shape"),
        ({NAME: (zeros(5, 64), zeros(65, 5))}, f"tensor {NAME}.lora_b: shape"),
        ({NAME: (zeros(5, 64), zeros(64, 4))}, f"tensor {NAME}.lora_a: shape"),
        ({NAME: (zeros(64), zeros(64, 1))}, f"tensor {NAME}.lora_a: shape"),
        ({NAME: (zeros(5, 64), zeros(64, 5) + np.nan)}, f"tensor {NAME}.lora_b"),
        ({"blk.9.attn_q.weight": (zeros(5, 64), zeros(64, 5))}, "tensor blk.9"),
        ({"blk.0.attn_norm.weight": (zeros(5, 1), zeros(64, 5))}, "tensor blk.0"),
        (
            {"token_embd.weight": (zeros(5, 64), zeros(50, 5))},
            "tensor token_embd.weight.lora_a: shape",
        ),
        (
            {"token_embd.weight": (zeros(49, 5), zeros(64, 5))},
            "tensor token_embd.weight.lora_a: shape",
        ),
    ],
)
def test_tensors(tmp_path: Path, model: Model, pairs: Pairs, field: str) -> None:
    path = write_lora(tmp_path / "lora.gguf", pairs)
    with pytest.raises(llamacy.FormatError) as caught:
        model.set_adapters(path)
    assert caught.value.field.startswith(field)


def test_names(tmp_path: Path, model: Model) -> None:
    alone = {NAME: (zeros(5, 64),)}
    import gguf

    for name in (f"{NAME}.lora_a", f"{NAME}.lora_c", ".lora_a", NAME):
        writer = gguf.GGUFWriter(tmp_path / "lora.gguf", "llama")
        writer.add_string("general.type", "adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_tensor(name, alone[NAME][0])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        with pytest.raises(llamacy.FormatError, match="tensor"):
            model.set_adapters(tmp_path / "lora.gguf")


def test_arguments(model: Model, base: Path, lora: Path, tmp_path: Path) -> None:
    for bad in (3, [3], b"x", [(lora, float("nan"))], (lora, 1e9), [(lora, "1")]):
        with pytest.raises(llamacy.ArgumentError, match="lora"):
            model.set_adapters(bad)  # type: ignore[arg-type]
    for missing in (tmp_path / "none", [lora, tmp_path / "none"]):
        with pytest.raises(llamacy.ModelFileError):
            model.set_adapters(missing)
    with pytest.raises(llamacy.FormatError, match=r"general\.type"):
        llamacy.load(base, lora=base)
    with pytest.raises(llamacy.FormatError, match="found"):
        llamacy.load(lora)
