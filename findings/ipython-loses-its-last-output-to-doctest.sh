#!/usr/bin/env bash
# IPython 9.18.1: after doctests have run in its process, `_` is never the last output again.
# Whoever runs examples from a notebook, or tests a notebook in a process that ran some, reads
# None from `_`, without a word. `_1` and `Out` go on.
#
# doctest shows values by Python's own display hook, which keeps the last one in `builtins._`,
# and removes nothing. IPython takes a `_` among the builtins for a translation function, as
# gettext installs one, and leaves it alone.
#
# Seen, of the cells `1 + 1` and `last = _`:
#   without doctests: _ is 2, _1 is 2
#   after a doctest: _ is None, _1 is 2
#   without builtins._ again: _ is 2, _1 is 2
#
# Exits with 1 if that is different.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q ipython==9.18.1

cat >cells.py <<'END'
import builtins
import doctest
import sys

from IPython.core.interactiveshell import InteractiveShell

if sys.argv[1] != "none":
    doctest.run_docstring_examples(">>> 40 + 2\n42\n", {}, name="example")
if sys.argv[1] == "removed":
    del builtins._
shell = InteractiveShell.instance()
shell.run_cell("1 + 1", store_history=True)
shell.run_cell("last = _", store_history=True)
print(f"_ is {shell.user_ns['last']}, _1 is {shell.user_ns['_1']}")
END
run() { echo "$1: $(environment/bin/python cells.py "$2" | tail -n1)"; }
{
    run "without doctests" none
    run "after a doctest" some
    run "without builtins._ again" removed
} | tee found

cat >wanted <<'END'
without doctests: _ is 2, _1 is 2
after a doctest: _ is None, _1 is 2
without builtins._ again: _ is 2, _1 is 2
END
diff wanted found || { echo "IPython treats _ in another way"; exit 1; }
