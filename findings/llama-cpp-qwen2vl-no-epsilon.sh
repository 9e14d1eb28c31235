#!/usr/bin/env bash
# llama.cpp (xllamacpp 2026.10.11549): a file of the family `qwen2vl` is computed with a
# norm epsilon of 0, whatever `qwen2vl.attention.layer_norm_rms_epsilon` says. Its loader
# reads the sections of the rotation and no other key; `qwen2` of the same weights takes
# the number. The key is not missed either: a file without it loads.
#
# No warning; the log of the loader has the zero. With the usual 1e-6 the difference is
# small, and grows as activations become small.
#
# Seen, of random weights:
#   qwen2: f_norm_rms_eps = 1.0e-06 of 1e-06 in the file
#   qwen2: f_norm_rms_eps = 5.0e-01 of 0.5 in the file
#   qwen2: the epsilon changes the probabilities
#   qwen2vl: f_norm_rms_eps = 0.0e+00 of 1e-06 in the file
#   qwen2vl: f_norm_rms_eps = 0.0e+00 of 0.5 in the file
#   qwen2vl: f_norm_rms_eps = 0.0e+00 of nothing in the file
#   qwen2vl: the epsilon changes nothing
#
# Exits with 1 if that is different.
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

family, epsilon = sys.argv[1:]
draw = np.random.default_rng(0)
pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)] + list("abcdef")
n, width, n_ff = len(pieces), 64, 128
file = gguf.GGUFWriter(f"{family}.{epsilon}.gguf", family)
file.add_context_length(64)
file.add_embedding_length(width)
file.add_block_count(1)
file.add_feed_forward_length(n_ff)
file.add_head_count(4)
file.add_head_count_kv(4)
if epsilon != "nothing":
    file.add_layer_norm_rms_eps(float(epsilon))
if family == "qwen2vl":
    file.add_rope_dimension_sections([4, 2, 2, 0])
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
for name in "qkv":
    file.add_tensor(f"blk.0.attn_{name}.bias", np.zeros(width, np.float32))
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
params.verbosity = 5  # the log of the loader
server = xllamacpp.Server(params)
asked = {"prompt": [260, 261, 262, 263], "n_predict": 1, "n_probs": 9, "temperature": 0}
found = server.handle_completions(asked)
(first,) = found["choices"][0]["logprobs"]["content"]
print([(each["id"], round(each["logprob"], 3)) for each in first["top_logprobs"]])
END

for family in qwen2 qwen2vl; do
    settings="1e-06 0.5"
    [ "$family" = qwen2 ] || settings="$settings nothing"
    for epsilon in $settings; do
        env/bin/python write.py "$family" "$epsilon"
        env/bin/python run.py "$family.$epsilon.gguf" 2>log | grep '^\[' >"$family.$epsilon" ||
            { cat log; exit 1; }
        read=$(grep -o 'f_norm_rms_eps *= .*' log | sort -u | tr -s ' ')
        echo "$family: $read of $epsilon in the file"
    done
    cmp -s "$family.1e-06" "$family.0.5" && verb="nothing" || verb="the probabilities"
    echo "$family: the epsilon changes $verb"
done | tee found

cat >wanted <<'END'
qwen2: f_norm_rms_eps = 1.0e-06 of 1e-06 in the file
qwen2: f_norm_rms_eps = 5.0e-01 of 0.5 in the file
qwen2: the epsilon changes the probabilities
qwen2vl: f_norm_rms_eps = 0.0e+00 of 1e-06 in the file
qwen2vl: f_norm_rms_eps = 0.0e+00 of 0.5 in the file
qwen2vl: f_norm_rms_eps = 0.0e+00 of nothing in the file
qwen2vl: the epsilon changes nothing
END
diff wanted found || { echo "llama.cpp treats the epsilon in another way"; exit 1; }
