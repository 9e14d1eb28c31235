#!/usr/bin/env bash
# llama.cpp (xllamacpp 2026.10.11549): its WordPiece, where accents are stripped, keeps
# the first consonant of a Korean syllable and drops the vowel and the last consonant.
# Words as different as "love" and "documents" become the same tokens,
# and so have the same embedding.
#
# Stripping accents decomposes characters first (NFD). llama.cpp's table has one code
# point for a character, the first of its decomposition: right for letters with accents,
# where the others are dropped anyway, and not for syllables, which are made of two or
# three letters. tokenizers keeps all of them.
#
# Seen, with "ᄉ" and "ᄅ" the consonants s and r:
#   사랑: tokenizers ᄉ ##ᅡ ##ᄅ ##ᅡ ##ᆼ, llama.cpp ᄉ ##ᄅ
#   서류: tokenizers ᄉ ##ᅥ ##ᄅ ##ᅲ, llama.cpp ᄉ ##ᄅ
#   é: tokenizers e, llama.cpp e
#
# Exits with 1 if that is different.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check \
    "xllamacpp==2026.10.11549" "gguf==0.19.0" "tokenizers==0.23.3" numpy

cat >words.py <<'END'
import json
from urllib.request import Request, urlopen

import gguf
import numpy as np
import xllamacpp
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

JAMO = [chr(c) for c in range(0x1100, 0x1113)]
JAMO += [chr(c) for c in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))]
LETTERS = [*JAMO, "e"]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *(f"##{c}" for c in LETTERS)]
WIDTH, N_FF, N = 32, 64, len(PIECES)

vocabulary = {piece: i for i, piece in enumerate(PIECES)}
theirs = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
theirs.normalizer = normalizers.BertNormalizer(strip_accents=True, lowercase=True)
theirs.pre_tokenizer = pre_tokenizers.BertPreTokenizer()


def marked(piece):
    """A piece as llama.cpp's converter writes it: beginnings of words have the mark."""
    return piece.removeprefix("##") if piece[0] in "#[" else "\u2581" + piece


file = gguf.GGUFWriter("bert.gguf", "bert")
file.add_context_length(64)
file.add_embedding_length(WIDTH)
file.add_block_count(1)
file.add_feed_forward_length(N_FF)
file.add_head_count(2)
file.add_layer_norm_eps(1e-12)
file.add_causal_attention(False)
file.add_pooling_type(gguf.PoolingType.MEAN)
file.add_tokenizer_model("bert")
file.add_token_list([marked(piece) for piece in PIECES])
file.add_token_type_count(2)
file.add_token_types([3, 2, 3, 3] + [1] * (N - 4))
file.add_pad_token_id(0)
file.add_unk_token_id(1)
file.add_bos_token_id(2)
file.add_sep_token_id(3)
file.add_bool("tokenizer.ggml.normalizer.lowercase", True)
file.add_bool("tokenizer.ggml.normalizer.strip_accents", True)
shapes = {"token_embd": (N, WIDTH), "position_embd": (64, WIDTH)}
shapes |= {"token_types": (2, WIDTH), "blk.0.ffn_up": (N_FF, WIDTH)}
shapes |= {"blk.0.ffn_down": (WIDTH, N_FF)}
for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
    shapes[f"blk.0.{name}"] = (WIDTH, WIDTH)
for name, shape in shapes.items():
    file.add_tensor(f"{name}.weight", np.full(shape, 0.1, np.float32))
    if name.startswith("blk"):
        file.add_tensor(f"{name}.bias", np.zeros(shape[0], np.float32))
for name in ("token_embd_norm", "blk.0.attn_output_norm", "blk.0.layer_output_norm"):
    file.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))
    file.add_tensor(f"{name}.bias", np.zeros(WIDTH, np.float32))
file.write_header_to_file()
file.write_kv_data_to_file()
file.write_tensors_to_file()
file.close()

params = xllamacpp.CommonParams()
params.model.path = "bert.gguf"
params.embedding, params.n_ctx, params.n_parallel, params.warmup = True, 64, 1, False
server = xllamacpp.Server(params)


def llama_cpp(word):
    body = json.dumps({"content": word}).encode()
    headers = {"Content-Type": "application/json"}
    with urlopen(Request(server.listening_address + "/tokenize", body, headers)) as reply:
        return [PIECES[token] for token in json.load(reply)["tokens"]]


for word in ("사랑", "서류", "é"):
    wanted, found = " ".join(theirs.encode(word).tokens), " ".join(llama_cpp(word))
    print(f"{word}: tokenizers {wanted}, llama.cpp {found}", flush=True)
END
PYTHONUTF8=1 env/bin/python words.py 2>log | grep ': tokenizers' | tee found ||
    { cat log; exit 1; }

cat >wanted <<'END'
사랑: tokenizers ᄉ ##ᅡ ##ᄅ ##ᅡ ##ᆼ, llama.cpp ᄉ ##ᄅ
서류: tokenizers ᄉ ##ᅥ ##ᄅ ##ᅲ, llama.cpp ᄉ ##ᄅ
é: tokenizers e, llama.cpp e
END
diff wanted found || { echo "llama.cpp decomposes in another way"; exit 1; }
