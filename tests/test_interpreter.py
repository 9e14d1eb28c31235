"""A whole process ends cleanly: by itself, by Ctrl-C, and after a fork."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest


def script(text: str, *options: str) -> list[str]:
    # -P: import the installed package, not sources in this folder
    # Ctrl-C must interrupt it, even if the tests run in a shell's background
    heeds = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    arguments = ["-P", "-W", "error", *options, "-c", heeds + textwrap.dedent(text)]
    return [sys.executable, *arguments]


def test_a_process_prints_nothing_at_exit(babble_model: Path) -> None:
    code = f"""
        import asyncio, threading, llamacy
        model = llamacy.load({str(babble_model)!r})
        stream = model.stream("ba", logit_bias={{2: -1e9}})
        next(stream)
        left = model.stream("be")
        session = model.session()
        session.feed("bi")
        text = session.stream()
        forgotten = llamacy.load({str(babble_model)!r}).stream("bo")

        def generate():
            try:
                while True:
                    model.generate("bu", max_tokens=200)
            except llamacy.ClosedError:
                pass

        threading.Thread(target=generate, daemon=True).start()
        print("end")
    """
    done = subprocess.run(script(code), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="has a global lock"
)
def test_python_without_a_global_lock_stays_so(babble_model: Path) -> None:
    code = f"""
        import sys, llamacy
        with llamacy.load({str(babble_model)!r}) as model:
            model.generate("ba", max_tokens=4)
        print(sys._is_gil_enabled())
    """
    environment = {key: os.environ[key] for key in os.environ if key != "PYTHON_GIL"}
    done = subprocess.run(
        script(code), capture_output=True, text=True, timeout=60, env=environment
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")


@pytest.mark.skipif(os.name == "nt", reason="no signal to one process alone")
@pytest.mark.parametrize("call", ["generate", "several", "each", "stream", "prompt"])
def test_ctrl_c_ends_a_text_and_not_the_model(babble_model: Path, call: str) -> None:
    code = f"""
        import llamacy
        model = llamacy.load({str(babble_model)!r}, n_ctx=100_000, prompt_cache=0)
        endless = dict(logit_bias={{2: float("-inf")}})
        said = []

        def say(*_):
            if not said:
                said.append(print("running", flush=True))

        try:
            if {call!r} == "generate":
                model.generate("ba", logits_processors=say, **endless)
            elif {call!r} == "several":
                model.generate(["ba"] * 2, progress=say, **endless)
            elif {call!r} == "each":
                for _ in model.generate_each(["ba"] * 9, progress=say, **endless):
                    pass
            elif {call!r} == "stream":
                with model.stream("ba", **endless) as stream:
                    for piece in stream:
                        say()
            else:
                model.generate([5] * 90_000, progress=say, **endless)
        except llamacy.Interrupted as interrupted:
            print("interrupted", model.executor.n_pages_used)
            texts = interrupted.completion
            is_list = isinstance(texts, list)
            assert is_list == ({call!r} == "several")
            for text in texts if is_list else [texts]:
                assert text.finish_reason == "cancelled"
        except KeyboardInterrupt:
            assert {call!r} in ("stream", "each")
            print("interrupted", model.executor.n_pages_used)
        print(len(model.generate("ba", max_tokens=5, **endless).tokens))
    """
    process = subprocess.Popen(
        script(code), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert err == ""
    assert out == "interrupted 0\n5\n"


def test_generating_imports_no_modules(babble_model: Path) -> None:
    """A fork in the middle of an import leaves its lock locked in the child."""
    code = f"""
        import sys, llamacy
        model = llamacy.load({str(babble_model)!r})
        model.tokenize("ba")
        before = set(sys.modules)
        model.generate("ba", max_tokens=3, seed=1, logprobs=2, dry_multiplier=1)
        with model.session() as session:
            list(session.stream("ba", max_tokens=3, mirostat=2))
        print(set(sys.modules) - before)
    """
    done = subprocess.run(script(code), capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("set()\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_uses_the_model(babble_model: Path) -> None:
    code = f"""
        import os, threading, llamacy
        model = llamacy.load({str(babble_model)!r}, n_threads=2)
        options = dict(max_tokens=30, temperature=0, logit_bias={{2: float("-inf")}})
        wanted = model.generate("ba", **options).tokens
        stop = threading.Event()

        def busy():
            while not stop.is_set():
                assert model.generate("ba", **options).tokens == wanted

        def chatty():
            while not stop.is_set():
                with model.session() as session:
                    session.feed("b")
                    assert session.generate("a", **options).tokens

        threads = [threading.Thread(target=busy) for _ in range(3)]
        threads.append(threading.Thread(target=chatty))
        [thread.start() for thread in threads]
        for _ in range(10):
            child = os.fork()
            if child == 0:
                right = model.generate("ba", **options).tokens == wanted
                os._exit(0 if right else 1)
            assert os.waitpid(child, 0)[1] == 0
        stop.set()
        [thread.join() for thread in threads]
        print("end")
    """
    # Python 3.12 and later warn about any fork of a process with threads
    done = subprocess.run(
        script(code, "-W", "ignore::DeprecationWarning"),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")
