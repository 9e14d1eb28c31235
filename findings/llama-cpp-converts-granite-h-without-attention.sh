#!/usr/bin/env bash
# transformers 5.24.0 and llama.cpp's converter, of the source of llama-cpp-python 0.3.36:
# a Granite 4 H folder that was loaded and saved converts to a GGUF file in which no layer
# has attention. The published config.json calls its layers "mamba" and "attention";
# transformers reads both names and saves "linear_attention" and "full_attention", and the
# converter counts the layers called "attention". It says nothing and ends well. The file
# holds the attention's matrices all the same, but no key and value head for any layer, so
# whoever reads it takes all layers for recurrent ones.
#
# Whoever fine-tunes such a model saves it like that.
#
# Seen with Python 3.11:
#
#   published: mamba mamba attention mamba
#   key and value heads: 0 0 2 0; attention matrices in layers: 2
#   saved: linear_attention linear_attention full_attention linear_attention
#   key and value heads: 0 0 0 0; attention matrices in layers: 2
#
# Exits with 1 if that is different.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check \
    torch==2.13.0 transformers==5.24.0 numpy pyyaml tqdm requests
env/bin/pip download -q --disable-pip-version-check --no-deps \
    --no-binary llama-cpp-python llama-cpp-python==0.3.36
tar xzf llama_cpp_python-0.3.36.tar.gz
mv llama_cpp_python-0.3.36/vendor/llama.cpp llama.cpp

cat >layers.py <<'END'
import json
import sys
from pathlib import Path

sys.path[:0] = ["llama.cpp", "llama.cpp/gguf-py"]

import convert_hf_to_gguf
import gguf
import torch
from conversion.base import TextModel
from transformers import AutoConfig, AutoModelForCausalLM

TextModel.set_vocab = TextModel._set_vocab_none  # the model has no vocabulary

KINDS = ["mamba", "mamba", "attention", "mamba"]
SIZES = {"vocab_size": 96, "hidden_size": 64, "shared_intermediate_size": 96}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}
SCAN = {"mamba_n_heads": 8, "mamba_d_head": 16, "mamba_d_state": 16}
EXPERTS = {"num_local_experts": 0, "num_experts_per_tok": 0}
IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def convert(title, folder, kinds):
    sys.argv = ["convert", folder, "--outtype", "f32", "--outfile", "model.gguf"]
    convert_hf_to_gguf.main()
    reader = gguf.GGUFReader("model.gguf")
    heads = reader.fields["granitehybrid.attention.head_count_kv"].contents()
    names = [tensor.name.split(".") for tensor in reader.tensors]
    layers = [name[1] for name in names if "attn_q" in name]
    print(f"{title}: {' '.join(kinds)}")
    print("key and value heads:", " ".join(map(str, heads)), end="; ")
    print("attention matrices in layers:", " ".join(layers))


torch.manual_seed(0)
config = AutoConfig.for_model(
    "granitemoehybrid", **SIZES, **HEADS, **SCAN, **EXPERTS, **IDS,
    num_hidden_layers=4, layer_types=KINDS, position_embedding_type="nope",
)
AutoModelForCausalLM.from_config(config).save_pretrained("published")
path = Path("published/config.json")
path.write_text(json.dumps(json.loads(path.read_text()) | {"layer_types": KINDS}))
convert("published", "published", KINDS)

AutoModelForCausalLM.from_pretrained("published").save_pretrained("saved")
saved = json.loads(Path("saved/config.json").read_text())
convert("saved", "saved", saved["layer_types"])
END
HF_HUB_OFFLINE=1 env/bin/python layers.py 2>log | tee found.txt || { cat log; exit 1; }

cat >wanted.txt <<'END'
published: mamba mamba attention mamba
key and value heads: 0 0 2 0; attention matrices in layers: 2
saved: linear_attention linear_attention full_attention linear_attention
key and value heads: 0 0 0 0; attention matrices in layers: 2
END
cmp -s wanted.txt found.txt || {
    echo "the two behave differently now" >&2
    exit 1
}
