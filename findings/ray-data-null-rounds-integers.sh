#!/usr/bin/env bash
# ray[data] 2.60.0: a map that changes nothing rounds large integers beside a null.
#
# `map_batches` hands out NumPy arrays unless told otherwise. NumPy has no integer that
# is missing, so a block whose int64 column has one null becomes float64, nulls become
# NaN, and integers above 2**53 (ids of tweets, hashes, nanoseconds) lose their last
# digits, without a warning. The column then stays float64, and a row's value depends on
# which rows share its block. `batch_format="pyarrow"` and "pandas" keep the integers.
#
# Seen with Python 3.11, pandas 3.1.1 and pyarrow 26.0.1, for 2**53 + 1:
#
#   before            int64   9007199254740993
#   numpy (default)   double  9007199254740992.0
#   pyarrow           int64   9007199254740993
#   pandas            int64   9007199254740993
#   numpy, no null    int64   9007199254740993
#
# Exits with 1 if that is different.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "ray[data]==2.60.0" pandas==3.1.1 pyarrow==26.0.1

cat >"$folder/seen.py" <<'PYTHON'
import logging

import pyarrow
import ray

ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
ray.data.DataContext.get_current().enable_progress_bars = False
logging.disable(logging.WARNING)


def column(*values):
    table = pyarrow.table({"id": pyarrow.array(values, pyarrow.int64())})
    return ray.data.from_arrow(table)


def show(title, dataset):
    (table,) = (ray.get(ref) for ref in dataset.materialize().to_arrow_refs())
    print(f"{title:17} {table.schema.field('id').type!s:7} {table['id'][0].as_py()}")


large = 2**53 + 1
holed = column(large, None)
show("before", holed)
show("numpy (default)", holed.map_batches(lambda batch: batch))
for form in ("pyarrow", "pandas"):
    show(form, holed.map_batches(lambda batch: batch, batch_format=form))
show("numpy, no null", column(large, 1).map_batches(lambda batch: batch))
PYTHON

cat >"$folder/wanted" <<'TEXT'
before            int64   9007199254740993
numpy (default)   double  9007199254740992.0
pyarrow           int64   9007199254740993
pandas            int64   9007199254740993
numpy, no null    int64   9007199254740993
TEXT

cd "$folder"
venv/bin/python seen.py 2>"$folder/errors" >"$folder/found" || {
    cat "$folder/errors"
    exit 1
}
cat found
if ! diff wanted found; then
    echo "the behaviour has changed" >&2
    exit 1
fi
