"""`llamacy run` at a terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.command_process import COMMAND, ENVIRONMENT, posix
from tests.support.pseudo_terminal import Seen

PROMPT = "Once upon a time"


@pytest.fixture
def path(shared: Path) -> Path:
    return shared / "models/stories260K-Q8_0.gguf"


@posix
def test_a_terminal_gets_a_chat_and_sees_its_prompt_continued(path: Path) -> None:
    import pty

    controller, terminal = pty.openpty()
    try:
        os.write(controller, f"{PROMPT}\n/exit\n".encode())
        done = subprocess.run(
            [*COMMAND, "run", path, "-n", "4", "--temp", "0"],
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=30,
            env=ENVIRONMENT,
        )
        assert (done.returncode, done.stdout) == (0, ">>> , there was a\n>>> ")
        assert "looks like a base model: give it a text to continue" in done.stderr
        os.read(controller, 1000)  # the terminal's echo of the input
        os.write(controller, b"Once upon\n/nothing\n/set n 2\n/regen\n\x04")
        done = subprocess.run(
            [*COMMAND, "run", path, "--chat-template", "alpaca", "-n", "4"],
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=30,
            env=ENVIRONMENT,
        )
        assert (done.returncode, done.stdout.count(">>> ")) == (0, 5)
        assert "Ctrl-D ends" in done.stderr
        assert "error: no command /nothing" in done.stderr
        os.read(controller, 1000)  # the terminal's echo of the input
        # At a terminal, the prompt is printed before its continuation.
        subprocess.run(
            [*COMMAND, "run", path, PROMPT, "-n", "4", "--temp", "0"],
            stdin=terminal,
            stdout=terminal,
            timeout=30,
            env=ENVIRONMENT,
            check=True,
        )
        assert os.read(controller, 1000).decode().startswith(f"{PROMPT}, there")
    finally:
        os.close(controller)
        os.close(terminal)


@posix
def test_ctrl_c_at_a_terminal_keeps_the_part_of_the_answer(
    path: Path, tmp_path: Path
) -> None:
    import pty

    words = ["-c", "1000000", "--temp", "3", "--top-k", "0", "--ignore-eos"]
    arguments = ["run", str(path), "--chat-template", "alpaca", *words]
    child, terminal = pty.fork()
    if child == 0:
        # heeded even if the tests run in a shell's background, where they are ignored
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.execve(COMMAND[0], [*COMMAND, *arguments], ENVIRONMENT)
    seen = Seen(terminal)
    try:
        seen.wait_for(b">>> ")
        os.write(terminal, b"Tell me a story.\n")
        seen.wait_for(b"story.\r\n")
        seen.wait_for(b"a")
        os.write(terminal, b"\x03")
        seen.wait_for(b">>> ")
        os.write(terminal, f"/save {tmp_path / 'chat.json'}\n".encode())
        seen.wait_for(b"saved to")
        seen.wait_for(b">>> ")
        os.write(terminal, b"\x03")
        seen.wait_for(b"another Ctrl-C")
        seen.wait_for(b">>> ")
        os.write(terminal, b"\x03")
        seen.wait_for(None)
    finally:
        os.close(terminal)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    asked, answer = json.loads((tmp_path / "chat.json").read_text("utf-8"))["messages"]
    assert asked["content"] == "Tell me a story."
    assert answer["role"] == "assistant"
    assert "a" in answer["content"]
