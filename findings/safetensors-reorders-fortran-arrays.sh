#!/usr/bin/env bash
# safetensors 0.8.0: NumPy arrays in Fortran order come back with their numbers elsewhere.
#
# `safetensors.numpy.save` and `save_file` hand an array's memory to the writer as it lies,
# and its shape; the format, and `load`, mean C order. An array that is contiguous, but in
# Fortran order, is therefore written in the wrong order, without an error or a warning,
# and the file is a valid one. A transposed matrix is such an array. safetensors 0.7.0
# wrote the same arrays right.
#
# Seen with Python 3.11 and NumPy 2.4.6, for [[0, 1, 2], [3, 4, 5]]:
#
#   0.7.0, C order        [[0, 1, 2], [3, 4, 5]]
#   0.7.0, Fortran order  [[0, 1, 2], [3, 4, 5]]
#   0.8.0, C order        [[0, 1, 2], [3, 4, 5]]
#   0.8.0, Fortran order  [[0, 3, 1], [4, 2, 5]]
#
# Exits with 1 if that is different.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"

cat >"$folder/seen.py" <<'PYTHON'
import numpy as np
import safetensors
from safetensors.numpy import load, save

rows = np.arange(6, dtype=np.int32).reshape(2, 3)
for name, array in [("C", rows), ("Fortran", np.asfortranarray(rows))]:
    assert array.tolist() == rows.tolist()
    found = load(save({"x": array}))["x"]
    order = f"{name} order"
    print(f"{safetensors.__version__}, {order:14} {found.tolist()}")
PYTHON

for version in 0.7.0 0.8.0; do
    "$folder/venv/bin/pip" install -q "safetensors==$version" numpy==2.4.6
    "$folder/venv/bin/python" "$folder/seen.py"
done | tee "$folder/seen"
cmp "$folder/seen" - <<'SEEN'
0.7.0, C order        [[0, 1, 2], [3, 4, 5]]
0.7.0, Fortran order  [[0, 1, 2], [3, 4, 5]]
0.8.0, C order        [[0, 1, 2], [3, 4, 5]]
0.8.0, Fortran order  [[0, 3, 1], [4, 2, 5]]
SEEN
