"""Adapters that PEFT saves give the logits that PEFT computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.formats.gguf.config import read_config
from llamacy.kernels.levels import Level
from llamacy.model.adapters import read_adapters
from llamacy.model.executors import load_executor
from llamacy.model.joining import low_ranks, saved_tensors
from llamacy.model_files.opening import open_model
from llamacy.ops.batch import Batch
from tests.support.forward_passes import error
from tests.support.hugging_face import write_json, write_safetensors

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch", reason="PyTorch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is absent")
peft = pytest.importorskip("peft", reason="PEFT is not installed")

Array = NDArray[np.float32]
N_VOCAB = 96
SIZES: dict[str, Any] = {
    "vocab_size": N_VOCAB,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
    "pad_token_id": None,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "attn_implementation": "eager",
}
FIVE = {"num_experts_per_tok": 2, "num_experts": 5, "moe_intermediate_size": 32}
FAMILIES: dict[str, dict[str, Any]] = {
    "Llama": {},
    "Qwen2": {"tie_word_embeddings": True},  # biases of queries, keys and values
    "Phi3": {},
    "Gemma3Text": {"head_dim": 16, "sliding_window": 20, "tie_word_embeddings": True},
    "Mixtral": {"num_experts_per_tok": 2, "num_local_experts": 5},
    "Qwen2Moe": {**FIVE, "shared_expert_intermediate_size": 96},
    "Qwen3Moe": {**FIVE, "head_dim": 24},
    "GptOss": {
        "num_experts_per_tok": 2,
        "num_local_experts": 5,
        "head_dim": 16,
        "sliding_window": 20,
    },
}
FAMILIES["Gemma4Text"] = {
    "head_dim": 16,
    "global_head_dim": 16,
    "num_global_key_value_heads": 2,
    "hidden_size_per_layer_input": 0,
    "enable_moe_block": True,
    "num_experts": 5,
    "top_k_experts": 5,
    "moe_intermediate_size": 32,
    "sliding_window": 20,
}
FAMILIES["Laguna"] = {
    **FIVE,
    "head_dim": 16,
    "shared_expert_intermediate_size": 32,
    "sliding_window": 0,
}
FAMILIES["DeepseekV3"] = {
    "num_key_value_heads": 4,
    "q_lora_rank": 32,
    "kv_lora_rank": 32,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 16,
    "v_head_dim": 12,
    "n_routed_experts": 4,
    "num_experts_per_tok": 4,
    "moe_intermediate_size": 32,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
}
FAMILIES["KimiLinear"] = {
    "num_hidden_layers": 3,
    "num_key_value_heads": 4,
    "kv_lora_rank": 32,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 16,
    "v_head_dim": 12,
    "num_experts": 4,
    "num_experts_per_token": 4,
    "moe_intermediate_size": 32,
    "linear_head_dim": 16,
    "linear_num_heads": 4,
    "layer_types": ["linear_attention", "full_attention", "linear_attention"],
}
FAMILIES["BailingHybrid"] = {
    **FAMILIES["KimiLinear"],
    "head_dim": 16,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
}
LATENT = ["q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj"]
DELTA_RULE = {
    "head_dim": 16,
    "num_hidden_layers": 4,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 6,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 32,
    "initializer_range": 0.1,  # see test_delta_rule_folders.py
}
FAMILIES["Qwen3_5Text"] = DELTA_RULE
FAMILIES["Qwen3Next"] = {**FIVE, **DELTA_RULE, "shared_expert_intermediate_size": 32}
FAMILIES["NemotronH"] = {
    "layers_block_type": ["linear_attention", "moe", "full_attention", "moe"],
    "num_hidden_layers": 4,
    "head_dim": 16,
    "ssm_state_size": 16,
    "mamba_num_heads": 4,
    "mamba_head_dim": 16,
    "n_groups": 2,
    "time_step_min": 1e-30,
    "n_routed_experts": 5,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "moe_shared_expert_intermediate_size": 48,
    "moe_latent_size": 40,
}
FAMILIES["Jamba"] = {
    **{"num_hidden_layers": 3, "attn_layer_period": 3, "attn_layer_offset": 1},
    **{"num_experts": 5, "num_experts_per_tok": 2, "mamba_dt_rank": 8},
}
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
DENSE = [*ATTENTION, "gate_proj", "up_proj", "down_proj"]
EXPERTS = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]


def tokens() -> list[int]:
    ids: list[int] = np.random.default_rng(1).integers(3, N_VOCAB, 40).tolist()
    return ids


Settings = dict[str, Any]
# the cases' families, and settings of their adapters
CASES: dict[str, tuple[str, Settings]] = {
    "LoRA": ("Llama", {"target_modules": DENSE}),
    "rsLoRA": ("Llama", {"target_modules": DENSE, "use_rslora": True}),
    "patterns": (
        "Llama",
        {
            "target_modules": DENSE,
            "rank_pattern": {"q_proj": 7, r"layers\.1\..*": 2},
            "alpha_pattern": {"^model.layers.0.mlp.up_proj": 3, "v_proj": 20},
        },
    ),
    "embedding and output": (
        "Llama",
        {"target_modules": ["q_proj", "embed_tokens", "lm_head"]},
    ),
    "tied embedding": ("Qwen2", {"target_modules": ["v_proj", "embed_tokens"]}),
    "output saved": (
        "Llama",
        {"target_modules": ["v_proj"], "modules_to_save": ["lm_head", "norm"]},
    ),
    "scaled embedding": ("Gemma3Text", {"target_modules": [*DENSE, "embed_tokens"]}),
    "biases": ("Qwen2", {"target_modules": DENSE}),
    "fused": (
        "Phi3",
        {"target_modules": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]},
    ),
    "DoRA": ("Llama", {"target_modules": DENSE, "use_dora": True}),
    "DoRA, biases": ("Qwen2", {"target_modules": DENSE, "use_dora": True}),
    "DoRA, fused": (
        "Phi3",
        {"target_modules": ["qkv_proj", "gate_up_proj"], "use_dora": True},
    ),
    "DoRA, embedding and output": (
        "Llama",
        {"target_modules": ["embed_tokens", "lm_head", "up_proj"], "use_dora": True},
    ),
    "DoRA, scaled embedding": (
        "Gemma3Text",
        {"target_modules": ["embed_tokens", "q_proj"], "use_dora": True},
    ),
    "DoRA, rsLoRA": (
        "Llama",
        {"target_modules": ["k_proj"], "use_dora": True, "use_rslora": True},
    ),
    "DoRA, shared expert": (
        "Qwen2Moe",
        {
            "target_modules": [
                *ATTENTION,
                r"shared_expert.up_proj",
                "shared_expert_gate",
            ],
            "use_dora": True,
        },
    ),
    **{
        f"experts, {family}": (
            family,
            {"target_modules": ATTENTION, "target_parameters": EXPERTS},
        )
        for family in ("Mixtral", "Qwen2Moe", "Qwen3Moe", "GptOss")
    },
    "experts, scaled": (
        "Gemma4Text",
        {
            "target_modules": ATTENTION,
            "target_parameters": ["experts.gate_up_proj", "experts.down_proj"],
        },
    ),
    "experts without a gate": (
        "NemotronH",
        {
            "target_modules": ["in_proj", *ATTENTION, "fc1_latent_proj"]
            + ["fc2_latent_proj", "shared_experts.up_proj"],
            "target_parameters": ["experts.up_proj", "experts.down_proj"],
        },
    ),
    "selective scan": (
        "Jamba",
        {
            "target_modules": ["in_proj", "x_proj", "out_proj", *DENSE],
            "target_parameters": ["experts.gate_up_proj", "experts.down_proj"],
        },
    ),
    "latent attention": ("DeepseekV3", {"target_modules": [*LATENT, "down_proj"]}),
    "Ling's delta rule": ("BailingHybrid", {"target_modules": "all-linear"}),
    "Kimi's delta rule": ("KimiLinear", {"target_modules": "all-linear"}),
    "delta rule": ("Qwen3_5Text", {"target_modules": "all-linear"}),
    "DoRA, delta rule": (
        "Qwen3_5Text",
        {"target_modules": ["in_proj_qkv", "in_proj_a", "out_proj"], "use_dora": True},
    ),
    "delta rule, norms saved": (
        "Qwen3_5Text",
        {"target_modules": ["in_proj_z"], "modules_to_save": ["norm"]},
    ),
    "delta rule, fused": ("Qwen3Next", {"target_modules": "all-linear"}),
    "DoRA, delta rule, fused": (
        "Qwen3Next",
        {"target_modules": ["in_proj_qkvz", "in_proj_ba"], "use_dora": True},
    ),
    "gates of heads": ("Laguna", {"target_modules": [*DENSE, "g_proj"]}),
    "experts, rsLoRA and patterns": (
        "Qwen3Moe",
        {
            "target_modules": [],
            "target_parameters": [*EXPERTS, "mlp.gate.weight"],
            "use_rslora": True,
            "rank_pattern": {"layers.0.mlp.experts.down_proj": 6},
            "alpha_pattern": {
                "experts.gate_up_proj": 5,
                r".*\.gate\.weight": 20,
                "mlp.gate": 900,  # which is no parameter's name
            },
        },
    ),
    "experts, down alone": (
        "GptOss",
        {"target_modules": [], "target_parameters": ["mlp.experts.down_proj"]},
    ),
    "experts, up alone": (
        "Mixtral",
        {"target_modules": [], "target_parameters": ["mlp.experts.gate_up_proj"]},
    ),
    "router": (
        "GptOss",
        {"target_modules": ["v_proj"], "target_parameters": ["mlp.router.weight"]},
    ),
    "shared expert": ("Qwen2Moe", {"target_modules": "all-linear"}),
    **{
        f"activated, {family}": (
            family,
            {"target_modules": DENSE, "alora_invocation_tokens": tokens()[23:25]},
        )
        for family in ("Llama", "Gemma3Text")
    },
}
# relative to the logits' spread: single precision; the plan sums in another order
REFERENCE, PLAN = 1e-4, 1e-4


def make(family: str) -> Any:
    torch.manual_seed(0)
    name = f"{family}Config"
    config = getattr(transformers, name)(**SIZES | FAMILIES[family])
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("bias", "norm.weight", "sinks", "expert_scale")):
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def adapted(model: Any, folder: Path, **settings: Any) -> Any:
    """Give a model an adapter of random numbers, and save that."""
    config = peft.LoraConfig(
        **{"r": 4, "lora_alpha": 6, "task_type": "CAUSAL_LM"} | settings
    )
    model = peft.get_peft_model(model, config).eval()
    randomize(model)
    model.save_pretrained(folder)
    return model


def randomize(model: Any) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_magnitude" in name:
                parameter.mul_(1 + 0.3 * torch.randn_like(parameter))
            elif "lora_" in name or "modules_to_save" in name:
                parameter.add_(0.1 * torch.randn_like(parameter))


def wanted(model: Any) -> Array:
    with torch.no_grad():
        logits: Array = model(input_ids=torch.tensor([tokens()])).logits[0].numpy()
    return logits


def run(path: Path, lora: Any, kind: Any = "reference") -> Array:
    with open_model(path) as file:
        config = read_config(file)
        executor = load_executor(
            file, config, executor=kind, n_threads=2, kv_type="f32"
        )
    adapters = read_adapters(lora, config)
    executor.set_adapters(
        low_ranks(adapters, executor.shapes, executor.weight_rows),
        saved_tensors(adapters, executor.shapes),
        is_activated=bool(adapters.invocation),
    )
    sequence = executor.new_sequence()
    sequence.adapted_from = adapters.reading().adapted_from(tokens())
    logits: Array = executor.forward(Batch.of(tokens(), sequence, "all"))
    return logits


@pytest.mark.parametrize("case", CASES)
def test_an_adapter_gives_the_logits_of_peft(case: str, tmp_path: Path) -> None:
    family, settings = CASES[case]
    model = make(family)
    model.save_pretrained(tmp_path / "model")
    without = wanted(model)
    want = wanted(adapted(model, tmp_path / "adapter", **settings))
    assert error(without, want) > 0.1
    folder = tmp_path / "adapter"
    assert error(run(tmp_path / "model", folder), want) <= REFERENCE
    assert error(run(tmp_path / "model", folder, "plan"), want) <= PLAN


@pytest.mark.parametrize(
    "case",
    [
        "LoRA",
        "DoRA, embedding and output",
        "DoRA, shared expert",
        "experts, GptOss",
        "experts, Qwen3Moe",
    ],
)
def test_every_level_gives_the_logits_of_peft(
    selected_level: Level, case: str, tmp_path: Path
) -> None:
    family, settings = CASES[case]
    model = make(family)
    model.save_pretrained(tmp_path / "model")
    want = wanted(adapted(model, tmp_path / "adapter", **settings))
    assert error(run(tmp_path / "model", tmp_path / "adapter", "plan"), want) <= PLAN


# Adapters of experts that were modules of their own, as transformers 4 had them: names,
# and shapes of rows and columns.
ALONE = {
    "Mixtral": (
        "block_sparse_moe.experts",
        {"w1": (96, 64), "w3": (96, 64), "w2": (64, 96)},
    ),
    "Qwen3Moe": (
        "mlp.experts",
        {"gate_proj": (32, 64), "up_proj": (32, 64), "down_proj": (64, 32)},
    ),
}


@pytest.mark.parametrize("family", ALONE)
def test_adapters_of_single_experts_give_the_logits_of_peft(
    family: str, tmp_path: Path
) -> None:
    """PEFT puts them together for the merged experts of transformers 5."""
    model = make(family)
    model.save_pretrained(tmp_path / "model")
    rng = np.random.default_rng(3)
    module, shapes = ALONE[family]
    tensors = {}
    for layer in range(2):
        for expert in range(5):
            for name, (n_out, n_in) in shapes.items():
                stem = f"base_model.model.model.layers.{layer}.{module}.{expert}.{name}"
                a, b = rng.normal(0, 0.2, (3, n_in)), rng.normal(0, 0.2, (n_out, 3))
                tensors[f"{stem}.lora_A.weight"] = a.astype(np.float32)
                tensors[f"{stem}.lora_B.weight"] = b.astype(np.float32)
    folder = tmp_path / "adapter"
    folder.mkdir()
    write_safetensors(folder / "adapter_model.safetensors", tensors)
    settings = {"peft_type": "LORA", "r": 3, "lora_alpha": 6, "task_type": "CAUSAL_LM"}
    write_json(folder / "adapter_config.json", settings | {"target_modules": [*shapes]})
    without = wanted(model)
    model = peft.PeftModel.from_pretrained(model, folder).eval()
    want = wanted(model)
    assert error(without, want) > 0.1
    assert error(run(tmp_path / "model", folder), want) <= REFERENCE
    assert error(run(tmp_path / "model", folder, "plan"), want) <= PLAN
    model.save_pretrained(tmp_path / "again")  # for merged experts, of twice the rank
    got = run(tmp_path / "model", tmp_path / "again")
    assert error(got, want) <= REFERENCE


def test_several_adapters_act_in_their_order_as_in_peft(tmp_path: Path) -> None:
    """One with magnitudes multiplies what those before it have made."""
    base = make("Qwen2")
    base.save_pretrained(tmp_path / "model")
    kinds = {"lora": False, "dora": True, "second": True}
    model = None
    for name, use_dora in kinds.items():
        config = peft.LoraConfig(
            r=4,
            lora_alpha=6,
            target_modules=[*DENSE, "embed_tokens"],
            use_dora=use_dora,
        )
        if model is None:
            model = peft.get_peft_model(base, config, adapter_name=name)
        else:
            model.add_adapter(name, config)
    assert model is not None
    randomize(model)
    model.eval().save_pretrained(tmp_path)
    paths = {name: tmp_path / name for name in kinds}
    for order in (["lora", "dora"], ["dora", "lora"], ["dora", "lora", "second"]):
        model.base_model.set_adapter(order)
        want = wanted(model)
        for kind, most in (("reference", REFERENCE), ("plan", PLAN)):
            got = run(tmp_path / "model", [paths[name] for name in order], kind)
            assert error(got, want) <= most
        if len(order) == 2:
            got = run(tmp_path / "model", [paths[name] for name in order[::-1]])
            assert error(got, want) > 0.01


@pytest.mark.parametrize("scale", [0.4, -1.5])
@pytest.mark.parametrize("case", ["DoRA", "DoRA, embedding and output"])
def test_a_scale_changes_the_norms_as_in_peft(
    case: str, scale: float, tmp_path: Path
) -> None:
    family, settings = CASES[case]
    model = make(family)
    model.save_pretrained(tmp_path / "model")
    model = adapted(model, tmp_path / "adapter", **settings)
    with peft.helpers.rescale_adapter_scale(model, scale):
        want = wanted(model)
    lora = (tmp_path / "adapter", scale)
    assert error(run(tmp_path / "model", lora), want) <= REFERENCE
    assert error(run(tmp_path / "model", lora, "plan"), want) <= PLAN
