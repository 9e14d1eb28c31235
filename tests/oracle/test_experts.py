"""Tiny random mixtures of experts against transformers', through a GGUF file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
SIZES = {
    "vocab_size": N_VOCAB,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": N_CTX,
    "num_experts_per_tok": 2,
    "rms_norm_eps": 1e-5,
    # wide enough for attention and routers to choose, and logits to differ
    "initializer_range": 0.2,
}
Tensors = Iterator[tuple[str, Array]]


@dataclass(frozen=True)
class Family:
    """How transformers calls a family, and how its tensors get into a file."""

    architecture: str
    config: str
    model: str
    options: dict[str, Any]
    tensors: Callable[[Any, str, Array], Tensors]


def mixtral_tensors(config: Any, name: str, array: Array) -> Tensors:
    if name in ("q_proj", "k_proj"):
        array = pairs_side_by_side(array, config.hidden_size // 4)
    yield from expert_tensors(name, array)


def expert_tensors(name: str, array: Array) -> Tensors:
    """Gate and up are one tensor in transformers, the first half and the second."""
    if name != "gate_up_proj":
        yield name, array
        return
    half = array.shape[1] // 2
    yield "gate_exps", array[:, :half]
    yield "up_exps", array[:, half:]


def pairs_side_by_side(array: Array, head_dim: int) -> Array:
    """Rows of each head from halves (0, d/2), (1, d/2 + 1) ... to adjacent pairs."""
    heads = array.reshape(-1, 2, head_dim // 2, *array.shape[1:])
    return heads.swapaxes(1, 2).reshape(array.shape)


FAMILIES = {
    "mixtral": Family(
        "llama",
        "MixtralConfig",
        "MixtralForCausalLM",
        {"num_local_experts": 5},
        mixtral_tensors,
    ),
}
# transformers' modules, as files call them
NAMES = {
    "embed_tokens": "token_embd",
    "norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "gate": "ffn_gate_inp",
    "gate_exps": "ffn_gate_exps",
    "up_exps": "ffn_up_exps",
    "down_proj": "ffn_down_exps",
}


@pytest.fixture(scope="module", params=FAMILIES, ids=str)
def oracle(request: pytest.FixtureRequest, tmp_path_factory: Any) -> tuple[Path, Array]:
    """A GGUF file, and the logits transformers computes for `tokens()`."""
    torch.manual_seed(0)
    family = FAMILIES[request.param]
    config = getattr(transformers, family.config)(**(SIZES | family.options))
    model = getattr(transformers, family.model)(config).float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("bias", "norm.weight")):
                parameter.add_(0.1 * torch.randn_like(parameter))
        logits = model(torch.tensor([tokens()])).logits[0].numpy()
    path = tmp_path_factory.mktemp("oracle") / f"{request.param}.gguf"
    write_gguf(path, family, config, model)
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


def write_gguf(path: Path, family: Family, config: Any, model: Any) -> None:
    """Write the model as the format has it: other names, and experts apart."""
    writer = gguf.GGUFWriter(path, family.architecture)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // 4
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
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_expert_count(family.options["num_local_experts"])
    writer.add_expert_used_count(config.num_experts_per_tok)
    for name, tensor in model.state_dict().items():
        prefix, module, suffix = parts(name)
        for part, array in family.tensors(config, module, tensor.numpy()):
            full = f"{prefix}{NAMES[part]}.{suffix}"
            writer.add_tensor(full, np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def parts(name: str) -> tuple[str, str, str]:
    """Prefix, module and suffix: ``model.layers.1.mlp.gate.weight`` is of blk.1."""
    words = name.split(".")
    if words[-1] not in ("weight", "bias"):  # experts' matrices are no modules
        words.append("weight")
    prefix = f"blk.{words[2]}." if words[1] == "layers" else ""
    return prefix, words[-2], words[-1]
