#!/usr/bin/env bash
# transformers 5.24.0: of one `rope_theta` in the config.json of OLMo 3, only every
# fourth layer, those without a window, gets the value; the others get 500000, the
# default of the class. And `rope_parameters` in the form of every other class, not
# divided by kinds of layers, is kept in the configuration and read by no layer.
#
# OLMo 2's class gives the one value to all layers. Nothing is said about either.
#
# Seen with Python 3.11:
#
#   olmo3  full 777  sliding 500000
#   olmo3  full_attention default 500000
#   olmo3  sliding_attention default 500000
#   olmo3  kept linear 8 777
#   olmo2  all 777
#
# Exits with 1 if that is different.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check transformers==5.24.0

cat >theta.py <<'END'
import json
from pathlib import Path

from transformers import AutoConfig


def parameters(model_type, **keys):
    Path("config.json").write_text(json.dumps({"model_type": model_type, **keys}))
    return AutoConfig.from_pretrained(".").rope_parameters


two = parameters("olmo3", rope_theta=777.0)
full, sliding = two["full_attention"], two["sliding_attention"]
print(f"olmo3  full {full['rope_theta']:g}  sliding {sliding['rope_theta']:g}")

flat = {"rope_type": "linear", "factor": 8.0, "rope_theta": 777.0}
two = parameters("olmo3", rope_parameters=flat)
for kind in ("full_attention", "sliding_attention"):
    print(f"olmo3  {kind} {two[kind]['rope_type']} {two[kind]['rope_theta']:g}")
print(f"olmo3  kept {two['rope_type']} {two['factor']:g} {two['rope_theta']:g}")

print(f"olmo2  all {parameters('olmo2', rope_theta=777.0)['rope_theta']:g}")
END
HF_HUB_OFFLINE=1 env/bin/python theta.py 2>/dev/null | tee found.txt

cat >wanted.txt <<'END'
olmo3  full 777  sliding 500000
olmo3  full_attention default 500000
olmo3  sliding_attention default 500000
olmo3  kept linear 8 777
olmo2  all 777
END
cmp -s wanted.txt found.txt || {
    echo "transformers behaves differently now" >&2
    exit 1
}
