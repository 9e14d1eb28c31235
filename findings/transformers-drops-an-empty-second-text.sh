#!/usr/bin/env bash
# transformers 5.24.0: `tokenizer(text, "")` makes no pair but a single text: the second
# one, being empty, is left out, with the token that ends it and its token type. The same
# two texts in lists, `tokenizer([text], [""])`, are a pair.
#
# So a cross-encoder scores an empty document otherwise alone than in a batch of any size,
# even of one. With a tiny random BERT the two scores were 0.0021 and 0.2710.
#
# Seen:
#   alone     [2, 4, 3] types [0, 0, 0]
#   in lists  [2, 4, 3, 3] types [0, 0, 0, 1]
#   a space   [2, 4, 3, 3] types [0, 0, 0, 1]
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check "transformers==5.24.0"

printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' cat >vocab.txt
cat >show.py <<'END'
import transformers

tokenizer = transformers.BertTokenizer.from_pretrained(".")


def show(name, ids, types):
    print(f"{name:9} {ids} types {types}")


alone = tokenizer("cat", "")
show("alone", alone["input_ids"], alone["token_type_ids"])
lists = tokenizer(["cat"], [""])
show("in lists", lists["input_ids"][0], lists["token_type_ids"][0])
space = tokenizer("cat", " ")
show("a space", space["input_ids"], space["token_type_ids"])
END

cat >wanted <<'END'
alone     [2, 4, 3] types [0, 0, 0]
in lists  [2, 4, 3, 3] types [0, 0, 0, 1]
a space   [2, 4, 3, 3] types [0, 0, 0, 1]
END
env/bin/python show.py 2>/dev/null | tee found
diff wanted found
