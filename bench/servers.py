"""Servers in processes of their own, which end with their `with` block."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

LLAMA_SERVER = Path(__file__).parent / "engines" / "llama_server.py"


class Running:
    """A server that runs.

    Attributes
    ----------
    url : str
        Its address.
    pid : int
        Its process.
    said : list of str
        Its log, without the lines about requests.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        self.pid = process.pid
        self.said: list[str] = []
        self.url = self._address(process.stderr)
        if not self.url:
            sys.exit(f"llamacy serve: {''.join(self.said)}")
        # or the pipe would be full one day
        self._reader = threading.Thread(target=self._read_on, args=[process.stderr])
        self._reader.start()

    def end(self) -> None:
        """Wait until all of the log was read; the process was told to end."""
        self._reader.join()

    def _address(self, log: TextIO) -> str:
        for line in log:
            self.said.append(line)
            if " at http://" in line:
                return line.split()[-1]
        return ""

    def _read_on(self, log: TextIO) -> None:
        self.said += (line for line in log if " req_" not in line)


@contextmanager
def llamacy_server(path: str, *words: object) -> Iterator[Running]:
    """Run `llamacy serve` on a free port, until the block ends.

    Parameters
    ----------
    path : str
        The model, whose name for clients is `m`.
    words : object
        Further words of the command line.
    """
    command = [sys.executable, "-m", "llamacy", "serve", f"m={path}", "--port", "0"]
    with subprocess.Popen(
        [*command, *map(str, words)], stderr=subprocess.PIPE, text=True
    ) as process:
        running = Running(process)
        try:
            yield running
        finally:
            process.terminate()
            running.end()


@contextmanager
def llama_server(python: str, path: str, sizes: Sequence[int]) -> Iterator[str]:
    """Run llama-server on a free port; yield its address.

    Parameters
    ----------
    python : str
        An interpreter that has xllamacpp.
    path : str
        A GGUF file.
    sizes : sequence of int
        Threads, texts at once, and the tokens of each.
    """
    with subprocess.Popen(
        [python, str(LLAMA_SERVER), path, *map(str, sizes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            sys.exit(f"llama-server ended with status {process.wait()}")
        yield address
        process.stdin.close()
