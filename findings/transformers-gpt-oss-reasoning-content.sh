#!/usr/bin/env bash
# transformers 5.24.0: a past message of gpt-oss with content, tool calls and
# `reasoning_content` raises "Cannot pass both content and thinking", although nobody
# gave `thinking`.
#
# apply_chat_template copies a message's reasoning to all three names that templates
# read: `reasoning_content`, `thinking`, and so on. gpt-oss's own template reads
# `thinking` alone, and refuses it beside content and calls. So a conversation in the
# shape that servers return (reasoning_content, a text, calls) cannot be sent back;
# jinja2 alone renders the same messages with the same template.
#
# The template is that in llama-cpp-python 0.3.36's source archive (77 MB).
#
# Seen with Python 3.11, tokenizers 0.23.3 and jinja2 3.1.6:
#
#   transformers, content and reasoning  TemplateError: Cannot pass both content and thinking
#   transformers, content alone          call written
#   transformers, reasoning alone        call written
#   jinja2 alone, content and reasoning  call written
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
tar xzf llama_cpp_python-0.3.36.tar.gz --strip-components=5 \
    --wildcards '*/vendor/llama.cpp/models/templates/openai-gpt-oss-120b.jinja'

cat >reasoning.py <<'END'
from datetime import datetime
from pathlib import Path

from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

TEMPLATE = Path("openai-gpt-oss-120b.jinja").read_text("utf-8")


def talk(**said):
    function = {"name": "look", "arguments": {"city": "Paris"}}
    call = {"id": "1", "type": "function", "function": function}
    return [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "", "tool_calls": [call], **said},
        {"role": "tool", "content": "rain", "tool_call_id": "1"},
    ]


def by_transformers(**said):
    model = WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(model))
    return tokenizer.apply_chat_template(
        talk(**said), chat_template=TEMPLATE, tokenize=False
    )


def by_jinja(**said):
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment.from_string(TEMPLATE).render(messages=talk(**said))


def show(title, render, **said):
    try:
        is_written = '{"city": "Paris"}' in render(**said)
        found = "call written" if is_written else "call lost"
    except Exception as error:
        found = f"{type(error).__name__}: {str(error)[:37]}"
    print(f"{title:35}  {found}")


content, reasoning = {"content": "I look."}, {"reasoning_content": "Hmm."}
show("transformers, content and reasoning", by_transformers, **content, **reasoning)
show("transformers, content alone", by_transformers, **content)
show("transformers, reasoning alone", by_transformers, **reasoning)
show("jinja2 alone, content and reasoning", by_jinja, **content, **reasoning)
END
env/bin/python reasoning.py 2>/dev/null | tee found.txt

cat >wanted.txt <<'END'
transformers, content and reasoning  TemplateError: Cannot pass both content and thinking
transformers, content alone          call written
transformers, reasoning alone        call written
jinja2 alone, content and reasoning  call written
END
cmp -s wanted.txt found.txt || {
    echo "transformers and this template behave differently now" >&2
    exit 1
}
