#!/usr/bin/env bash
# transformers 5.24.0: YaRN's `truncate` is not read where each kind of layer has
# rotations of its own, as in Gemma 3 and OLMo 3: `"truncate": false` changes no
# frequency there, and does in a LLaMA with the same numbers.
#
# `truncate` says whether the bounds between scaled and unscaled frequencies are rounded
# to whole ones. All other keys of YaRN are taken from the object of the kind of layer,
# and this one from the object around it, which has a key for each kind and no other.
# Nothing is said about it, and the key stays in the configuration.
#
# Frequencies 1 to 3 of the layers without a window. Seen with Python 3.11:
#
#   llama        True  0.2372 0.0500 0.0079
#   llama        False 0.1986 0.0256 0.0079
#   gemma3_text  True  0.2372 0.0500 0.0079
#   gemma3_text  False 0.2372 0.0500 0.0079
#
# Exits with 1 if that is different.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check torch==2.13.0 transformers==5.24.0

cat >truncated.py <<'END'
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
YARN = {
    "rope_type": "yarn",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 64,
}


def frequencies(model_type, truncate):
    rope = YARN | {"truncate": truncate}
    name = "inv_freq"
    if model_type != "llama":
        local = {"rope_type": "default", "rope_theta": 10000.0}
        rope = {"full_attention": rope, "sliding_attention": local}
        name = "full_attention_inv_freq"
    folder = Path(model_type)
    folder.mkdir(exist_ok=True)
    config = SIZES | {"model_type": model_type, "rope_parameters": rope}
    (folder / "config.json").write_text(json.dumps(config))
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    return dict(model.model.rotary_emb.named_buffers())[name].tolist()


for model_type in ("llama", "gemma3_text"):
    for truncate in (True, False):
        numbers = frequencies(model_type, truncate)[1:4]
        shown = " ".join(f"{number:.4f}" for number in numbers)
        print(f"{model_type:12} {truncate!s:5} {shown}")
END
HF_HUB_OFFLINE=1 env/bin/python truncated.py 2>err.txt | tee found.txt || {
    cat err.txt >&2
    exit 1
}

cat >wanted.txt <<'END'
llama        True  0.2372 0.0500 0.0079
llama        False 0.1986 0.0256 0.0079
gemma3_text  True  0.2372 0.0500 0.0079
gemma3_text  False 0.2372 0.0500 0.0079
END
cmp -s wanted.txt found.txt || {
    echo "transformers behaves differently now" >&2
    exit 1
}
