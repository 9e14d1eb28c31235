#!/usr/bin/env bash
# transformers 5.24.0: Phi3Config replaces `original_max_position_embeddings` inside
# `rope_parameters` by 4096, the default of its own key of that name, and writes that
# back on saving. LongRoPE then changes from short to long factors at another length.
#
# `rope_parameters` is where transformers 5 keeps everything about rotations, and where
# its other classes look: LlamaConfig keeps the number. Nothing is said about it.
#
# Seen with Python 3.11:
#
#   phi3   given inside 1024           has 4096
#   phi3   given outside 1024          has 1024
#   phi3   given inside, saved, loaded has 4096
#   llama  given inside 1024           has 1024
#
# Exits with 1 if that is different.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check transformers==5.24.0

cat >first_context.py <<'END'
from transformers import AutoConfig, LlamaConfig, Phi3Config

KEY = "original_max_position_embeddings"
SIZES = {"hidden_size": 64, "num_attention_heads": 4, "max_position_embeddings": 8192}
FACTORS = {"short_factor": [1.0] * 8, "long_factor": [2.0] * 8}
LONG = {"rope_type": "longrope", "rope_theta": 1e4, **FACTORS}
YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 8.0}


def say(name, how, config):
    print(f"{name:5}  {how:28}has {config.rope_parameters[KEY]}")


inside = Phi3Config(**SIZES, rope_parameters={**LONG, KEY: 1024}, pad_token_id=0)
outside = Phi3Config(**SIZES, rope_parameters=dict(LONG), pad_token_id=0, **{KEY: 1024})
say("phi3", "given inside 1024", inside)
say("phi3", "given outside 1024", outside)
inside.save_pretrained("saved")
say("phi3", "given inside, saved, loaded", AutoConfig.from_pretrained("saved"))
say(
    "llama",
    "given inside 1024",
    LlamaConfig(**SIZES, rope_parameters={**YARN, KEY: 1024}),
)
END
HF_HUB_OFFLINE=1 env/bin/python first_context.py 2>/dev/null | tee found.txt

cat >wanted.txt <<'END'
phi3   given inside 1024           has 4096
phi3   given outside 1024          has 1024
phi3   given inside, saved, loaded has 4096
llama  given inside 1024           has 1024
END
cmp -s wanted.txt found.txt || {
    echo "transformers behaves differently now" >&2
    exit 1
}
