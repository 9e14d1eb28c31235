"""Reading lines at a terminal."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from tests.support.command_process import ENVIRONMENT, posix
from tests.support.pseudo_terminal import Seen

# readline itself waits for the signal, in C, after the prompt and before the keyboard
_LATE = """
import ctypes, readline
from llamacy.cli.terminal_line import read_terminal_line

library = ctypes.CDLL(getattr(readline, "__file__", None))
hook = ctypes.c_void_p.in_dll(library, "rl_pre_input_hook")
hook.value = ctypes.cast(ctypes.CDLL(None).pause, ctypes.c_void_p).value
try:
    print("found", read_terminal_line(">>> "))
except KeyboardInterrupt:
    print("interrupted", flush=True)
hook.value = None
print("found", read_terminal_line(">>> "))
"""


@posix
def test_ctrl_c_between_prompt_and_waiting_interrupts_the_reading() -> None:
    import pty

    if "GNU" not in str(pytest.importorskip("readline").__doc__):
        pytest.skip("libedit has no such hook")
    child, terminal = pty.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        command = [sys.executable, "-P", "-c", _LATE]
        os.execve(command[0], command, ENVIRONMENT)
    seen = Seen(terminal)
    try:
        seen.wait_for(b">>> ")
        os.write(terminal, b"\x03")
        seen.wait_for(b"interrupted")
        seen.wait_for(b">>> ")
        os.write(terminal, b"Hello\n")
        seen.wait_for(b"found Hello")
        seen.wait_for(None)
    finally:
        os.close(terminal)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
