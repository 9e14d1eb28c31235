#!/usr/bin/env bash
# llguidance 1.9.1: `minProperties` counts the keys that are written, not the different
# ones. Where a schema allows keys that it does not declare, a model may write the same
# key again, and the grammar is satisfied; every reader of JSON then finds one property,
# and the text is invalid by the schema that it was held to. Declared keys are written
# once; the check that a grammar is whole does not notice the others.
#
# Seen, of {"type": "object", "minProperties": 2}:
#   {"a": 1} False
#   {"a": 1, "b": 2} True
#   {"a": 1, "a": 2} True
#   read by json: {'a': 2}, jsonschema: {'a': 2} does not have enough properties
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check "llguidance==1.9.1" "jsonschema==4.26.0"

cat >show.py <<'END'
import json

import jsonschema
import llguidance

SCHEMA = {"type": "object", "minProperties": 2}
TEXTS = ['{"a": 1}', '{"a": 1, "b": 2}', '{"a": 1, "a": 2}']
tokens = llguidance.LLTokenizer("byte")
grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(SCHEMA))
for text in TEXTS:
    matcher = llguidance.LLMatcher(tokens, grammar, log_level=0)
    n_fit = matcher.try_consume_tokens(list(text.encode()))
    print(text, n_fit == len(text) and matcher.is_accepting())
value = json.loads(TEXTS[-1])
(error,) = jsonschema.Draft202012Validator(SCHEMA).iter_errors(value)
print(f"read by json: {value}, jsonschema: {error.message}")
END

cat >wanted <<'END'
{"a": 1} False
{"a": 1, "b": 2} True
{"a": 1, "a": 2} True
read by json: {'a': 2}, jsonschema: {'a': 2} does not have enough properties
END
env/bin/python show.py | tee found
diff wanted found
