#!/usr/bin/env bash
# transformers 5.24.0: with `"tokenizer_class": "LlamaTokenizer"` (or LlamaTokenizerFast),
# AutoTokenizer takes the vocabulary and merges from tokenizer.json and leaves out its
# normalizer, pre-tokenizer and decoder: the class builds its own. The same tokenizer.json
# with `"tokenizer_class": "PreTrainedTokenizerFast"` is read as it stands.
#
# The files of Llama 2, Mistral 7B and their kin put a space mark before every text by a
# `Prepend` normalizer; the class uses Metaspace with the scheme "first". So a text that
# begins with a space loses it, and no mark is put after a control token: `</s>hi`, as chat
# templates write it, gives other ids than those of the tokenizers library, or of the
# versions before 5, for the same file. No warning.
#
# Seen, as the tokens of " hi" and of "</s>hi":
#   tokenizers: ['▁', '▁hi'] ['</s>', '▁hi']
#   PreTrainedTokenizerFast: ['▁', '▁hi'] ['</s>', '▁hi']
#   LlamaTokenizer: ['▁hi'] ['</s>', 'hi']
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check \
    "transformers==5.24.0" "tokenizers==0.23.3" "jinja2==3.1.6"

cat >load.py <<'END'
import json
from pathlib import Path

import tokenizers
from transformers import AutoTokenizer

FLAGS = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
PREPEND = {"type": "Prepend", "prepend": "▁"}
MARK = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
special = ["<unk>", "<s>", "</s>"]
pieces = [*special, *(f"<0x{byte:02X}>" for byte in range(256))]
pieces += ["▁", "h", "i", "hi", "▁hi"]
made = {
    "version": "1.0",
    "added_tokens": [
        {"id": i, "content": text, "special": True} | FLAGS
        for i, text in enumerate(special)
    ],
    "normalizer": {"type": "Sequence", "normalizers": [PREPEND, MARK]},
    "model": {
        "type": "BPE",
        "unk_token": "<unk>",
        "fuse_unk": True,
        "byte_fallback": True,
        "vocab": {piece: i for i, piece in enumerate(pieces)},
        "merges": [["h", "i"], ["▁", "hi"]],
    },
}
names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
Path("tokenizer.json").write_text(json.dumps(made))
library = tokenizers.Tokenizer.from_file("tokenizer.json")
texts = (" hi", "</s>hi")
print("tokenizers:", *(library.encode(t, add_special_tokens=False).tokens for t in texts))
for name in ("PreTrainedTokenizerFast", "LlamaTokenizer"):
    config = names | {"tokenizer_class": name}
    Path("tokenizer_config.json").write_text(json.dumps(config))
    loaded = AutoTokenizer.from_pretrained(".", local_files_only=True)
    print(f"{name}:", *(loaded.tokenize(t, add_special_tokens=False) for t in texts))
END

cat >wanted <<'END'
tokenizers: ['▁', '▁hi'] ['</s>', '▁hi']
PreTrainedTokenizerFast: ['▁', '▁hi'] ['</s>', '▁hi']
LlamaTokenizer: ['▁hi'] ['</s>', 'hi']
END
env/bin/python load.py 2>errors | tee found || { cat errors; exit 1; }
diff wanted found || { echo "transformers reads the file in another way"; exit 1; }
