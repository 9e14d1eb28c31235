"""Every family runs on both executors, with texts longer than its window."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy import kernels
from llamacy.architectures.selecting import select_tensors
from llamacy.errors import FormatError
from llamacy.formats.gguf.file import open_gguf
from llamacy.model.executors import load_executor
from llamacy.model_files.hyperparameters import read_hyperparameters
from llamacy.ops.batch import Batch
from tests.support import levels, mtp_model
from tests.support.families import MODELS, N_PROMPT, N_TOKENS, WINDOW
from tests.support.model_shapes import model_shapes

Array = NDArray[np.float32]
Tensors = dict[str, Array]
Make = Callable[..., Path]
Reference = Callable[..., tuple[Path, Array]]
each_model = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(scope="session")
def make_model(
    tmp_path_factory: pytest.TempPathFactory,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., Tensors],
) -> Make:
    """Write a model of the table; `change` may alter its tensors."""

    def make(
        name: str,
        change: Callable[[Tensors], None] | None = None,
        type_name: str = "F32",
    ) -> Path:
        family, keys, extra = MODELS[name]
        folder = tmp_path_factory.mktemp(family)
        metadata = llama_metadata(family, **keys)
        shapes = model_shapes(write_gguf, folder, metadata, extra)
        tensors = random_tensors(shapes.items())
        if family == "gemma4":  # whose training makes scores small, and no factor
            for name in tensors:
                tensors[name] *= 0.2 if name.endswith("attn_q_norm.weight") else 1
        sign = 1 if family == "bailingmoe3" else -1
        for name in tensors:  # steps decay what is kept
            if name.endswith(".ssm_a"):
                tensors[name] = sign * np.abs(tensors[name])
        if change is not None:
            change(tensors)
        return write_gguf(folder / "model.gguf", metadata, tensors, type_name)

    return make


def load(path: Path, kind: Any, **options: Any) -> tuple[Any, int]:
    with open_gguf(path) as file:
        config = read_hyperparameters(file)[1]
        return load_executor(file, config, executor=kind, **options), config.n_vocab


def logits(path: Path, kind: Any, is_long: bool = True, **options: Any) -> Array:
    executor, n_vocab = load(path, kind, **options)
    ids = np.random.default_rng(1).integers(0, n_vocab, N_TOKENS).tolist()
    sequence = executor.new_sequence()
    sequence.n_long = int(is_long)
    parts = [executor.forward(Batch.of(ids[:N_PROMPT], sequence, "all"))]
    rest, row = iter(ids[N_PROMPT:]), np.empty((1, n_vocab), np.float32)

    def go_on() -> list[int] | None:
        parts.append(row.copy())
        return [token] if (token := next(rest, None)) is not None else None

    for token in rest:
        executor.forward(Batch.of([token], sequence), row, go_on)
        if N_PROMPT + len(parts) - 1 < sequence.n_past:  # nothing could follow at once
            parts.append(row.copy())
    return np.concatenate(parts)


@pytest.fixture(scope="session")
def reference(make_model: Make) -> Reference:
    """Return a model and its logits by the reference, computed once for all levels."""

    @cache
    def of(name: str, type_name: str = "F32") -> tuple[Path, Array]:
        path = make_model(name, type_name=type_name)
        return path, logits(path, "reference")

    return of


@pytest.fixture(params=[0, 1])
def levels_in_turn(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two levels for each family, which differ from one to the next.

    Families differ in their steps, and levels in the kernels of these, of which each
    has tests of its own at every level.
    """
    usable = [each for each in levels.tested_levels() if not kernels.lacking(each)]
    turn = list(MODELS).index(name) + request.param * (len(usable) // 2)
    level = usable[turn % len(usable)]
    monkeypatch.setattr(kernels, "selected", lambda: level)


@pytest.mark.usefixtures("levels_in_turn")
@each_model
def test_plan_and_reference_agree_on_every_family(
    reference: Reference, name: str
) -> None:
    path, want = reference(name)
    got = logits(path, "plan", kv_type="f32", n_threads=2)
    assert want.std() > 0.1
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * float(want.std()))


@pytest.mark.usefixtures("selected_level")
@pytest.mark.parametrize(
    "name",
    [
        *("gemma2", "phi3, window", "granite", "olmo2", "falcon, 40b", "gpt2"),
        *("gemma4, shared", "gemma4, all experts"),
    ],
)
def test_plan_and_reference_agree_on_quantised_weights(
    reference: Reference, name: str
) -> None:
    path, want = reference(name, "Q8_0")
    got = logits(path, "plan", n_threads=2)
    assert np.sqrt(np.mean((got - want) ** 2)) <= 0.05 * want.std()


@pytest.mark.usefixtures("selected_level")
@pytest.mark.parametrize(
    "name",
    [
        *("gemma2, capped", "gemma3", "qwen3", "phi3, window", "gpt2"),
        *("stablelm, 12b", "gemma4, shared", "qwen35", "falcon-h1", "mamba2"),
        *("nemotron_h_moe", "jamba, experts"),
        "kimi-linear",
    ],
)
def test_logits_do_not_depend_on_the_rest_of_the_batch(
    reference: Reference, name: str
) -> None:
    """A prompt is read at once, in pieces, and beside another one."""
    path, _ = reference(name)
    plan, n_vocab = load(path, "plan", n_threads=2)
    rng = np.random.default_rng(1)
    ids, others = (rng.integers(0, n_vocab, 90).tolist() for _ in range(2))
    whole = plan.forward(Batch.of(ids, plan.new_sequence(), "all"))
    sequence, beside = plan.new_sequence(), plan.new_sequence()
    pieces = [plan.forward(Batch.of(ids[:33], sequence, "all"))]
    batch = Batch.join([(others, beside, "none"), (ids[33:71], sequence, "all")])
    pieces.append(plan.forward(batch))
    for token in ids[71:]:
        pieces.append(plan.forward(Batch.of([token], sequence)))
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


@each_model
def test_layers_that_are_complete_stay_as_they_are(make_model: Make, name: str) -> None:
    with open_gguf(make_model(name)) as file:
        architecture, config = read_hyperparameters(file)
    assert architecture.complete(config, "m.gguf") == config


def test_every_key_of_a_family_changes_the_logits(
    reference: Callable[[str], tuple[Path, Array]],
) -> None:
    """With the same weights, models of a family differ: no key is silently ignored."""
    for name, (family, keys, _) in MODELS.items():
        for other, (its_family, its_keys, _) in MODELS.items():
            same = (family, keys.get("block_count")) == (
                *(its_family, its_keys.get("block_count")),
            )
            if same and name < other:
                difference = np.abs(reference(name)[1] - reference(other)[1]).max()
                assert difference > 1e-3, (name, other)


FLAGS = {
    "attention__recurrent_layers": [True, True, True, False, False],
    "full_attention_interval": 4,
}
DRAFTING: dict[str, dict[str, Any]] = {
    "qwen35": FLAGS,
    "qwen35moe": FLAGS,
    "qwen3next": FLAGS,
    "deepseek2, v3": {},
    "bailingmoe3": {"attention__head_count_kv": [0, 1, 0, 1, 1]},
}
"""Models whose files may have a layer that drafts, which llama.cpp's arrays count."""


@pytest.mark.parametrize("name", DRAFTING)
def test_logits_do_not_depend_on_a_layer_that_drafts(
    make_model: Make,
    reference: Callable[[str], tuple[Path, Array]],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """It follows the others, and attends."""
    family, keys, extra = MODELS[name]
    n_layer = keys["block_count"]
    more = DRAFTING[name] | {"block_count": n_layer + 1, "nextn_predict_layers": 1}
    monkeypatch.setitem(MODELS, "drafting", (family, keys | more, extra))

    def with_draft(tensors: Tensors) -> None:
        last, drafting = f"blk.{n_layer - 1}.", f"blk.{n_layer}."
        for own in [own for own in tensors if own.startswith(last)]:
            tensors[own.replace(last, drafting)] = tensors[own]
        tensors[f"{drafting}nextn.eh_proj.weight"] = np.ones((64, 128), np.float32)
        for part in ("enorm", "hnorm", "shared_head_norm"):
            tensors[f"{drafting}nextn.{part}.weight"] = np.ones(64, np.float32)

    path = make_model("drafting", with_draft)
    plain, want = reference(name)
    np.testing.assert_array_equal(logits(path, "reference"), want)
    got = logits(path, "plan", kv_type="f32", n_threads=2)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * float(want.std()))
    sizes = [llamacy.inspect(each).memory_bytes(64) for each in (path, plain)]
    if family in mtp_model.EXPERTS:  # whose heads are used
        assert sizes[0] > sizes[1]
    else:
        assert sizes[0] == sizes[1]


def test_layers_of_jamba_with_a_router_have_experts(
    reference: Callable[[str], tuple[Path, Array]],
    write_gguf: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """As in llama.cpp's files, whose number of experts is that of all layers."""
    path, want = reference("jamba, experts")
    with open_gguf(path) as file:
        tensors = {name: each.dequantize() for name, each in file.tensors.items()}
        metadata = {
            key: each.tolist() if isinstance(each, np.ndarray) else each
            for key, each in file.metadata.items()
        } | {"jamba.expert_used_count": 2}
        layers = read_hyperparameters(file)[1].layers
    again = write_gguf(tmp_path / "model.gguf", metadata, tensors, "F32")
    with open_gguf(again) as file:
        assert read_hyperparameters(file)[1].layers == layers
    np.testing.assert_array_equal(logits(again, "reference"), want)


def test_tokens_before_all_windows_have_no_effect(make_model: Make) -> None:
    """A token further back than all layers' windows together has no effect."""
    executor, n_vocab = load(make_model("phi3, window"), "plan")  # two layers
    ids = np.random.default_rng(1).integers(0, n_vocab, N_TOKENS).tolist()
    last = []
    for first in (ids[0], (ids[0] + 1) % n_vocab):
        batch = Batch.of([first, *ids[1:]], executor.new_sequence(), "all")
        last.append(executor.forward(batch))
    n_seen = 2 * (WINDOW - 1) + 1
    np.testing.assert_array_equal(last[0][n_seen:], last[1][n_seen:])
    assert (last[0][:n_seen] != last[1][:n_seen]).any(axis=1).all()


def test_long_rope_factors_are_used_for_long_texts(make_model: Make) -> None:
    path = make_model("phi3, factors")
    long, short = (logits(path, "reference", is_long) for is_long in (True, False))
    assert np.abs(long - short).max() > 1e-3

    def exchange(tensors: Tensors) -> None:
        names = [f"rope_factors_{length}.weight" for length in ("long", "short")]
        tensors[names[0]], tensors[names[1]] = tensors[names[1]], tensors[names[0]]

    exchanged = make_model("phi3, factors", exchange)
    np.testing.assert_array_equal(logits(exchanged, "reference"), short)


@each_model
def test_missing_tensors_and_wrong_shapes_are_refused(
    make_model: Make, name: str
) -> None:
    with open_gguf(make_model(name)) as file:
        architecture, config = read_hyperparameters(file)
        specs = architecture.tensors(config)
        whole: dict[str, Any] = dict(file.tensors)
        for tensor, spec in specs.items():
            if not spec.is_required:
                continue
            others = {key: value for key, value in whole.items() if key != tensor}
            with pytest.raises(FormatError) as caught:
                select_tensors(specs, others, "m.gguf")
            assert caught.value.field == f"tensor {tensor}"
            assert caught.value.found == "no such tensor"
            longer = SimpleNamespace(shape=(spec.shape[0] + 1, *spec.shape[1:]))
            with pytest.raises(FormatError) as caught:
                select_tensors(specs, {**others, tensor: longer}, "m.gguf")
            assert caught.value.field == f"tensor {tensor}: shape"
            assert (caught.value.wanted, caught.value.found) == (
                *(spec.shape, longer.shape),
            )


@pytest.mark.parametrize("type_name", ["F32", "Q8_0"])
def test_stacked_matrices_are_split(make_model: Make, type_name: str) -> None:
    with open_gguf(make_model("phi3", type_name=type_name)) as file:
        architecture, config = read_hyperparameters(file)
        specs = architecture.tensors(config)
        tensors = select_tensors(specs, file.tensors, "m.gguf")
        for whole, parts in (
            ("blk.1.attn_qkv", ("attn_q", "attn_k", "attn_v")),
            ("blk.1.ffn_up", ("ffn_gate", "ffn_up")),
        ):
            source = file.tensors[f"{whole}.weight"]
            rows = [tensors[f"blk.1.{part}.weight"] for part in parts]
            stacked = np.concatenate([each.dequantize() for each in rows])
            np.testing.assert_array_equal(stacked, source.dequantize())
            data = np.concatenate([each.data for each in rows])
            np.testing.assert_array_equal(data, source.data)
            assert {each.type for each in rows} == {source.type}
            assert all(each.shape == each.dequantize().shape for each in rows)
        assert "blk.1.attn_qkv.weight" not in tensors
