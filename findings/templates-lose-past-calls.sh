#!/usr/bin/env bash
# transformers 5.24.0: chat templates that take `tools` but write none of a past
# message's `tool_calls`. Nothing is raised: the model is shown an empty answer of its
# own, and then the result of a call that it cannot see.
#
# Granite 3.3 and LFM2 (8B-A1B, and LFM2.5 Instruct) write `content` alone; who sends a
# conversation in OpenAI's shape, with the call in `tool_calls`, loses it. Two others,
# Seed-OSS and MiniCPM5, write it with Python's constants, True and None, though they
# show the tools as JSON.
#
# The templates are those in llama-cpp-python 0.3.36's source archive (77 MB).
#
# Seen with Python 3.11 and jinja2 3.1.6:
#
#   ByteDance-Seed-OSS                      Python's constants
#   LFM2-8B-A1B                             lost
#   LFM2.5-Instruct                         lost
#   Qwen3-Coder                             JSON
#   ibm-granite-granite-3.3-2B-Instruct     lost
#   openbmb-MiniCPM5-1B                     Python's constants
#
# Exits with 1 if that is different.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check \
    transformers==5.24.0 tokenizers==0.23.3 jinja2==3.1.6
env/bin/pip download -q --disable-pip-version-check --no-deps \
    --no-binary llama-cpp-python llama-cpp-python==0.3.36
mkdir templates
tar xzf llama_cpp_python-0.3.36.tar.gz -C templates --strip-components=5 \
    --wildcards '*/vendor/llama.cpp/models/templates/*.jinja'

cat >calls.py <<'END'
import os

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
from pathlib import Path

from transformers.utils.chat_template_utils import render_jinja_template

NAMES = (
    "ByteDance-Seed-OSS",
    "LFM2-8B-A1B",
    "LFM2.5-Instruct",
    "Qwen3-Coder",
    "ibm-granite-granite-3.3-2B-Instruct",
    "openbmb-MiniCPM5-1B",
)
arguments = {"city": "Rome", "deep": {"flags": [True, None]}}
call = {"type": "function", "function": {"name": "look", "arguments": arguments}}
talk = [
    {"role": "user", "content": "Is it warm?"},
    {"role": "assistant", "content": "", "tool_calls": [call]},
    {"role": "tool", "name": "look", "content": "It is."},
]
parameters = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "deep": {"type": "object"}},
    "required": ["city"],
}
function = {"name": "look", "description": "Look.", "parameters": parameters}
for name in NAMES:
    template = next(Path("templates").rglob(f"{name}.jinja")).read_text()
    (text,), _ = render_jinja_template(
        [talk], tools=[{"type": "function", "function": function}], chat_template=template
    )
    assert "It is." in text
    if "Rome" not in text:
        print(name.ljust(39), "lost")
    else:
        print(name.ljust(39), "Python's constants" if "True, None" in text else "JSON")
END
env/bin/python calls.py >seen

cat >expected <<'END'
ByteDance-Seed-OSS                      Python's constants
LFM2-8B-A1B                             lost
LFM2.5-Instruct                         lost
Qwen3-Coder                             JSON
ibm-granite-granite-3.3-2B-Instruct     lost
openbmb-MiniCPM5-1B                     Python's constants
END
if ! diff expected seen; then
    echo "it is different from what was seen" >&2
    exit 1
fi
cat seen
