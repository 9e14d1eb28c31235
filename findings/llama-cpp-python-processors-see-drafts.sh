#!/usr/bin/env bash
# llama-cpp-python 0.3.36: with a draft model, logits processors get drafted tokens among
# the tokens "so far", also those that are about to be refused. All tokens of a draft are
# read before the first of them is sampled, and the processor is handed everything that
# was read. So a processor that forbids repetitions forbids the tokens of the draft, one
# that counts tokens counts too many, and the text is another one than without a draft,
# though drafts are documented as making generation faster and no more.
#
# Seen: the lengths of `input_ids` while six tokens follow a prompt of four, and how often
# its last token was 7, which the draft proposes and the text never has:
#   no draft      4 5 6 7 8 9      0 times
#   a wrong draft 4 8 9 10 11 12   5 times
#
# Compiles llama.cpp, for some minutes. Exits with 1 if that is different.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check \
    "llama-cpp-python==0.3.36" "gguf==0.19.0" numpy

cat >try.py <<'END'
import gguf
import llama_cpp
import numpy as np
from llama_cpp.llama_speculative import LlamaDraftModel

WIDTH, N_FF, WRONG = 32, 64, 7
PIECES = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
N = len(PIECES)

file = gguf.GGUFWriter("tiny.gguf", "llama")
file.add_context_length(64)
file.add_embedding_length(WIDTH)
file.add_block_count(1)
file.add_feed_forward_length(N_FF)
file.add_head_count(2)
file.add_layer_norm_rms_eps(1e-5)
file.add_rope_dimension_count(16)
file.add_tokenizer_model("llama")
file.add_token_list(PIECES)
file.add_token_scores([0.0] * N)
file.add_token_types([2, 3, 3] + [6] * 256)
shapes = {"token_embd": (N, WIDTH), "output": (N, WIDTH)}
shapes |= {"blk.0.ffn_gate": (N_FF, WIDTH), "blk.0.ffn_up": (N_FF, WIDTH)}
shapes |= {"blk.0.ffn_down": (WIDTH, N_FF)}
for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
    shapes[f"blk.0.{name}"] = (WIDTH, WIDTH)
rng = np.random.default_rng(0)
for name, shape in shapes.items():
    file.add_tensor(f"{name}.weight", rng.standard_normal(shape, np.float32) / 6)
for name in ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"):
    file.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))
file.write_header_to_file()
file.write_kv_data_to_file()
file.write_tensors_to_file()
file.close()


class Wrong(LlamaDraftModel):
    def __call__(self, input_ids, /, **options):
        return np.array([WRONG] * 3, np.intc)


for name, draft in (("no draft", None), ("a wrong draft", Wrong())):
    seen, last = [], []

    def look(input_ids, scores):
        seen.append(len(input_ids))
        last.append(int(input_ids[-1]))
        scores = scores.copy()
        scores[WRONG] = -np.inf
        return scores

    model = llama_cpp.Llama(
        "tiny.gguf", n_ctx=64, logits_all=True, draft_model=draft, verbose=False
    )
    tokens = model.generate([1, 70, 71, 72], temp=0.0, logits_processor=[look])
    text = [token for _, token in zip(range(6), tokens)]
    assert WRONG not in text
    print(f"{name:13}", *seen[:6], f"{last[:6].count(WRONG)} times")
END

cat >wanted <<'END'
no draft      4 5 6 7 8 9 0 times
a wrong draft 4 8 9 10 11 12 5 times
END
env/bin/python try.py 2>errors | tee found
diff wanted found || { cat errors; echo "processors see other tokens"; exit 1; }
