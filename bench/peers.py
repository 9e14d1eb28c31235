"""llamacy and its peers on the same models, in turn.

    python bench/peers.py MODEL... [-p 512] [-n 64] [-d 0] [-r 5] [-t THREADS]
                          [--texts 1,8] [--clients 16] [--ik LLAMA_BENCH]
                          [--peer-python PYTHON] [--transformers-python PYTHON]
                          [--server-python PYTHON] [--note TEXT] [--json FILE]

Peers are llama-cpp-python, and transformers on PyTorch with random bfloat16 weights of
the model's shape; each may live in an environment of its own. A peer that is not
installed is left out, and so is transformers for mixtures of experts. Each engine is a
process that keeps its model loaded, and sleeps while another one works. Every round
measures all engines once, so that a drift of the machine's speed affects all of them
alike. The models of all engines are in memory together.

`--ik` names ik_llama.cpp's `llama-bench`, which loads its model for each measurement.
It is measured as it is, and with weights that it repacks (`-rtr 1`). Prompts after a
context are left out, and several texts too without `llama-batched-bench` beside it.

`--texts` generates that many texts at once, one token of each in a pass. `--clients`
measures llamacy's server and llama-server (xllamacpp) with that many clients, who send
prompts of 120 tokens.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

from engines.llama_bench import LlamaBench
from engines.process import EngineProcess
from served import served_rates

# name in the results: (module in engines/, its imports, option for its Python)
PEERS = {
    "llama-cpp-python": ("llama_cpp", "llama_cpp", "peer_python"),
    "transformers bf16": ("transformers", "torch, transformers", "transformers_python"),
}

IK = {"ik_llama.cpp": False, "ik_llama.cpp -rtr": True}
"""Names in the results: whether weights are repacked."""

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
    add("--texts", type=numbers, default=[1], metavar="N,...", help="at once")
    add("--clients", type=numbers, default=[], metavar="N,...", help="of servers")
    add("--ik", type=program, metavar="LLAMA_BENCH", help="ik_llama.cpp's benchmark")
    add_python = partial(add, type=program, metavar="PYTHON")
    add_python("--server-python", help="has xllamacpp")
    add_python("--peer-python", help="has llama-cpp-python")
    add_python("--transformers-python", help="has transformers and torch")
    add("--note", default="", help="about the machine and the builds, for the reader")
    add("--json", metavar="FILE", help="write the results here too")
    return parser.parse_args()


def numbers(text: str) -> list[int]:
    """Read numbers with commas between."""
    return [int(each) for each in text.split(",")]


def program(text: str) -> str:
    """Find a program; return a path that holds in any folder."""
    found = shutil.which(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"wanted a program, found {text!r}")
    return str(Path(found).absolute())  # a virtual environment's link stays as it is


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
    engines: dict[str, EngineProcess | LlamaBench] = {
        name: EngineProcess(engine, python, job)
        for name, (engine, python) in found.items()
        if not (shape["experts"] and name in DENSE_ONLY)
    }
    if options.ik:
        for name, repacks in IK.items():
            engines[name] = LlamaBench(options.ik, job, repacks=repacks)
    tests = [("pp", options.n_prompt, 1)]
    tests += [("tg", options.n_gen, n_texts) for n_texts in options.texts]
    for test, n_tokens, n_texts in tests:
        if not n_tokens:
            continue
        able = {
            name: engine
            for name, engine in engines.items()
            if engine.measures(test, n_texts)
        }
        repetitions = options.repetitions
        rates = take_turns(able, test, n_tokens, n_texts, repetitions=repetitions)
        for name, own in rates.items():
            together = {"texts": n_texts} if n_texts > 1 else {}
            row = {"model": Path(path).stem, "engine": name, **together}
            yield row | figures(f"{test}{n_tokens}", options.depth, own)
    for engine in engines.values():
        versions |= engine.versions
        engine.close()


def serve(path: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Measure servers on one model; yield a row for each number of clients."""
    for n_clients in options.clients:
        sizes = options.threads, n_clients, options.n_gen, options.repetitions
        rates = served_rates(path, *sizes, options.server_python)
        for name, own in rates.items():
            row = {"model": Path(path).stem, "engine": name, "texts": n_clients}
            yield row | figures(f"sv{options.n_gen}", 0, own)


def figures(test: str, depth: int, rates: list[float]) -> dict[str, Any]:
    """Return the fields of a row that say what was measured, and found."""
    return {
        "test": test,
        "depth": depth,
        "tokens_per_second": median(rates),
        "repetitions": rates,
    }


def take_turns(
    engines: dict[str, EngineProcess | LlamaBench],
    test: str,
    n_tokens: int,
    n_texts: int,
    *,
    repetitions: int,
) -> dict[str, list[float]]:
    """Measure each engine once a round; return the tokens per second of each."""
    rates: dict[str, list[float]] = {name: [] for name in engines}
    for engine in engines.values():  # once to warm up
        if isinstance(engine, EngineProcess):
            engine.seconds(test, n_tokens, n_texts)
    for _ in range(repetitions):
        for name, engine in engines.items():
            seconds = engine.seconds(test, n_tokens, n_texts)
            rates[name].append(n_tokens * n_texts / seconds)
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
        measured = compare(path, found, options, versions)
        for row in chain(measured, serve(path, options)):
            rows.append(row)
            n_texts = f" x{row['texts']}" if "texts" in row else ""
            print(
                f"{row['model']:24} {row['engine']:18} {row['test'] + n_texts:>9} "
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
