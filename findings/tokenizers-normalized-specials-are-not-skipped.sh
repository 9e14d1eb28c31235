#!/usr/bin/env bash
# tokenizers 0.23.3: `decode(skip_special_tokens=True)` does not skip a special token that
# is marked as `normalized`, where the normalizer changes its text. From an id it makes
# the normalized text, and looks for that among the texts of the special tokens, which are
# as they were given. Added tokens come back changed, too, and `id_to_token` gives texts
# that `token_to_id` does not know. In a normalizer that only prepends the mark of a
# space, as in older files of LLaMA's, every text may end with "</s>".
#
# 0.22.2, beside it here, gives the texts as they were added, and skips.
#
# Seen, of "New York Paris [END]" in lower case, and of "a a </s>":
#   0.22.2 new york Paris | Paris 3 | a a
#   0.23.3 new york paris [end] | paris None | a a </s>
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat >decode.py <<'END'
import importlib.metadata

from tokenizers import AddedToken, Tokenizer, decoders, normalizers
from tokenizers.models import BPE, WordLevel
from tokenizers.pre_tokenizers import Whitespace

words = Tokenizer(WordLevel({"[UNK]": 0, "new": 1, "york": 2}, unk_token="[UNK]"))
words.normalizer = normalizers.Lowercase()
words.pre_tokenizer = Whitespace()
words.add_tokens(["Paris"])  # normalized, by default
words.add_special_tokens([AddedToken("[END]", special=True, normalized=True)])
ids = words.encode("New York Paris [END]").ids
assert ids == [1, 2, 3, 4]
text = words.id_to_token(3)

spaced = Tokenizer(BPE({"▁": 0, "a": 1, "▁a": 2}, [("▁", "a")]))
marks = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
spaced.normalizer = normalizers.Sequence(marks)
unmark = [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
spaced.decoder = decoders.Sequence(unmark)
spaced.add_special_tokens([AddedToken("</s>", special=True, normalized=True)])
spaced_ids = spaced.encode("a a </s>").ids
assert spaced_ids == [2, 2, 3]

found = [words.decode(ids, skip_special_tokens=True)]
found.append(f"{text} {words.token_to_id(text)}")
found.append(spaced.decode(spaced_ids, skip_special_tokens=True))
print(importlib.metadata.version("tokenizers"), " | ".join(found))
END

for version in 0.22.2 0.23.3; do
    python3 -m venv "$version"
    "$version/bin/pip" install -q --disable-pip-version-check "tokenizers==$version"
    "$version/bin/python" decode.py >>found
done
cat >wanted <<'END'
0.22.2 new york Paris | Paris 3 | a a
0.23.3 new york paris [end] | paris None | a a </s>
END
cat found
diff wanted found || { echo "tokenizers decodes in another way"; exit 1; }
