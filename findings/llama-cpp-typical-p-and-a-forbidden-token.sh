#!/usr/bin/env bash
# llama.cpp, as in llama-cpp-python 0.3.36: one forbidden token breaks `typical_p`. The
# entropy adds p * log(p) for each token, and a logit of -inf, which a bias gives (or
# `--ignore-eos`), makes that 0 * -inf: NaN. So do a logit more than some 104 below the
# largest, and the tokens that `top_n_sigma` has taken out just before. All distances
# from a NaN are NaN, none is less than another, and the sort leaves the tokens in any
# order: those that are "typical" are the first ones of that, until their shares suffice.
#
# Seen, of one token with a share of 0.91 and forty of 0.002, at a typical_p of 0.5, how
# many are kept (many: 32 here), and whether the last one is, which is forbidden in the
# second row; then, of a hundred such tokens, without top_n_sigma and after it:
#   as they are: one False
#   the last one forbidden: many True
#   the last one at -120: many True
#   top_n_sigma: one many
#
# Compiles llama.cpp, for some minutes. Exits with 1 if that is different.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check "llama-cpp-python==0.3.36"

cat >try.py <<'END'
import ctypes

import llama_cpp


def kept(logits, *samplers):
    data = (llama_cpp.llama_token_data * len(logits))()
    for i, logit in enumerate(logits):
        data[i].id, data[i].logit = i, logit
    found = llama_cpp.llama_token_data_array(
        data=data, size=len(data), selected=-1, sorted=False
    )
    for sampler in samplers:
        llama_cpp.llama_sampler_apply(sampler, ctypes.byref(found))
    return [found.data[i].id for i in range(found.size)]


def count(ids):
    return "one" if len(ids) == 1 else "many"


typical = llama_cpp.llama_sampler_init_typical(0.5, 1)
sigma = llama_cpp.llama_sampler_init_top_n_sigma(8.0)
likely = [6.0, *(-0.001 * i for i in range(39))]
for name, last in (
    ("as they are", -0.04),
    ("the last one forbidden", float("-inf")),
    ("the last one at -120", -120.0),
):
    ids = kept([*likely, last], typical)
    print(f"{name}: {count(ids)} {len(likely) in ids}")
more = [6.0, *(-0.001 * i for i in range(100))]
print("top_n_sigma:", count(kept(more, typical)), count(kept(more, sigma, typical)))
END

cat >wanted <<'END'
as they are: one False
the last one forbidden: many True
the last one at -120: many True
top_n_sigma: one many
END
env/bin/python try.py | tee found
diff wanted found || { echo "llama.cpp keeps other tokens"; exit 1; }
