"""The command line as a process: startup, pipes and signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_process import COMMAND, ENVIRONMENT, posix

PROMPT = "Once upon a time"


@pytest.fixture
def path(shared: Path) -> Path:
    return shared / "models/stories260K-Q8_0.gguf"


def test_help_imports_none_of_the_library() -> None:
    code = (
        "import sys\n"
        "from llamacy.cli import app\n"
        "try: app(['--help'], prog_name='llamacy')\n"
        "except SystemExit: pass\n"
        "assert 'numpy' not in sys.modules\n"
        "assert 'llamacy.model.model' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "tokenize" in done.stdout


def test_ctrl_c_during_the_imports_ends_the_process_quietly() -> None:
    code = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'typer': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from llamacy.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@posix
@pytest.mark.parametrize("words", [["run", PROMPT, "-n", "400"], ["show"]])
def test_a_reader_that_exits_early_causes_no_error_message(
    path: Path, words: list[str]
) -> None:
    command, *rest = words
    process = subprocess.Popen(
        [*COMMAND, command, path, *rest],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert process.stdout and process.stderr
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(30) == 141
    process.stderr.close()


@posix
def test_standard_input_beside_a_prompt_is_left_alone(
    path: Path, tmp_path: Path
) -> None:
    words: list[Any] = [*COMMAND, "run", path, "upon a time", "-n", "1", "--json"]

    def prompt_tokens(stdin: Any) -> int:
        done = subprocess.run(
            words, stdin=stdin, capture_output=True, env=ENVIRONMENT, check=True
        )
        return int(json.loads(done.stdout)["usage"]["prompt_tokens"])

    file = tmp_path / "lines.txt"
    file.write_text("Once")
    alone = prompt_tokens(subprocess.DEVNULL)
    with file.open() as lines:
        assert prompt_tokens(lines) == alone
        assert os.lseek(lines.fileno(), 0, os.SEEK_CUR) == 0
    near, far = socket.socketpair()
    with near, far:  # a daemon may start a process with a socket as standard input
        assert prompt_tokens(near) == alone


@posix
def test_a_pipe_that_nobody_writes_to_is_not_waited_for(path: Path) -> None:
    reader, writer = os.pipe()
    words: list[Any] = [*COMMAND, "run", path, PROMPT, "-n", "1"]
    try:
        done = subprocess.run(
            words, stdin=reader, capture_output=True, env=ENVIRONMENT, timeout=60
        )
    finally:
        os.close(writer)
        os.close(reader)
    assert done.returncode == 0
    assert done.stdout
    assert done.stderr == b""


@posix
def test_ctrl_c_ends_the_process(path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "run", path, PROMPT, "-c", "1000000", "--temp", "3", "--top-k", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        start_new_session=True,
        # a shell starts background jobs, as this may be, with SIGINT ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout and process.stderr
    assert process.stdout.read(20)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in err


@posix
@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_terminated_process_leaves_no_unfinished_file(
    name: str, status: int, tmp_path: Path
) -> None:
    number = signal.Signals[name]
    code = (
        "import os, sys\n"
        "import llamacy.cli as cli\n"
        "from llamacy.formats.gguf import copying as gguf_copy\n"
        "data = gguf_copy._data\n"
        "def ended(*arguments):\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
        "    return data(*arguments)\n"
        "gguf_copy._data = ended\n"
        "cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, "quantize", "demo", tmp_path / "q", "Q8_0"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        # a terminal's default, which the process that runs the tests may have changed
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    assert (done.returncode, done.stdout) == (status, "")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@posix
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_the_command_works_with_closed_streams(closed: str, babble_model: Path) -> None:
    words = f"{sys.executable} -P -m llamacy run {babble_model} --chat ba -n 2 -v"
    done = subprocess.run(
        ["sh", "-c", f"{words} {closed}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0
    assert "tokens/s" not in done.stdout
    assert "error" not in done.stderr
