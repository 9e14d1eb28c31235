"""Daemon threads do not notice that the process ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

_BEFORE = """
import asyncio, threading
import llamacy

model = llamacy.load("demo", n_threads=1)
begun = threading.Event()
options = dict(max_tokens=400, temperature=0, progress=lambda share: begun.set())
"""
_WORK = {
    "generate": """
def work():
    while True:
        model.generate("Once", **options)
""",
    "stream": """
def work():
    while True:
        for piece in model.stream("Once", **options):
            begun.set()
""",
    "async": """
async def one():
    while True:
        await model.agenerate("Once", **options)

def work():
    asyncio.run(one())
""",
    "session": """
def work():
    while True:
        with model.session() as session:
            session.generate("Once", **options)
""",
}
_AFTER = """
threading.Thread(target=work, daemon=True).start()
begun.wait()
kept = model.stream("Once", max_tokens=400)  # is collected while the process ends
next(kept)
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    run = [sys.executable, "-P", "-c", code]  # the installed llamacy, in a clone too
    return subprocess.run(run, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("kind", list(_WORK))
def test_a_program_ends_quietly_while_a_daemon_thread_generates(kind: str) -> None:
    done = run(_BEFORE + _WORK[kind] + _AFTER)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_main_thread_sees_that_the_model_is_closed() -> None:
    """Its functions at exit must not wait for ever."""
    code = """
import atexit

def late():
    try:
        model.generate("Once")
    except llamacy.ClosedError as error:
        print(error)

atexit.register(late)
import llamacy

model = llamacy.load("demo", n_threads=1)
model.generate("Once", max_tokens=1)
"""
    done = run(code)
    ends = (0, "the model is closed\n", "")
    assert (done.returncode, done.stdout, done.stderr) == ends
