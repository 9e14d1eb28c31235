"""The parent's side of an engine: a process that sleeps until it is asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from time import sleep
from typing import Any

SERVE = Path(__file__).with_name("serve.py")
# OpenMP's threads go on spinning after their work, libomp's for 0.2 s: they must not
# share the cores with the next engine's.
PAUSE_SECONDS = 0.4


class EngineProcess:
    """`serve.py` for one engine and one model, in the interpreter `python`.

    Attributes
    ----------
    versions : dict of str to str
        The engine's libraries and their versions.
    """

    def __init__(self, engine: str, python: str, job: dict[str, Any]) -> None:
        self._engine = engine
        self._process = subprocess.Popen(
            [python, str(SERVE), engine],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.versions: dict[str, str] = self._ask(job)

    def measures(self, test: str, n_texts: int) -> bool:
        """Say that the engine can do a test: any."""
        return True

    def seconds(self, test: str, n_tokens: int, n_texts: int = 1) -> float:
        """Ask for `"pp"`, or `"tg"` of `n_texts` texts, when all cores are quiet."""
        sleep(PAUSE_SECONDS)
        return float(self._ask([test, n_tokens, n_texts]))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _ask(self, question: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(question), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{self._engine} ended with status {self._process.wait()}")
        return json.loads(line)
