#!/usr/bin/env bash
# pytest-xdist 3.8.0: with pytest 9.2.0, `--dist loadgroup` ignores all xdist_group marks.
#
# Tests of one group are to run in the same worker. xdist marks them by writing
# "@group" to the end of a private attribute of each item, `_nodeid`, which pytest 9.2.0
# no longer reads: each test is a group of its own then. No error or warning comes, and
# "scheduling tests via LoadGroupScheduling" is still printed.
#
# Eight tests in one group, two workers; printed is how many tests each worker ran.
#
# Seen with Python 3.11:
#
#   pytest 8.4.2  gw0 8
#   pytest 9.2.0  gw0 4, gw1 4
#
# Exits with 1 if that is different.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/test_group.py" <<'PYTHON'
import time

import pytest


@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(8))
def test_in_a_group(number, worker_id):
    time.sleep(0.2)
    with open("ran", "a") as file:
        file.write(worker_id + "\n")
PYTHON

cd "$folder"
for version in 8.4.2 9.2.0; do
    python3 -m venv "venv-$version"
    "venv-$version/bin/pip" install -q "pytest==$version" pytest-xdist==3.8.0
    rm -f ran
    "venv-$version/bin/python" -m pytest -q -n 2 --dist loadgroup test_group.py >"log-$version"
    sort ran | uniq -c | awk '{ printf "%s%s %s", (NR > 1 ? ", " : ""), $2, $1 }' >"found-$version"
    echo "pytest $version  $(cat "found-$version")"
done
[ "$(wc -w <found-8.4.2)" = 2 ] && [ "$(wc -w <found-9.2.0)" = 4 ]
