#!/usr/bin/env bash
# transformers 5.24.0: apply_chat_template drops keys whose value is None before the
# template runs. OpenAI's API returns `"content": null` beside tool calls, and published
# templates tell null from missing: such a message raises in Qwen 3's, and no spelling
# of it writes the call in that of DeepSeek R1's distillations to Llama.
#
# Qwen 3 tests `'</think>' in message.content`, for which the key must be there.
# DeepSeek writes the calls of a message only `if message['content'] is none`: an empty
# string loses the call without a word, None is dropped and so raises, as undefined.
# (jinja2 alone, given None, writes it.) Of the 70 templates that llama.cpp ships, nine
# raise for null and not for an empty string.
#
# The templates are those in llama-cpp-python 0.3.36's source archive (77 MB).
#
# Seen with Python 3.11, tokenizers 0.23.3 and jinja2 3.1.6:
#
#   Qwen-Qwen3-0.6B                           ''    call written
#   Qwen-Qwen3-0.6B                           None  UndefinedError
#   deepseek-ai-DeepSeek-R1-Distill-Llama-8B  ''    call lost
#   deepseek-ai-DeepSeek-R1-Distill-Llama-8B  None  UndefinedError
#   deepseek-ai-DeepSeek-R1-Distill-Llama-8B  None  call written by jinja2 alone
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
from pathlib import Path

from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

QWEN = "Qwen-Qwen3-0.6B"
DEEPSEEK = "deepseek-ai-DeepSeek-R1-Distill-Llama-8B"
CALL = {"name": "look", "arguments": '{"city": "Paris"}'}


def talk(content):
    call = {"id": "abcdef123", "type": "function", "function": CALL}
    return [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": content, "tool_calls": [call]},
        {"role": "tool", "content": "rain", "tool_call_id": "abcdef123"},
    ]


def verdict(text):
    return "call written" if '{"city": "Paris"}' in text else "call lost"


def by_transformers(name, content):
    model = WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(model))
    tokenizer.bos_token = "[UNK]"
    template = Path("templates", f"{name}.jinja").read_text("utf-8")
    try:
        return verdict(
            tokenizer.apply_chat_template(
                talk(content), chat_template=template, tokenize=False
            )
        )
    except Exception as error:
        return type(error).__name__


def by_jinja(name, content):
    template = Path("templates", f"{name}.jinja").read_text("utf-8")
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(template).render(
        messages=talk(content), bos_token="", tools=None
    )
    return f"{verdict(text)} by jinja2 alone"


for name in (QWEN, DEEPSEEK):
    for content in ("", None):
        print(f"{name:40}  {content!r:4}  {by_transformers(name, content)}")
print(f"{DEEPSEEK:40}  None  {by_jinja(DEEPSEEK, None)}")
END
env/bin/python calls.py 2>/dev/null | tee found.txt

cat >wanted.txt <<'END'
Qwen-Qwen3-0.6B                           ''    call written
Qwen-Qwen3-0.6B                           None  UndefinedError
deepseek-ai-DeepSeek-R1-Distill-Llama-8B  ''    call lost
deepseek-ai-DeepSeek-R1-Distill-Llama-8B  None  UndefinedError
deepseek-ai-DeepSeek-R1-Distill-Llama-8B  None  call written by jinja2 alone
END
cmp -s wanted.txt found.txt || {
    echo "transformers and these templates behave differently now" >&2
    exit 1
}
