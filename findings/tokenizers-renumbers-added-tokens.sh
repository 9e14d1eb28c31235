#!/usr/bin/env bash
# tokenizers 0.23.3: the ids of `added_tokens` in a tokenizer.json are not read. When the
# file is loaded, each added token gets the id of its text in the vocabulary, or else the
# next free id, in the order of the list; no error, no warning.
#
# A file whose added tokens leave a gap (reserved ids, a token taken out by hand), whose
# list is in another order than its ids, or that repeats an id is read with other ids than
# it says, and is saved with these: the embeddings of the model no longer fit.
#
# Seen, of a vocabulary with the ids 0 to 2:
#   gap: <x> says 5, is 3; <y> says 9, is 4
#   order: <x> says 4, is 3; <y> says 3, is 4
#   twice: <x> says 3, is 3; <y> says 3, is 4
#   in the vocabulary: a says 7, is 0
#   saved again: [3, 4]
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check "tokenizers==0.23.3"

cat >load.py <<'END'
import json

import tokenizers

FLAGS = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)


def load(*added):
    listed = [{"id": i, "content": text, "special": True} | FLAGS for text, i in added]
    model = {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2}, "merges": []}
    made = {"version": "1.0", "added_tokens": listed, "model": model}
    return tokenizers.Tokenizer.from_str(json.dumps(made))


for name, added in {
    "gap": (("<x>", 5), ("<y>", 9)),
    "order": (("<x>", 4), ("<y>", 3)),
    "twice": (("<x>", 3), ("<y>", 3)),
    "in the vocabulary": (("a", 7),),
}.items():
    loaded = load(*added)
    found = (f"{text} says {i}, is {loaded.token_to_id(text)}" for text, i in added)
    print(f"{name}: {'; '.join(found)}")
saved = json.loads(load(("<x>", 5), ("<y>", 9)).to_str())
print("saved again:", [entry["id"] for entry in saved["added_tokens"]])
END

cat >wanted <<'END'
gap: <x> says 5, is 3; <y> says 9, is 4
order: <x> says 4, is 3; <y> says 3, is 4
twice: <x> says 3, is 3; <y> says 3, is 4
in the vocabulary: a says 7, is 0
saved again: [3, 4]
END
env/bin/python load.py 2>&1 | tee found
diff wanted found || { echo "tokenizers reads added ids in another way"; exit 1; }
