"""llamacy and its peers on the same models, in turn.

    python bench/peers.py MODEL... [-p 512] [-n 64] [-d 0] [-r 5] [-t THREADS]
                          [--peer-python PYTHON] [--transformers-python PYTHON]
                          [--note TEXT] [--json FILE]

Peers are llama-cpp-python, and transformers on PyTorch with random bfloat16 weights of
the model's shape; each may live in an environment of its own. A peer that is not
installed is left out, and so is transformers for mixtures of experts. Each engine is a
process that keeps its model loaded, and sleeps while another one works. Every round
measures all engines once, so that a drift of the machine's speed affects all of them
alike. The models of all engines are in memory together.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from engines.process import EngineProcess

# name in the results: (module in engines/, its imports, option for its Python)
PEERS = {
    "llama-cpp-python": ("llama_cpp", "llama_cpp", "peer_python"),
    "transformers bf16": ("transformers", "torch, transformers", "transformers_python"),
}

# Engines that get random weights in the shape of a LLaMA, which has no experts.
DENSE_ONLY = {"transformers bf16"}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="llamacy beside its peers.")
    parser.add_argument("models", nargs="+", metavar="MODEL", help="a GGUF file")
    add = parser.add_argument
    add("-p", "--n-prompt", type=int, default=512, metavar="N", help="0: no prompt")
    add("-n", "--n-gen", type=int, default=64, metavar="N", help="0: no generating")
    add("-d", "--depth", type=int, default=0, metavar="N", help="context before each")
    add("-r", "--repetitions", type=int, default=5, metavar="N")
    add("-t", "--threads", type=int, default=0, metavar="N")
    add("--peer-python", metavar="PYTHON", help="has llama-cpp-python")
    add("--transformers-python", metavar="PYTHON", help="has transformers and torch")
    add("--note", default="", help="about the machine and the builds, for the reader")
    add("--json", metavar="FILE", help="write the results here too")
    return parser.parse_args()


def interpreters(options: argparse.Namespace) -> dict[str, tuple[str, str]]:
    """Find the engines that are installed: name -> module in engines/, interpreter."""
    found = {"llamacy": ("llamacy", sys.executable)}
    for name, (engine, imported, option) in PEERS.items():
        given = getattr(options, option)
        python = given or sys.executable
        command = [python, "-c", f"import {imported}"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0:
            found[name] = engine, python
        elif given:
            sys.exit(f"{python} cannot import {imported}:\n{done.stderr}")
        else:
            print(f"without {name}: it is not installed here", file=sys.stderr)
    return found


def read_shape(path: str) -> dict[str, Any]:
    """Read the sizes of a file's model, for engines that cannot read the file."""
    from llamacy.formats.gguf.config import read_config
    from llamacy.formats.gguf.file import open_gguf

    with open_gguf(path) as file:
        return {
            **asdict(read_config(file)),
            "tied": "output.weight" not in file.tensors,
        }


def compare(
    path: str,
    found: dict[str, tuple[str, str]],
    options: argparse.Namespace,
    versions: dict[str, str],
) -> Iterator[dict[str, Any]]:
    """Measure all engines on one model; yield a row for each test and engine.

    Adds the versions that the engines report to `versions`.
    """
    shape = read_shape(path)
    wanted = options.depth + max(options.n_prompt, options.n_gen)
    if wanted > (n_ctx := shape["n_ctx_train"]):
        sys.exit(f"{path}: wanted a context of {wanted} tokens, found {n_ctx}")
    sizes = {"n_threads": options.threads, "depth": options.depth}
    job = {"path": path, "shape": shape, **sizes}
    engines = {
        name: EngineProcess(engine, python, job)
        for name, (engine, python) in found.items()
        if not (shape["experts"] and name in DENSE_ONLY)
    }
    for engine in engines.values():
        versions |= engine.versions
    for test, n_tokens in (("pp", options.n_prompt), ("tg", options.n_gen)):
        if not n_tokens:
            continue
        rates = take_turns(engines, test, n_tokens, options.repetitions)
        for name in engines:
            yield {
                "model": Path(path).stem,
                "engine": name,
                "test": f"{test}{n_tokens}",
                "depth": options.depth,
                "tokens_per_second": median(rates[name]),
                "repetitions": rates[name],
            }
    for engine in engines.values():
        engine.close()


def take_turns(
    engines: dict[str, EngineProcess], test: str, n_tokens: int, repetitions: int
) -> dict[str, list[float]]:
    """Measure each engine once a round; return the tokens per second of each."""
    rates: dict[str, list[float]] = {name: [] for name in engines}
    for engine in engines.values():  # once to warm up
        engine.seconds(test, n_tokens)
    for _ in range(repetitions):
        for name, engine in engines.items():
            rates[name].append(n_tokens / engine.seconds(test, n_tokens))
    return rates


def main() -> None:
    """Run as a command."""
    options = arguments()
    from llamacy import kernels
    from llamacy.system.cpu_names import cpu_name
    from llamacy.system.threads import default_threads

    options.threads = options.threads or default_threads()
    found = interpreters(options)
    versions: dict[str, str] = {}
    rows = []
    for path in options.models:
        for row in compare(path, found, options, versions):
            rows.append(row)
            print(
                f"{row['model']:24} {row['engine']:18} {row['test']:>7} "
                f"{row['tokens_per_second']:10.2f} tokens/s "
                f"({min(row['repetitions']):.2f} to {max(row['repetitions']):.2f})",
                flush=True,
            )
    if options.json:
        report = {
            "date": datetime.now(UTC).date().isoformat(),
            "cpu": cpu_name(),
            "isa": kernels.selected().name,
            "n_threads": options.threads,
            "versions": versions,
            "note": options.note,
            "results": rows,
        }
        text = json.dumps(report, indent=1) + "\n"
        Path(options.json).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
