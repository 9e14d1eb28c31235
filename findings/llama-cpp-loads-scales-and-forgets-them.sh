#!/usr/bin/env bash
# llama.cpp (xllamacpp 2026.10.11549): whether `blk.N.ffn_up.scale` counts depends on the
# family. The loader reads a `.scale` tensor beside every matrix of attention and of the
# feed-forward network, in every family, and so accepts the file; the graphs of llama and
# qwen3 multiply by all of them, those of qwen2 and smollm3 by those of attention alone.
# No warning.
#
# The same weights, moved from one family to another, are another model; a tool that folds
# a factor out of a matrix into its scale, as NVFP4 files have it, works with some families
# and spoils the others.
#
# Seen, of a random model with a scale of 3:
#   llama: attn_v.scale counts, ffn_up.scale counts
#   qwen2: attn_v.scale counts, ffn_up.scale is forgotten
#   smollm3: attn_v.scale counts, ffn_up.scale is forgotten
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check \
    "xllamacpp==2026.10.11549" "gguf==0.19.0" numpy

cat >write.py <<'END'
import sys

import gguf
import numpy as np

family, scaled = sys.argv[1:]
draw = np.random.default_rng(0)
pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)] + list("abcdef")
n, width, n_ff = len(pieces), 64, 128
file = gguf.GGUFWriter(f"{family}.{scaled}.gguf", family)
file.add_context_length(64)
file.add_embedding_length(width)
file.add_block_count(1)
file.add_feed_forward_length(n_ff)
file.add_head_count(4)
file.add_head_count_kv(4)
file.add_layer_norm_rms_eps(1e-5)
file.add_tokenizer_model("llama")
file.add_token_list(pieces)
file.add_token_scores([0.0] * n)
file.add_token_types([2, 3, 3] + [6] * 256 + [1] * (n - 259))
shapes = {"token_embd": (n, width), "output": (n, width)}
for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
    shapes[f"blk.0.{name}"] = (width, width)
shapes |= {f"blk.0.ffn_{name}": (n_ff, width) for name in ("gate", "up")}
shapes["blk.0.ffn_down"] = (width, n_ff)
for name, shape in shapes.items():
    weights = draw.standard_normal(shape, np.float32) * np.float32(0.3)
    file.add_tensor(f"{name}.weight", weights)
for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
    file.add_tensor(f"{name}.weight", np.ones(width, np.float32))
for name in "qkv" if family == "qwen2" else "":
    file.add_tensor(f"blk.0.attn_{name}.bias", np.zeros(width, np.float32))
if scaled != "nothing":
    file.add_tensor(f"blk.0.{scaled}.scale", np.full(1, 3, np.float32))
file.write_header_to_file()
file.write_kv_data_to_file()
file.write_tensors_to_file()
file.close()
END

cat >run.py <<'END'
import sys

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_ctx, params.n_parallel, params.warmup = 64, 1, False
server = xllamacpp.Server(params)
asked = {"prompt": [260, 261, 262, 263], "n_predict": 1, "n_probs": 9, "temperature": 0}
found = server.handle_completions(asked)
(first,) = found["choices"][0]["logprobs"]["content"]
print([(each["id"], round(each["logprob"], 3)) for each in first["top_logprobs"]])
END

for family in llama qwen2 smollm3; do
    for scaled in nothing attn_v ffn_up; do
        env/bin/python write.py "$family" "$scaled"
        env/bin/python run.py "$family.$scaled.gguf" 2>log | grep '^\[' >"$scaled" ||
            { cat log; exit 1; }
    done
    line="$family:"
    for scaled in attn_v ffn_up; do
        cmp -s nothing "$scaled" && verb="is forgotten" || verb="counts"
        line="$line $scaled.scale $verb,"
    done
    echo "${line%,}"
done | tee found

cat >wanted <<'END'
llama: attn_v.scale counts, ffn_up.scale counts
qwen2: attn_v.scale counts, ffn_up.scale is forgotten
smollm3: attn_v.scale counts, ffn_up.scale is forgotten
END
diff wanted found || { echo "llama.cpp treats scales in another way"; exit 1; }
