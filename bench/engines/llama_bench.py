"""ik_llama.cpp's own benchmarks, run anew for each measurement.

`llama-bench` reads prompts and generates; `llama-batched-bench` beside it generates
several texts at once. Both load the model each time, and warm up before they measure.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# The columns of llama-batched-bench: PP, TG, B, N_KV, T_PP s, S_PP t/s, T_TG s, ...
_LINE = re.compile(r"\|" + r"\s*([\d.]+) \|" * 10)
_SECONDS_OF_TG = 7


class LlamaBench:
    """An engine as `EngineProcess` is, without a process between measurements.

    Parameters
    ----------
    program : str
        The path of ik_llama.cpp's `llama-bench`.
    job : dict
        As for `serve.py`.
    repacks : bool
        Whether weights are repacked as they are loaded (`-rtr`).

    Attributes
    ----------
    versions : dict of str to str
        ik_llama.cpp and its commit; empty until something was measured.
    """

    def __init__(self, program: str, job: dict[str, Any], *, repacks: bool) -> None:
        self.versions: dict[str, str] = {}
        self._program = Path(program)
        self._job = job
        self._repacks = repacks

    def measures(self, test: str, n_texts: int) -> bool:
        """Say whether the programs can do a test."""
        if test == "pp" and self._job["depth"]:
            return False
        return n_texts == 1 or self._batched.exists()

    def seconds(self, test: str, n_tokens: int, n_texts: int = 1) -> float:
        """Measure `"pp"`, or `"tg"` of `n_texts` texts at once."""
        if n_texts > 1:
            return self._seconds_together(n_tokens, n_texts)
        depth = self._job["depth"]
        sizes = {
            "pp": ["-p", n_tokens, "-n", 0],
            "tg": ["-p", 0, "-n", 0, "-gp", f"{depth},{n_tokens}"],
        }
        if not depth:
            sizes["tg"] = ["-p", 0, "-n", n_tokens]
        repack = ["-rtr", int(self._repacks)]
        found = self._run(self._program, *sizes[test], *repack, "-r", 1, "-o", "json")
        (report,) = json.loads(found)
        self.versions = {"ik_llama.cpp": report["build_commit"]}
        return float(report["avg_ns"]) / 1e9

    def close(self) -> None:
        """Do nothing: no process is left."""

    @property
    def _batched(self) -> Path:
        return self._program.with_name("llama-batched-bench")

    def _seconds_together(self, n_tokens: int, n_texts: int) -> float:
        n_prompt = max(self._job["depth"], 1)
        sizes = ["-npp", n_prompt, "-ntg", n_tokens, "-npl", n_texts]
        n_ctx = (n_prompt + n_tokens) * n_texts
        repack = ["-rtr"] if self._repacks else []
        printed = self._run(self._batched, *sizes, "-c", n_ctx, "-ub", 512, *repack)
        line = _LINE.search(printed)
        if line is None:
            sys.exit(f"{self._batched}: wanted a line of results, found\n{printed}")
        return float(line[_SECONDS_OF_TG])

    def _run(self, program: Path, *words: object) -> str:
        threads = ["-t", self._job["n_threads"]]
        command = [program, "-m", Path(self._job["path"]).resolve(), *threads, *words]
        with tempfile.TemporaryDirectory() as folder:  # it may leave a log
            done = subprocess.run(
                list(map(str, command)), capture_output=True, text=True, cwd=folder
            )
        if done.returncode:
            sys.exit(f"{program} ended with status {done.returncode}:\n{done.stderr}")
        return done.stdout
