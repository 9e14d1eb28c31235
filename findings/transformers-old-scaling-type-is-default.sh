#!/usr/bin/env bash
# transformers 5.24.0: `"rope_scaling": {"type": "linear", "factor": 8.0}` scales a LLaMA,
# and neither a Gemma 3 nor an OLMo 3. `type` is the older name of `rope_type`, which all
# classes are to read.
#
# The two classes have rotations of their own for each kind of layer. They put what
# `rope_scaling` says into an object that begins as {"rope_type": "default"}, and `type`
# counts only where there is no `rope_type`: so the older name never does. Nothing is said
# about it; the factor stays in the configuration, and is saved with it.
#
# The same keys in each config.json; printed is what they multiply the frequencies of the
# layers without a window by. Seen with Python 3.11:
#
#   llama        rope_type 0.125  type 0.125
#   gemma3_text  rope_type 0.125  type 1.0
#   olmo3        rope_type 0.125  type 1.0
#
# Exits with 1 if that is different.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check torch==2.13.0 transformers==5.24.0

cat >scaled.py <<'END'
import json
from pathlib import Path

from transformers import AutoConfig, AutoModelForCausalLM

SIZES = {
    "vocab_size": 32,
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "pad_token_id": None,
}


def frequency(model_type, **keys):
    """Return the highest frequency of the layers without a window."""
    folder = Path(model_type)
    folder.mkdir(exist_ok=True)
    config = SIZES | {"model_type": model_type} | keys
    (folder / "config.json").write_text(json.dumps(config))
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    buffers = dict(model.model.rotary_emb.named_buffers())
    name = "inv_freq" if model_type == "llama" else "full_attention_inv_freq"
    return buffers[name][0].item()


for model_type in ("llama", "gemma3_text", "olmo3"):
    plain = frequency(model_type)
    factors = []
    for key in ("rope_type", "type"):
        scaling = {key: "linear", "factor": 8.0}
        factor = frequency(model_type, rope_scaling=scaling) / plain
        factors.append(f"{key} {factor}")
    print(f"{model_type:12}", "  ".join(factors))
END
HF_HUB_OFFLINE=1 env/bin/python scaled.py 2>err.txt | tee found.txt || {
    cat err.txt >&2
    exit 1
}

cat >wanted.txt <<'END'
llama        rope_type 0.125  type 0.125
gemma3_text  rope_type 0.125  type 1.0
olmo3        rope_type 0.125  type 1.0
END
cmp -s wanted.txt found.txt || {
    echo "transformers behaves differently now" >&2
    exit 1
}
