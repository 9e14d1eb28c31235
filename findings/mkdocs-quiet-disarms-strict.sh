#!/usr/bin/env bash
# mkdocs 1.6.1: `mkdocs build --strict` fails on a broken link; `--strict --quiet` passes.
#
# --quiet raises the logger's level to ERROR, and the handler that counts warnings for
# --strict hangs on that logger: it counts what is shown. A CI job that adds --quiet for a
# shorter log checks nothing any more, and stays green.
#
# Seen:
#   --strict          exit 1, "Aborted with 1 warnings in strict mode!"
#   --strict --quiet  exit 0, no output
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check "mkdocs==1.6.1"

mkdir docs
echo "site_name: example" >mkdocs.yml
echo "A [broken link](missing.md)." >docs/index.md

loud=0 quiet=0
env/bin/mkdocs build --strict >loud.txt 2>&1 || loud=$?
env/bin/mkdocs build --strict --quiet >quiet.txt 2>&1 || quiet=$?
tail -n1 loud.txt
echo "--strict: exit $loud; --strict --quiet: exit $quiet, $(wc -c <quiet.txt) bytes of output"
[ "$loud" -eq 1 ] && [ "$quiet" -eq 0 ] && [ ! -s quiet.txt ]
