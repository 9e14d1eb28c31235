#!/usr/bin/env bash
# openai 3.57.0: a stream whose chunks each have a role ends in a message of the role
# "assistantassistantassistant".
#
# `client.chat.completions.stream` adds up the chunks of an answer: texts of a delta are
# joined, and the role is a text. OpenAI's own server sends it in the first chunk alone,
# but the schema allows it in each delta, and Ollama sends it so. The content is right; the
# message, which a program sends back with its next question, has a role that no server
# knows. `create(stream=True)` adds nothing up.
#
# A transport in the process answers; nothing goes to a server. Two answers of three
# chunks, "So", "on" and "!", with the role in the first chunk or in each.
#
# Seen with Python 3.11 and httpx 0.28.1:
#
#   role in the first  'assistant'                    'Soon!'
#   role in each       'assistantassistantassistant'  'Soon!'
#
# Exits with 1 if that is different.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q openai==3.57.0 httpx==0.28.1

cat >"$folder/seen.py" <<'PYTHON'
import json

import httpx
import openai


def event(number, text, has_role):
    role = {"role": "assistant"} if has_role else {}
    choice = {
        "index": 0,
        "delta": {**role, "content": text},
        "finish_reason": "stop" if number == 2 else None,
    }
    chunk = {
        "id": "x",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
    }
    return f"data: {json.dumps(chunk)}\n\n"


def message(in_each):
    """Return what a stream of three chunks becomes."""
    texts = enumerate(["So", "on", "!"])
    events = [event(number, text, in_each or not number) for number, text in texts]
    answer = httpx.Response(
        200,
        headers={"content-type": "text/event-stream"},
        text="".join(events) + "data: [DONE]\n\n",
    )
    transport = httpx.MockTransport(lambda request: answer)
    client = openai.OpenAI(
        api_key="any",
        base_url="http://none/v1",
        http_client=httpx.Client(transport=transport),
    )
    question = [{"role": "user", "content": "Hi"}]
    with client.chat.completions.stream(model="m", messages=question) as stream:
        return stream.get_final_completion().choices[0].message


first, each = message(False), message(True)
print(f"role in the first  {first.role!r:30} {first.content!r}")
print(f"role in each       {each.role!r:30} {each.content!r}")
assert first.role == "assistant"
assert each.role == "assistant" * 3
assert first.content == each.content == "Soon!"
PYTHON

"$folder/venv/bin/python" "$folder/seen.py"
