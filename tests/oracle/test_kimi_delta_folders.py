"""Folders of Kimi Linear and Ling 3.0 give the logits of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from tests.support.forward_passes import check_conversions, error, logits_of

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch", reason="PyTorch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is absent")

Array = NDArray[np.float32]
N_VOCAB, N_TOKENS = 96, 70
SIZES: dict[str, Any] = {
    "vocab_size": N_VOCAB,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
    "rms_norm_eps": 1e-6,  # which transformers' norms of latents add in any case
    "pad_token_id": None,
    "kv_lora_rank": 32,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 16,
    "v_head_dim": 12,
    "moe_intermediate_size": 32,
    "num_local_experts": 6,
    "num_experts_per_tok": 2,
}
KIMI: dict[str, Any] = SIZES | {"linear_head_dim": 16, "linear_num_heads": 4}
LING: dict[str, Any] = SIZES | {
    "head_dim": 16,
    "kda_lower_bound": -1.0,
    "layer_group_size": 4,
    "first_k_dense_replace": 1,
    "n_group": 3,
    "topk_group": 2,
}
FULL, LINEAR = "full_attention", "linear_attention"
OWN = {"full_attn_layers": [1, 3], "kda_layers": [2, 4], "num_heads": 4}
OWN |= {"head_dim": 8, "short_conv_kernel_size": 3}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "Kimi's own keys": (
        "KimiLinear",
        SIZES | {"linear_attn_config": OWN, "first_k_dense_replace": 2},
    ),
    "Kimi, groups": (
        "KimiLinear",
        KIMI
        | {"n_group": 3, "topk_group": 2, "layer_types": [LINEAR, FULL] * 2}
        | {"norm_topk_prob": False, "n_shared_experts": 2, "q_lora_rank": 24},
    ),
    "Kimi, layers by rule": ("KimiLinear", KIMI | {"num_hidden_layers": 6}),
    "Ling": ("BailingHybrid", LING),
    "Ling, other sizes": (
        "BailingHybrid",
        LING
        | {"layer_types": [FULL, LINEAR, LINEAR, FULL], "q_lora_rank": 24}
        | {"kda_lower_bound": -2.0, "short_conv_kernel_size": 3, "head_dim": 8}
        | {"n_group": 1, "topk_group": 1, "norm_topk_prob": False},
    ),
    "Ling, decays without a bound": ("BailingHybrid", LING | {"kda_safe_gate": False}),
}


def make(name: str, folder: Path) -> Array:
    """Save a model of the table, with decays of all sizes; return its logits."""
    torch.manual_seed(0)
    family, settings = CASES[name]
    config = getattr(transformers, f"{family}Config")(**settings)
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if parameter_name.endswith("A_log"):
                parameter.uniform_(-2, 0)  # transformers' chunks add decays up
            elif parameter_name.endswith("dt_bias"):
                parameter.uniform_(-1, 1)
            elif "norm" in parameter_name:
                parameter.add_(0.1 * torch.randn_like(parameter))
            elif "mlp.gate.weight" in parameter_name:
                parameter.normal_(0, 0.2)
        for buffer_name, buffer in model.named_buffers():
            if buffer_name.endswith("correction_bias"):
                buffer.normal_(0, 0.1)
        logits: Array = model(input_ids=torch.tensor([tokens()])).logits[0].numpy()
    model.save_pretrained(folder)
    return logits


def tokens() -> list[int]:
    ids: list[int] = np.random.default_rng(1).integers(0, 90, N_TOKENS).tolist()
    return ids


def run(path: Path, kind: Any) -> Array:
    return logits_of(path, tokens(), kind)


@pytest.mark.parametrize("name", CASES)
def test_a_folder_and_its_conversion_give_the_logits_of_transformers(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "model"
    want = make(name, folder)
    caplog.clear()
    assert error(run(folder, "reference"), want) <= 1e-4
    assert not [each for each in caplog.records if each.name == "llamacy"]
    quantised = check_conversions(folder, tokens(), want)
    with llamacy.load(folder, quantize="Q8_0", kv_type="f32") as model:
        np.testing.assert_array_equal(model.logits(tokens()), quantised)
