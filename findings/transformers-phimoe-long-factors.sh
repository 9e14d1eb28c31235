#!/usr/bin/env bash
# transformers 5.24.0: PhiMoE rotates by the short factors of its LongRoPE at every
# length; `long_factor` of the config changes no logit. Phi-3, with the same
# `rope_parameters`, takes the long factors past the original context.
#
# The rotation module notices the length and keeps the long frequencies in its buffer
# `inv_freq`; then it computes frequencies again for the angles, without telling the
# length. Only the other half of LongRoPE acts: `long_mscale` does replace
# `short_mscale`, so the model is no longer one that was trained. Nothing is said.
#
# Seen with Python 3.11, logits of 16 and of 48 tokens with an original context of 32:
#
#   phi3    16 tokens: the long factors change nothing
#   phi3    48 tokens: the long factors change the logits
#   phimoe  16 tokens: the long factors change nothing
#   phimoe  48 tokens: the long factors change nothing
#   phimoe  48 tokens: long_mscale changes the logits
#
# Exits with 1 if that is different.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check torch==2.13.0 transformers==5.24.0

cat >factors.py <<'END'
import torch
from transformers import AutoModelForCausalLM, Phi3Config, PhimoeConfig

FIRST_CONTEXT = 32
SIZES = {"vocab_size": 96, "hidden_size": 64, "intermediate_size": 96}
SIZES |= {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
CONTEXT = {"max_position_embeddings": 128, "initializer_range": 0.2}
OURS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def logits(kind, n_tokens, long_factor, long_mscale=1.0):
    rope = {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "short_factor": [1.0] * 8,
        "long_factor": [long_factor] * 8,
        "original_max_position_embeddings": FIRST_CONTEXT,
    }
    if kind is PhimoeConfig:
        keys = {"num_local_experts": 4, "num_experts_per_tok": 2}
        rope |= {"short_mscale": 1.0, "long_mscale": long_mscale}
    else:
        keys = {"original_max_position_embeddings": FIRST_CONTEXT}
    config = kind(**SIZES, **CONTEXT, **OURS, **keys, rope_parameters=rope)
    assert config.rope_parameters["original_max_position_embeddings"] == FIRST_CONTEXT
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        return model(torch.arange(3, 3 + n_tokens)[None]).logits


for kind in (Phi3Config, PhimoeConfig):
    for n_tokens in (16, 48):
        one, eight = (logits(kind, n_tokens, factor) for factor in (1.0, 8.0))
        found = "nothing" if torch.equal(one, eight) else "the logits"
        name = kind.model_type
        print(f"{name:7} {n_tokens} tokens: the long factors change {found}")
one, two = (logits(PhimoeConfig, 48, 1.0, mscale) for mscale in (1.0, 2.0))
found = "nothing" if torch.equal(one, two) else "the logits"
print(f"phimoe  48 tokens: long_mscale changes {found}")
END
HF_HUB_OFFLINE=1 env/bin/python factors.py 2>log | tee found.txt || { cat log; exit 1; }

cat >wanted.txt <<'END'
phi3    16 tokens: the long factors change nothing
phi3    48 tokens: the long factors change the logits
phimoe  16 tokens: the long factors change nothing
phimoe  48 tokens: the long factors change nothing
phimoe  48 tokens: long_mscale changes the logits
END
cmp -s wanted.txt found.txt || {
    echo "transformers behaves differently now" >&2
    exit 1
}
