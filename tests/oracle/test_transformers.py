"""Tiny random LLaMAs against transformers' LlamaForCausalLM, through a GGUF file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.executors import Executor, load_executor
from llamacy.formats.gguf import open_gguf
from llamacy.formats.gguf_config import read_config
from llamacy.kernels.levels import Level
from llamacy.ops.batch import Batch

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch", reason="PyTorch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is absent")

Array = NDArray[np.float32]
N_CTX, N_VOCAB, N_TOKENS = 128, 96, 70

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
LINEAR = {"rope_type": "linear", "factor": 4.0}
YARN = {
    "rope_type": "yarn",
    "factor": 4.0,
    "original_max_position_embeddings": 32,
    "truncate": True,
}
FEATURES: dict[str, dict[str, Any]] = {
    "multi-head": {},
    "grouped-query": {"num_key_value_heads": 2},
    "multi-query": {"num_key_value_heads": 1},
    "tied": {"tie_word_embeddings": True},
    "biases": {"attention_bias": True, "mlp_bias": True},
    "head_dim": {"head_dim": 24},
    "theta": {"rope_theta": 500000.0},
    "llama3": {"rope_scaling": LLAMA3},
    "linear": {"rope_scaling": LINEAR},
    "yarn": {"rope_scaling": YARN},
}


@pytest.fixture(scope="module", params=FEATURES, ids=str)
def oracle(request: pytest.FixtureRequest, tmp_path_factory: Any) -> tuple[Path, Array]:
    """A GGUF file, and the logits transformers computes for `tokens()`."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        **{
            "vocab_size": N_VOCAB,
            "hidden_size": 64,
            "intermediate_size": 160,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "max_position_embeddings": N_CTX,
            "rms_norm_eps": 1e-5,
            # wide enough for attention to choose, and logits to differ
            "initializer_range": 0.2,
            **FEATURES[request.param],
        }
    )
    model = transformers.LlamaForCausalLM(config).float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("bias", "norm.weight")):
                parameter.add_(0.1 * torch.randn_like(parameter))
        logits = model(torch.tensor([tokens()])).logits[0].numpy()
    path = tmp_path_factory.mktemp("oracle") / f"{request.param}.gguf"
    write_gguf(path, config, model)
    return path, logits


def tokens() -> list[int]:
    ids: list[int] = np.random.default_rng(1).integers(0, N_VOCAB, N_TOKENS).tolist()
    return ids


def test_reference(oracle: tuple[Path, Array]) -> None:
    path, want = oracle
    assert error(run(path, "reference"), want) <= 1e-4


def test_plan(oracle: tuple[Path, Array], selected_level: Level) -> None:
    path, want = oracle
    assert error(run(path, "plan"), want) <= 2e-4


def error(got: Array, want: Array) -> float:
    """Greatest difference, relative to the logits' spread."""
    return float(np.abs(got - want).max() / want.std())


def run(path: Path, kind: Any) -> Array:
    with open_gguf(path) as file:
        config = read_config(file)
        executor: Executor = load_executor(
            file, config, executor=kind, n_threads=2, kv_type="f32"
        )
    return executor.forward(Batch.of(tokens(), executor.new_sequence(), "all"))


def write_gguf(path: Path, config: Any, model: Any) -> None:
    """Write the model as the format has it: other names, and pairs side by side."""
    writer = gguf.GGUFWriter(path, "llama")
    head_dim = config.head_dim or config.hidden_size // config.num_attention_heads
    rope = config.rope_parameters
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(N_CTX)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] in ("linear", "yarn"):
        writer.add_rope_scaling_type(gguf.RopeScalingType(rope["rope_type"]))
        writer.add_rope_scaling_factor(rope["factor"])
        if rope["rope_type"] == "yarn":
            original = rope["original_max_position_embeddings"]
            writer.add_rope_scaling_orig_ctx_len(original)
    elif rope["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_factors(rope, head_dim))
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        array = tensor.numpy()
        if "q_proj" in name or "k_proj" in name:
            array = pairs_side_by_side(array, head_dim)
        writer.add_tensor(
            names.get_name(name, try_suffixes=(".weight", ".bias")),
            np.ascontiguousarray(array),
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def pairs_side_by_side(array: Array, head_dim: int) -> Array:
    """Rows of each head from halves (0, d/2), (1, d/2 + 1) ... to adjacent pairs."""
    heads = array.reshape(-1, 2, head_dim // 2, *array.shape[1:])
    return heads.swapaxes(1, 2).reshape(array.shape)


def llama3_factors(rope: dict[str, Any], head_dim: int) -> Array:
    """What Llama 3.1's scaling divides each frequency by (Meta's reference code)."""
    base, factor = rope["rope_theta"], rope["factor"]
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    original = rope["original_max_position_embeddings"]
    wavelength = 2 * np.pi * base ** (np.arange(0, head_dim, 2) / head_dim)
    smooth = np.clip((original / wavelength - low) / (high - low), 0, 1)
    factors: Array = (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)
    return factors
