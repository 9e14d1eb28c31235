"""Folders of Qwen 3.5 and Qwen3-Next give the logits of transformers."""

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
load_file = pytest.importorskip("safetensors.torch").load_file
save_file = pytest.importorskip("safetensors.torch").save_file

Array = NDArray[np.float32]
N_VOCAB, N_TOKENS = 96, 70
SIZES: dict[str, Any] = {
    "vocab_size": N_VOCAB,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 6,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 32,
    "max_position_embeddings": 128,
    # at 0.2 transformers' own logits are 5e-4 off those that it computes in float64,
    # and llamacy's 1e-4: heads' results that nearly cancel are normed
    "initializer_range": 0.1,
    "tie_word_embeddings": False,
    "pad_token_id": None,
}
EXPERTS = {
    "num_experts": 6,
    "num_experts_per_tok": 3,
    "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 48,
}
ROPE = {
    "rope_type": "default",
    "rope_theta": 1e6,
    "partial_rotary_factor": 0.5,
    "mrope_section": [2, 1, 1],
    "mrope_interleaved": True,
}
FULL, LINEAR = "full_attention", "linear_attention"
OTHER = {
    "rope_parameters": ROPE,
    "linear_num_key_heads": 6,
    "linear_conv_kernel_dim": 3,
    "num_hidden_layers": 5,
    "layer_types": [FULL, LINEAR, LINEAR, FULL, LINEAR],
    "tie_word_embeddings": True,
}
IMAGES = {"depth": 1, "num_heads": 2, "patch_size": 4, "hidden_size": 32}
IMAGES |= {"intermediate_size": 48, "out_hidden_size": 64}
IMAGES |= {"num_position_embeddings": 16}
# the class without its end, whether it sees, and settings of its texts
CASES: dict[str, tuple[str, bool, dict[str, Any]]] = {
    "qwen35": ("Qwen3_5", False, SIZES),
    "qwen35, other layers": ("Qwen3_5", False, SIZES | OTHER),
    "qwen35, images": ("Qwen3_5", True, SIZES | {"rope_parameters": ROPE}),
    "qwen35moe": ("Qwen3_5Moe", False, SIZES | EXPERTS | {"rope_parameters": ROPE}),
    "qwen35moe, images": ("Qwen3_5Moe", True, SIZES | EXPERTS),
    "qwen3next": ("Qwen3Next", False, SIZES | EXPERTS),
    "qwen3next, other layers": (
        "Qwen3Next",
        False,
        SIZES | EXPERTS | OTHER | {"norm_topk_prob": False},
    ),
}


def make(name: str, folder: Path) -> tuple[Any, Array]:
    """Save a model of the table, with drafting layers; return it and its logits."""
    torch.manual_seed(0)
    family, sees, settings = CASES[name]
    text = "" if family == "Qwen3Next" or sees else "Text"
    if sees:
        settings = {"text_config": settings, "vision_config": IMAGES}
    end = "ForConditionalGeneration" if sees else "ForCausalLM"
    config = getattr(transformers, f"{family}{text}Config")(**settings)
    of_class = getattr(transformers, f"{family}{end}")
    model = of_class._from_config(config, attn_implementation="eager").float().eval()
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if "norm" in parameter_name or parameter_name.endswith("bias"):
                parameter.add_(0.1 * torch.randn_like(parameter))
            elif "mlp.gate.weight" in parameter_name:
                parameter.normal_(0, 0.2)
        logits: Array = model(input_ids=torch.tensor([tokens()])).logits[0].numpy()
    model.save_pretrained(folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["mtp.fc.weight"] = torch.ones(64, 128)
    tensors["mtp.layers.0.self_attn.q_proj.weight"] = torch.ones(128, 64)
    save_file(tensors, folder / "model.safetensors")
    return model, logits


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
    _, want = make(name, folder)
    caplog.clear()
    assert error(run(folder, "reference"), want) <= 1e-4
    left_out = [each for each in caplog.messages if "only texts are read" in each]
    assert len(left_out) == CASES[name][1]
    (passed,) = (each for each in caplog.messages if "tensors passed over" in each)
    assert "mtp.fc.weight, mtp.layers.0.self_attn.q_proj.weight" in passed
    quantised = check_conversions(folder, tokens(), want)
    with llamacy.load(folder, quantize="Q8_0", kv_type="f32") as model:
        np.testing.assert_array_equal(model.logits(tokens()), quantised)
