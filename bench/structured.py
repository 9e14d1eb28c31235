"""How fast JSON of fixed keys is written, beside free text, and beside llama.cpp.

Objects of 20 keys, once with short texts and once with numbers as values, and as many
tokens of free text, all greedy. Of each round every way has its turn; medians of the
rounds count. A way is told by its time per token after the prompt.

    python bench/structured.py smollm2.gguf [-r 5] [--threads 2]
    python bench/structured.py smollm2.gguf --peer-python PYTHON

PYTHON is one where llama-cpp-python is installed, whose grammars follow the schemas.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import llamacy

PROMPT: Final = "An employee as JSON: "
KEYS: Final = (
    *("first_name", "last_name", "email_address", "phone_number", "street_address"),
    *("postal_code", "city", "country", "birth_date", "job_title", "department"),
    *("employee_id", "manager_name", "start_date", "salary", "currency"),
    *("office_location", "work_schedule", "employment_type", "notes"),
)
VALUES: Final[dict[str, dict[str, Any]]] = {
    "texts": {"type": "string", "maxLength": 12},
    "numbers": {"type": "integer", "minimum": 0, "maximum": 999},
}
N_FREE: Final = 200
"""Tokens of free text."""


def schema(kind: str) -> dict[str, Any]:
    """Return the schema of objects of 20 keys whose values are of a kind."""
    return {
        "type": "object",
        "properties": dict.fromkeys(KEYS, VALUES[kind]),
        "required": list(KEYS),
        "additionalProperties": False,
    }


class Run(NamedTuple):
    """One text that was generated.

    Attributes
    ----------
    n_tokens : int
        Its tokens after those that the prompt's pass has led to.
    seconds : float
        The time that these took.
    text : str
        The whole text.
    """

    n_tokens: int
    seconds: float
    text: str


class Ours:
    """llamacy, with its defaults or without drafts."""

    def __init__(self, path: str, n_threads: int) -> None:
        self._model = llamacy.load(path, n_threads=n_threads, prompt_cache=0)
        no_end = dict.fromkeys(self._model.tokenizer.eog_ids, -math.inf)
        self._free: dict[str, Any] = {"max_tokens": N_FREE, "logit_bias": no_end}

    def run(self, kind: str | None, *, drafting: bool) -> Run:
        """Generate an object of a kind, or else free text."""
        options = {"json_schema": schema(kind), "max_tokens": 1500} if kind else None
        done = self._model.generate(
            PROMPT, temperature=0, drafting=drafting, **(options or self._free)
        )
        timings = done.timings
        return Run(timings.n_generated, timings.generation_seconds, done.text)


class Peer:
    """llama-cpp-python in a process of its own."""

    def __init__(self, python: str, path: str, n_threads: int) -> None:
        engine = Path(__file__).parent / "engines" / "llama_cpp_structured.py"
        self._process = subprocess.Popen(
            [python, str(engine), path, str(n_threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self, kind: str | None) -> Run:
        """Generate an object of a kind, or else free text."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        task = [PROMPT, schema(kind) if kind else None, N_FREE]
        print(json.dumps(task), file=stdin, flush=True)
        return Run(*json.loads(stdout.readline()))

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def check(kind: str | None, run: Run) -> None:
    """Check that a text is what was asked for."""
    if kind is None:
        return
    value = json.loads(run.text)
    kinds = {"texts": str, "numbers": int}
    if list(value) != list(KEYS) or not all(
        isinstance(one, kinds[kind]) for one in value.values()
    ):
        raise SystemExit(f"{kind}: another text was generated: {run.text}")


def measure(path: str, options: argparse.Namespace) -> None:
    """Let every way generate in turns, and report its median time per token."""
    ours = Ours(path, options.threads)
    ways: dict[str, Callable[[str | None], Run]] = {
        "llamacy": lambda kind: ours.run(kind, drafting=True),
        "llamacy, no drafts": lambda kind: ours.run(kind, drafting=False),
    }
    peer = None
    if options.peer_python:
        peer = Peer(options.peer_python, path, options.threads)
        ways["llama.cpp"] = peer.run
    kinds = (None, *VALUES)
    runs: dict[tuple[str, str | None], list[Run]] = {}
    for i in range(1 + options.repetitions):
        for way, run in ways.items():
            for kind in kinds:
                done = run(kind)
                check(kind, done)
                if i:  # the first round compiles schemas
                    runs.setdefault((way, kind), []).append(done)
    if peer is not None:
        peer.close()
    report(runs)


def report(runs: dict[tuple[str, str | None], list[Run]]) -> None:
    """Print medians, and how much faster than free text and than the peer they are."""
    per_token = {
        key: median(run.seconds / run.n_tokens for run in each)
        for key, each in runs.items()
    }
    free = per_token["llamacy, no drafts", None]
    for (way, kind), seconds in per_token.items():
        line = f"{way:20}{kind or 'free text':10}{runs[way, kind][0].n_tokens:5} tokens"
        line += f" {1e3 * seconds:7.2f} ms a token"
        if kind and way.startswith("llamacy"):
            line += f", {free / seconds:.2f} times free text"
            if beside := per_token.get(("llama.cpp", kind)):
                line += f", {beside / seconds:.2f} times llama.cpp"
        print(line, flush=True)


def main() -> None:
    """Measure all models that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="+")
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("-r", "--repetitions", type=int, default=5)
    parser.add_argument("--peer-python", help="where llama-cpp-python is installed")
    options = parser.parse_args()
    for path in options.model:
        print(f"\n{path}, {options.threads} threads")
        measure(path, options)


if __name__ == "__main__":
    main()
