#!/usr/bin/env bash
# tokenizers 0.23.3: where two added tokens have the same normalized text, it is chance
# which of them a text becomes, anew in each process that loads the same file. With NFKC,
# which is what SentencePiece vocabularies use, "ﬁ" (one character) and "fi" are such
# tokens, as are half-width and full-width forms.
#
# Within a process it is always the same one. Nothing is said about it.
#
# The ids of "fi", of the same file loaded by 40 processes. Seen:
#   [1] [2]
#
# Exits with 1 if that is different: if all processes agree (by chance, once in 2^39).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check "tokenizers==0.23.3"

cat >make.py <<'END'
from tokenizers import AddedToken, Tokenizer, normalizers
from tokenizers.models import WordLevel

made = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
made.normalizer = normalizers.NFKC()
made.add_tokens([AddedToken("\ufb01", normalized=True), AddedToken("fi", normalized=True)])
made.save("tokenizer.json")
END
env/bin/python make.py

cat >encode.py <<'END'
from tokenizers import Tokenizer

print(Tokenizer.from_file("tokenizer.json").encode("fi").ids)
END
for _ in $(seq 40); do env/bin/python encode.py; done | sort -u | paste -sd' ' >found
cat found
test "$(cat found)" = "[1] [2]" || { echo "tokenizers does not choose by chance"; exit 1; }
