#!/usr/bin/env bash
# langchain-community 0.4.2: ChatLlamaCpp.invoke(..., stop=[...]) drops the stop strings.
#
# By default `streaming` is True. Then `invoke` answers by way of its own stream, and
# hands `stop` on to nobody: the model gets an empty list, no error or warning comes,
# and the text goes past the stop string. `stream` with the same argument, and `invoke`
# with streaming=False, do pass it on.
#
# What LangChain passes is seen by a module named llama_cpp that answers "one two three"
# and obeys `stop`, as llama-cpp-python does; nothing is compiled and no model is needed.
#
# Seen with Python 3.11 and langchain-core 1.8.3:
#
#   invoke, as it comes         stop=[]       'one two three'
#   invoke, streaming=False     stop=['two']  'one '
#   stream                      stop=['two']  'one '
#
# Exits with 1 if that is different.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q langchain-community==0.4.2 langchain-core==1.8.3

cat >"$folder/llama_cpp.py" <<'PYTHON'
class LlamaGrammar:
    pass


class Llama:
    def __init__(self, model_path, **options):
        self.stop = None

    def create_chat_completion(self, messages, stop, stream=False, **options):
        self.stop = stop
        text = "one two three"
        for each in stop:
            text = text.partition(each)[0]
        said = {"role": "assistant", "content": text}
        choice = {"index": 0, "finish_reason": "stop"}
        if stream:
            return iter([{"choices": [{**choice, "delta": said}]}])
        return {"choices": [{**choice, "message": said}], "usage": {}}
PYTHON

cat >"$folder/try.py" <<'PYTHON'
import sys
import warnings

warnings.simplefilter("ignore")
from langchain_community.chat_models import ChatLlamaCpp

found = []


def show(name, model, text):
    print(f"{name:27} stop={model.client.stop!s:8} {text!r}")
    found.append((model.client.stop, text))


model = ChatLlamaCpp(model_path="any.gguf")
show("invoke, as it comes", model, model.invoke("Count.", stop=["two"]).content)
whole = ChatLlamaCpp(model_path="any.gguf", streaming=False)
show("invoke, streaming=False", whole, whole.invoke("Count.", stop=["two"]).content)
pieces = [chunk.content for chunk in model.stream("Count.", stop=["two"])]
show("stream", model, "".join(pieces))
wanted = [([], "one two three"), (["two"], "one "), (["two"], "one ")]
sys.exit(found != wanted)
PYTHON

cd "$folder"
PYTHONPATH=$folder venv/bin/python try.py
