#!/usr/bin/env bash
# llama.cpp's converter, of the source of llama-cpp-python 0.3.36: of an LFM2 MoE
# config.json, `routed_scaling_factor` and `norm_topk_prob` go nowhere. The GGUF file is
# the same to the byte whatever they are, and has no key for them; transformers 5.24.0
# computes other logits. Nothing is said about it. With the defaults of transformers'
# class, 1.0 and true, nothing is lost.
#
# GGUF has both keys, `expert_weights_scale` and `expert_weights_norm`, and the converter
# writes them for DeepSeek, GLM 4, dots1 and others, from the same names of the config.
#
# Seen with Python 3.11:
#
#   routed_scaling_factor 2.5 instead of 1.0: other logits, same file
#   norm_topk_prob False instead of True: other logits, same file
#   rope_theta 5000.0 instead of 1000000.0: other logits, other file
#   keys of the experts' weights: none
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

cat >routing.py <<'END'
import json
import sys
from pathlib import Path

sys.path[:0] = ["llama.cpp", "llama.cpp/gguf-py"]

import convert_hf_to_gguf
import gguf
import torch
from conversion.base import TextModel
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, Lfm2MoeConfig

TextModel.set_vocab = TextModel._set_vocab_none  # the model has no vocabulary

SIZES = {"vocab_size": 96, "hidden_size": 64, "intermediate_size": 96}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
LAYERS = {"num_hidden_layers": 3, "num_dense_layers": 1}
KINDS = ["conv", "full_attention", "conv"]
IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
PLAIN = {
    "routed_scaling_factor": 1.0,
    "norm_topk_prob": True,
    "rope_theta": 1000000.0,
}


def published(weights):
    """The names and shapes of the published weights: a matrix for each expert."""
    for name, weight in weights.items():
        if name.endswith("gate_up_proj"):
            for i, (gate, up) in enumerate(each.chunk(2) for each in weight):
                yield name.replace("gate_up_proj", f"{i}.w1.weight"), gate
                yield name.replace("gate_up_proj", f"{i}.w3.weight"), up
        elif name.endswith("experts.down_proj"):
            for i, down in enumerate(weight):
                yield name.replace("down_proj", f"{i}.w2.weight"), down
        elif name != "lm_head.weight":
            yield name, weight


def logits_and_file(**changed):
    folder = Path("model")
    folder.mkdir(exist_ok=True)
    keys = PLAIN | changed
    rope = {"rope_type": "default", "rope_theta": keys.pop("rope_theta")}
    config = Lfm2MoeConfig(
        **SIZES, **HEADS, **EXPERTS, **LAYERS, **IDS, **keys,
        layer_types=KINDS, initializer_range=0.2, rope_parameters=rope,
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        logits = model(torch.arange(3, 30)[None]).logits
    weights = {k: v.contiguous().clone() for k, v in published(model.state_dict())}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config.architectures = ["Lfm2MoeForCausalLM"]
    config.save_pretrained(folder)
    written = json.loads((folder / "config.json").read_text())
    assert all(written[key] == keys[key] for key in keys)
    sys.argv = ["convert", "model", "--outtype", "f32", "--outfile", "model.gguf"]
    convert_hf_to_gguf.main()
    return logits, Path("model.gguf").read_bytes()


logits, file = logits_and_file()
changes = {"routed_scaling_factor": 2.5, "norm_topk_prob": False, "rope_theta": 5000.0}
for key, value in changes.items():
    these, that = logits_and_file(**{key: value})
    words = ["same" if torch.equal(logits, these) else "other"]
    words.append("same" if file == that else "other")
    change = f"{key} {value} instead of {PLAIN[key]}"
    print(f"{change}: {words[0]} logits, {words[1]} file")
keys = [key for key in gguf.GGUFReader("model.gguf").fields if "expert_weights" in key]
print(f"keys of the experts' weights: {', '.join(keys) or 'none'}")
END
HF_HUB_OFFLINE=1 env/bin/python routing.py 2>log | tee found.txt || { cat log; exit 1; }

cat >wanted.txt <<'END'
routed_scaling_factor 2.5 instead of 1.0: other logits, same file
norm_topk_prob False instead of True: other logits, same file
rope_theta 5000.0 instead of 1000000.0: other logits, other file
keys of the experts' weights: none
END
cmp -s wanted.txt found.txt || {
    echo "the converter behaves differently now" >&2
    exit 1
}
