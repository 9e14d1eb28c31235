"""llamacy and llama-cpp-python on the same files, in turn.

    python bench/peers.py MODEL... [-p 512] [-n 64] [-r 5] [-t THREADS]
                          [--peer-python PYTHON] [--json FILE]

Each engine is a process of its own that keeps its model loaded and sleeps while the
other one works. They are asked in turn, prompt and generation, so that a machine whose
speed drifts is fair to both. Without llama-cpp-python, llamacy is measured alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

N_BATCH = 512

Work = Callable[[list[int]], None]


# In the engines' processes.


def llamacy_engine(path: str, n_threads: int) -> tuple[int, Work, Work, str]:
    """Load llamacy: size of the vocabulary, reading, generating, what it is."""
    import llamacy
    from llamacy import kernels
    from llamacy.cli.bench import generate, read_prompt

    model = llamacy.load(path, n_threads=n_threads)
    return (
        model.config.n_vocab,
        lambda tokens: read_prompt(model.executor, tokens),
        lambda tokens: generate(model.executor, tokens),
        f"llamacy {llamacy.__version__} {kernels.selected().name}",
    )


def llama_cpp_engine(path: str, n_threads: int) -> tuple[int, Work, Work, str]:
    """Load llama-cpp-python, with its defaults but for the sizes."""
    llama_cpp = import_module("llama_cpp")
    model = llama_cpp.Llama(
        path, n_ctx=0, n_batch=N_BATCH, n_threads=n_threads,
        n_threads_batch=n_threads, verbose=False,
    )  # fmt: skip

    def read_prompt(tokens: list[int]) -> None:
        model.reset()
        model.eval(tokens)

    def generate(tokens: list[int]) -> None:
        model.reset()
        for token in tokens:
            model.eval([token])

    name = f"llama-cpp-python {llama_cpp.__version__}"
    return model.n_vocab(), read_prompt, generate, name


ENGINES = {"llamacy": llamacy_engine, "llama_cpp": llama_cpp_engine}


def serve(engine: str, path: str, n_threads: int) -> None:
    """Load a model; for each line [what, n_tokens] of stdin answer the seconds."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not be taken for an answer
    start = perf_counter()
    n_vocab, read_prompt, generate, name = ENGINES[engine](path, n_threads)
    works = {"pp": read_prompt, "tg": generate}
    loaded = {"name": name, "load_seconds": perf_counter() - start}
    print(json.dumps(loaded), file=answers, flush=True)
    for line in sys.stdin:
        what, n_tokens = json.loads(line)
        tokens = np.random.default_rng(0).integers(n_vocab, size=n_tokens).tolist()
        start = perf_counter()
        works[what](tokens)
        print(json.dumps(perf_counter() - start), file=answers, flush=True)


# In the process that asks them.


class Engine:
    """A process with a model loaded, by the name of a function above."""

    def __init__(self, engine: str, python: str, path: str, n_threads: int) -> None:
        self._process = subprocess.Popen(
            [python, __file__, "--serve", engine, path, "-t", str(n_threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        loaded = self._answer()
        self.name: str = loaded["name"]
        self.load_seconds: float = loaded["load_seconds"]

    def seconds(self, what: str, n_tokens: int) -> float:
        """Ask for ``"pp"`` or ``"tg"`` of so many tokens."""
        assert self._process.stdin is not None
        print(json.dumps([what, n_tokens]), file=self._process.stdin, flush=True)
        return float(self._answer())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"an engine ended with status {self._process.wait()}")
        return json.loads(line)


def compare(path: str, pythons: dict[str, str], options: Any) -> list[dict[str, Any]]:
    """Ask all engines in turn; a row each for prompt and generation of each."""
    engines = [
        Engine(engine, python, path, options.threads)
        for engine, python in pythons.items()
    ]
    rows = []
    for what, n_tokens in (("pp", options.n_prompt), ("tg", options.n_gen)):
        if not n_tokens:
            continue
        for engine in engines:  # once to warm up
            engine.seconds(what, n_tokens)
        rounds = [
            [engine.seconds(what, n_tokens) for engine in engines]
            for _ in range(options.repetitions)
        ]
        for engine, seconds in zip(engines, zip(*rounds, strict=True), strict=True):
            rows.append(
                {
                    "model": Path(path).name,
                    "engine": engine.name,
                    "test": f"{what}{n_tokens}",
                    "tokens_per_second": n_tokens / median(seconds),
                    "tokens_per_second_min": n_tokens / max(seconds),
                    "tokens_per_second_max": n_tokens / min(seconds),
                    "load_seconds": engine.load_seconds,
                }
            )
    for engine in engines:
        engine.close()
    return rows


def can_import_peer(python: str) -> bool:
    """Whether llama_cpp is installed for `python`."""
    if python == sys.executable:
        return find_spec("llama_cpp") is not None
    done = subprocess.run([python, "-c", "import llama_cpp"], capture_output=True)
    return done.returncode == 0


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="llamacy beside llama-cpp-python.")
    parser.add_argument("models", nargs="+", metavar="MODEL", help="a GGUF file")
    parser.add_argument("-p", "--n-prompt", type=int, default=512, metavar="N")
    parser.add_argument("-n", "--n-gen", type=int, default=64, metavar="N")
    parser.add_argument("-r", "--repetitions", type=int, default=5, metavar="N")
    parser.add_argument("-t", "--threads", type=int, default=0, metavar="N")
    parser.add_argument("--peer-python", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--json", metavar="FILE", help="write the results here too")
    parser.add_argument("--serve", choices=ENGINES, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Run as a command."""
    options = arguments()
    if options.serve:
        serve(options.serve, options.models[0], options.threads)
        return
    from llamacy.cli.info import cpu_name
    from llamacy.cpu_count import default_threads

    options.threads = options.threads or default_threads()
    pythons = {"llamacy": sys.executable}
    if can_import_peer(options.peer_python):
        pythons["llama_cpp"] = options.peer_python
    else:
        print("llama-cpp-python is not installed: llamacy alone", file=sys.stderr)
    results = []
    for path in options.models:
        for row in compare(path, pythons, options):
            print(
                f"{row['model']:32} {row['engine']:28} {row['test']:>7} "
                f"{row['tokens_per_second']:10.2f} tokens/s "
                f"({row['tokens_per_second_min']:.2f} to "
                f"{row['tokens_per_second_max']:.2f})"
            )
            results.append(row)
    if options.json:
        report = {
            "cpu": cpu_name(),
            "n_threads": options.threads,
            "results": results,
        }
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
