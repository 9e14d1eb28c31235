#!/usr/bin/env bash
# transformers 5.24.0 reads Ling 3.0 (`bailing_hybrid`) without the bounds in its
# config.json: `expert_swiglu_limit_list` and `share_expert_swiglu_limit_list` have a
# number for each layer, which vLLM and llama.cpp clamp the experts' gate and up by, and
# which Ling 3.0 Flash has in its last layers. The logits are the same to the bit
# whatever they are, and nothing is said about it. The keys stay in the configuration,
# and are saved with it. llama.cpp's converter, of llama-cpp-python 0.3.36, writes them
# as `swiglu_clamp_exp` and `swiglu_clamp_shexp`.
#
# Seen with Python 3.11:
#
#   limits of 0.001 in all layers: the same logits, to the bit
#   experts scaled by 0.001: other logits
#   kept in the configuration: [0.001, 0.001, 0.001]
#   said of limits: nothing
#
# Exits with 1 if that is different.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check \
    torch==2.13.0 transformers==5.24.0 numpy

cat >limits.py <<'END_OF_PYTHON'
import contextlib
import io
import json
import warnings
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, BailingHybridConfig
from transformers.utils import logging

SIZES = {"vocab_size": 96, "hidden_size": 64, "intermediate_size": 96}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 16}
LATENT = {"kv_lora_rank": 32, "qk_rope_head_dim": 8, "qk_nope_head_dim": 16}
EXPERTS = {"num_experts": 4, "num_experts_per_token": 2, "moe_intermediate_size": 32}
GROUPS = {"n_group": 1, "topk_group": 1, "first_k_dense_replace": 1}
LAYERS = {"num_hidden_layers": 3, "layer_group_size": 3, "v_head_dim": 16}
MORE = {"initializer_range": 0.2, "pad_token_id": None, "eos_token_id": 2}
LIMITS = ("expert_swiglu_limit_list", "share_expert_swiglu_limit_list")


def logits(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return model, model(torch.arange(40)[None]).logits


logging.disable_progress_bar()
torch.manual_seed(0)
config = BailingHybridConfig(
    **SIZES, **HEADS, **LATENT, **EXPERTS, **GROUPS, **LAYERS, **MORE
)
AutoModelForCausalLM.from_config(config).save_pretrained("model")
_, plain = logits("model")

path = Path("model/config.json")
values = json.loads(path.read_text())
path.write_text(json.dumps(values | dict.fromkeys(LIMITS, [0.001] * 3)))
said = io.StringIO()
with contextlib.redirect_stderr(said), warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model, limited = logits("model")
is_same = torch.equal(plain, limited)
print("limits of 0.001 in all layers:", "the same logits, to the bit" if is_same else "other")

with torch.no_grad():
    for layer in model.model.layers[1:]:
        layer.mlp.experts.down_proj.mul_(0.001)
    other = model(torch.arange(40)[None]).logits
is_other = not torch.allclose(plain, other, atol=1e-3)
print("experts scaled by 0.001:", "other logits" if is_other else "the same")
kept = [getattr(model.config, key, None) for key in LIMITS]
print("kept in the configuration:", kept[0])
is_silent = "limit" not in said.getvalue() + str([str(w.message) for w in caught])
print("said of limits:", "nothing" if is_silent else said.getvalue())
sound = is_same and is_other and kept == [[0.001] * 3] * 2 and is_silent
raise SystemExit(0 if sound else 1)
END_OF_PYTHON

env/bin/python limits.py
