#!/usr/bin/env bash
# transformers 5.24.0 without a GPU: FP8 blocks of 128 rows become blocks of 96 in a
# matrix of 192 rows, and without a word: a third of its rows get a scale that is not
# theirs.
#
# A folder with `quant_method: fp8` has one scale for each block of `weight_block_size`.
# The last blocks are smaller where a matrix ends before: DeepSeek's own code reads it so,
# and so does transformers where the weights stay FP8, on a GPU. Where it dequantises on
# loading, it passes over `weight_block_size` and divides the rows of the matrix by those
# of the scales. 192 rows with 2 scales are read as 96 and 96; 576 rows with 5, which
# DeepSeek-V3 has in `kv_a_proj_with_mqa`, are an error.
#
# The model has weights of 1, and scales of 1 and 2. Seen with Python 3.11:
#
#   backward rows 0 to 127 have 1, rows 128 to 191 have 2
#   loaded   rows 0 to 95 have 1, rows 96 to 191 have 2
#
# The first line is transformers' own function for the backward pass of such weights.
# Exits with 1 if that is different.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check \
    accelerate==1.15.0 torch==2.13.0 transformers==5.24.0

cat >blocks.py <<'END'
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.integrations import finegrained_fp8

SIZES = {"vocab_size": 32, "hidden_size": 128, "num_hidden_layers": 1}
NAME = "model.layers.0.mlp.up_proj.weight"
BLOCK = [128, 128]


def show(title, weight):
    column = weight[:, 0].float()
    n = int((column == 1).sum())
    assert (column[:n] == 1).all() and (column[n:] == 2).all()
    print(f"{title:8} rows 0 to {n - 1} have 1, rows {n} to 191 have 2")


LlamaForCausalLM(LlamaConfig(**SIZES, intermediate_size=192)).save_pretrained("m")
tensors = load_file("m/model.safetensors")
for name in [each for each in tensors if "_proj" in each]:
    n_out, n_in = tensors[name].shape
    tensors[name] = torch.ones(n_out, n_in).to(torch.float8_e4m3fn)
    scales = torch.arange(1.0, 1 + -(-n_out // 128))[:, None]
    tensors[f"{name}_scale_inv"] = scales.repeat(1, -(-n_in // 128))
save_file(tensors, "m/model.safetensors", {"format": "pt"})
path = Path("m/config.json")
settings = {"quant_method": "fp8", "weight_block_size": BLOCK}
config = json.loads(path.read_text()) | {"quantization_config": settings}
path.write_text(json.dumps(config))

stored = tensors[NAME], tensors[f"{NAME}_scale_inv"]
show("backward", finegrained_fp8._dequantize_fp8_weight(*stored, BLOCK, torch.float32))
show("loaded", LlamaForCausalLM.from_pretrained("m").state_dict()[NAME])
END
CUDA_VISIBLE_DEVICES= HF_HUB_OFFLINE=1 env/bin/python blocks.py 2>err.txt |
    tee found.txt || { cat err.txt >&2; exit 1; }

cat >wanted.txt <<'END'
backward rows 0 to 127 have 1, rows 128 to 191 have 2
loaded   rows 0 to 95 have 1, rows 96 to 191 have 2
END
cmp -s wanted.txt found.txt || {
    echo "transformers behaves differently now" >&2
    exit 1
}
