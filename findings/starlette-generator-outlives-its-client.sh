#!/usr/bin/env bash
# starlette 1.10.0: after a client hangs up, the async generator that was given to
# StreamingResponse is neither closed nor cancelled; its `finally` runs when the garbage
# collector finds it, which may be minutes later.
#
# The response's task is cancelled while it sends; the generator is suspended at a `yield`
# at that time, hears nothing of the cancellation, and nobody calls its aclose(). The
# exception's traceback holds it in a cycle. So `async with resource:` around the `yield`
# keeps the resource (a model's slot, a database cursor) of each client that has left.
#
# Seen:
#   after the response: not closed
#   after gc.collect(): closed
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check "starlette==1.10.0" "anyio==4.16.0"

cat >hang_up.py <<'END'
import asyncio
import gc

from starlette.responses import StreamingResponse

events = []


async def texts():
    try:
        while True:
            yield "text"
    finally:
        events.append("closed")


async def main():
    begun = asyncio.Event()

    async def receive():
        await begun.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if message.get("body"):
            begun.set()
            await asyncio.Event().wait()  # the socket's buffer is full

    # as uvicorn 0.54 calls an application
    scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}}
    await StreamingResponse(texts())(scope, receive, send)
    await asyncio.sleep(0.1)
    print("after the response:", *events or ["not closed"])
    gc.collect()
    await asyncio.sleep(0.1)
    print("after gc.collect():", *events or ["not closed"])


gc.disable()  # for the same result each time; it would come sometime
asyncio.run(main())
END
env/bin/python hang_up.py | tee seen.txt
diff seen.txt - <<'END'
after the response: not closed
after gc.collect(): closed
END
