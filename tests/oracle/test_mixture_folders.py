"""Mixtures of experts in the special forms of folders: merged, and in MXFP4."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.model_files.opening import open_model
from tests.support.forward_passes import error, logits_of
from tests.support.hugging_face import write_safetensors

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch", reason="PyTorch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is absent")

N_VOCAB, WINDOW = 96, 20
SIZES: dict[str, Any] = {
    "vocab_size": N_VOCAB,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
    "num_experts_per_tok": 2,
    "pad_token_id": None,
    "attn_implementation": "eager",
}
FAMILIES: dict[str, dict[str, Any]] = {
    "Mixtral": {"num_local_experts": 5},
    "Qwen2Moe": {
        "num_experts": 5,
        "moe_intermediate_size": 32,
        "shared_expert_intermediate_size": 96,
    },
    "Qwen3Moe": {"num_experts": 5, "moe_intermediate_size": 32, "head_dim": 24},
}
GPT_OSS = {
    "num_local_experts": 5,
    "head_dim": 16,
    "sliding_window": WINDOW,
    "rope_parameters": {
        "rope_type": "yarn",
        "factor": 4.0,
        "original_max_position_embeddings": 32,
        "rope_theta": 150000.0,
        "truncate": False,
    },
}


def make(family: str, **changes: Any) -> Any:
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**SIZES | changes)
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("bias", "norm.weight", "sinks")):
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def tokens() -> list[int]:
    ids: list[int] = np.random.default_rng(1).integers(0, N_VOCAB, 70).tolist()
    return ids


def wanted(model: Any) -> NDArray[np.float32]:
    with torch.no_grad():
        logits: NDArray[np.float32] = model(torch.tensor([tokens()])).logits[0].numpy()
    return logits


def run(path: Path, kind: Any = "reference") -> NDArray[np.float32]:
    return logits_of(path, tokens(), kind)


@pytest.mark.parametrize("family", FAMILIES)
def test_merged_experts_give_the_logits_of_transformers(
    family: str, tmp_path: Path
) -> None:
    """transformers keeps experts merged in memory, and may save them so."""
    model = make(family, **FAMILIES[family])
    merged, apart = (tmp_path / each / "model" for each in ("merged", "apart"))
    model.save_pretrained(apart)
    model.save_pretrained(merged, save_original_format=False)
    assert b"mlp.experts.gate_up_proj" in (merged / "model.safetensors").read_bytes()
    want = wanted(model)
    got = run(merged)
    assert error(got, want) <= 1e-4
    np.testing.assert_array_equal(run(apart), got)
    for folder in (merged, apart):
        llamacy.convert(folder, folder.with_suffix(".gguf"))
    converted = [folder.with_suffix(".gguf").read_bytes() for folder in (merged, apart)]
    assert converted[0] == converted[1]


@pytest.fixture(scope="module")
def quantised(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, NDArray[np.float32]]:
    """gpt-oss as OpenAI publishes it, and the logits of the same weights in float32."""
    model = make("GptOss", **GPT_OSS)
    folder = tmp_path_factory.mktemp("gpt-oss") / "mxfp4"
    with torch.no_grad():
        packed = dict(_to_mxfp4(model))
    tensors = {
        name: tensor.numpy()
        for name, tensor in model.state_dict().items()
        if not name.endswith(("gate_up_proj", "down_proj"))
    }
    model.save_pretrained(folder)
    write_safetensors(folder / "model.safetensors", tensors | packed)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {
        "modules_to_not_convert": ["model.layers.*.self_attn", "lm_head"],
        "quant_method": "mxfp4",
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder, wanted(model)


def _to_mxfp4(model: Any) -> Any:
    """Put random blocks into a model; yield them under their names in files."""
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    for i, layer in enumerate(model.model.layers):
        for name in ("gate_up_proj", "down_proj"):
            parameter = getattr(layer.mlp.experts, name)
            n_expert, n_in, n_out = parameter.shape
            shape = (n_expert, n_out, n_in // 32, 16)
            blocks = torch.randint(0, 256, shape, dtype=torch.uint8)
            scales = torch.randint(123, 126, shape[:3], dtype=torch.uint8)
            parameter.copy_(convert_moe_packed_tensors(blocks, scales).float())
            prefix = f"model.layers.{i}.mlp.experts.{name}"
            yield f"{prefix}_blocks", blocks.numpy()
            yield f"{prefix}_scales", scales.numpy()


@pytest.mark.parametrize("kind", ["reference", "plan"])
def test_mxfp4_experts_give_the_logits_of_transformers(
    quantised: tuple[Path, NDArray[np.float32]], tmp_path: Path, kind: str
) -> None:
    folder, want = quantised
    with open_model(folder) as file:
        name = "blk.1.ffn_down_exps.weight"
        assert file.tensors[name].type.name == "MXFP4"
        assert file.metadata["general.file_type"] == 38
    got = run(folder, kind)
    if (
        kind == "reference"
    ):  # the plan rounds the activations that blocks are multiplied with
        assert error(got, want) <= 1e-4
    else:
        assert np.median(np.abs(got - want)) <= 0.05 * want.std()
    done = llamacy.convert(folder, tmp_path / "new.gguf")
    assert done.tensor_types["MXFP4"] == 6
    np.testing.assert_array_equal(run(tmp_path / "new.gguf", kind), got)


def test_dequantised_bfloat16_experts_give_the_same_logits(
    quantised: tuple[Path, NDArray[np.float32]], tmp_path: Path
) -> None:
    folder, want = quantised
    from safetensors.torch import load_file, save_file
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    tensors = load_file(folder / "model.safetensors")
    for name in [name for name in tensors if name.endswith("_blocks")]:
        stem = name.removesuffix("_blocks")
        scales = tensors.pop(f"{stem}_scales")
        floats = convert_moe_packed_tensors(tensors.pop(name), scales)
        tensors[stem] = floats.to(torch.bfloat16).contiguous()
    config = json.loads((folder / "config.json").read_text())
    del config["quantization_config"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(tensors, tmp_path / "model.safetensors")
    assert error(run(tmp_path), want) <= 1e-4
    done = llamacy.convert(tmp_path, tmp_path / "new.gguf", "Q8_0")
    assert "BF16" not in done.tensor_types
    got = run(tmp_path / "new.gguf")  # on most rows: a few choose another expert
    assert np.median(np.abs(got - want)) <= 0.05 * want.std()


def test_requantised_experts_give_similar_logits(
    quantised: tuple[Path, NDArray[np.float32]], tmp_path: Path
) -> None:
    folder, _ = quantised
    done = llamacy.quantize(folder, tmp_path / "new.gguf", "Q8_0")
    assert "MXFP4" not in done.tensor_types
    with llamacy.load(folder, quantize="Q8_0") as model:
        got = model.logits(tokens())
    with llamacy.load(tmp_path / "new.gguf") as model:
        np.testing.assert_array_equal(model.logits(tokens()), got)
