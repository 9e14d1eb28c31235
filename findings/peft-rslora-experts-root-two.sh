#!/usr/bin/env bash
# peft 0.21.2 on transformers 5.24.0: an rsLoRA adapter that was made for Mixtral's
# separate experts (w1, w2, w3) acts 1.41 times as strongly on w1 and w3 as on w2.
#
# transformers 5 merges w1 and w3 into `gate_up_proj`. peft puts their adapters together,
# which doubles the rank, and doubles alpha "to keep alpha/r unchanged". But rsLoRA
# divides by the root of the rank: 2 alpha / sqrt(2 r) is not alpha / sqrt(r). Nothing is
# said about it, and the logits change. Plain LoRA keeps its factor.
#
# Seen with Python 3.11, for rank 4 and alpha 6:
#
#   LoRA    gate_up_proj 1.500  down_proj 1.500
#   rsLoRA  gate_up_proj 4.243  down_proj 3.000
#
# Exits with 1 if that is different.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check \
    peft==0.21.2 torch==2.13.0 transformers==5.24.0

cat >experts.py <<'END'
import json
from pathlib import Path

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from transformers import MixtralConfig, MixtralForCausalLM

SIZES = {"vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 1}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 2}
N_FF, RANK, ALPHA = 24, 4, 6
SHAPES = {"w1": (N_FF, 16), "w2": (16, N_FF), "w3": (N_FF, 16)}

tensors = {}
for expert in range(2):
    for name, (n_out, n_in) in SHAPES.items():
        stem = f"base_model.model.model.layers.0.block_sparse_moe.experts.{expert}.{name}"
        tensors[f"{stem}.lora_A.weight"] = torch.ones(RANK, n_in)
        tensors[f"{stem}.lora_B.weight"] = torch.ones(n_out, RANK)
for title, use_rslora in [("LoRA", False), ("rsLoRA", True)]:
    folder = Path(title)
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": RANK,
        "lora_alpha": ALPHA,
        "target_modules": list(SHAPES),
        "use_rslora": use_rslora,
    }
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    config = MixtralConfig(
        **SIZES, **HEADS, intermediate_size=N_FF, num_local_experts=2
    )
    model = PeftModel.from_pretrained(MixtralForCausalLM(config), folder)
    factors = {
        each.parameter_name: each.scaling["default"]
        for each in model.modules()
        if isinstance(each, LoraLayer)
    }
    up, down = factors["gate_up_proj"], factors["down_proj"]
    print(f"{title:7} gate_up_proj {up:.3f}  down_proj {down:.3f}")
END
HF_HUB_OFFLINE=1 env/bin/python experts.py 2>/dev/null | tee found.txt

cat >wanted.txt <<'END'
LoRA    gate_up_proj 1.500  down_proj 1.500
rsLoRA  gate_up_proj 4.243  down_proj 3.000
END
cmp -s wanted.txt found.txt || {
    echo "peft behaves differently now" >&2
    exit 1
}
