"""How fast texts become vectors: llamacy beside other libraries, in turn.

    python bench/embeddings.py FOLDER [--gguf FILE] [--onnx FILE] [-r 5] [-t THREADS]
                               [--peer-python PYTHON]

FOLDER is a sentence-transformers model, which llamacy reads as sentence-transformers
does. `--gguf` is the same model for llamacy and llama.cpp, `--onnx` (made by
`export_onnx.py`) for onnxruntime. Peers that PYTHON cannot import are left out.

Three kinds of work: 1,000 texts of 8 to 40 words, 100 of 400 words, and one of 12
words. Each library is a process that keeps its model loaded; every round measures
all of them once. Texts are random words, so that all have to be read.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import sleep
from typing import Any

HERE = Path(__file__).parent
ENGINE = HERE / "engines" / "embedders.py"
PAUSE_SECONDS = 0.4  # OpenMP's threads go on spinning after their work
MODULES = {
    "sentence-transformers": "sentence_transformers",
    "onnxruntime": "onnxruntime",
    "llama.cpp": "llama_cpp",
}


class Library:
    """A process that embeds what it is told to, and says how long it took."""

    def __init__(self, name: str, python: str, model: str, *rest: str) -> None:
        self._process = subprocess.Popen(
            [python, str(ENGINE), name, model, *rest],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.version: str = self._answer()

    def seconds(self, texts: list[str]) -> float:
        """Embed texts, when all cores are quiet."""
        assert self._process.stdin is not None
        sleep(PAUSE_SECONDS)
        print(json.dumps(texts), file=self._process.stdin, flush=True)
        return float(self._answer())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{self._process.args} ended with {self._process.wait()}")
        return json.loads(line)


def works() -> dict[str, list[str]]:
    """Make the texts of each kind of work, the same ones every time."""
    found = {
        word
        for path in (HERE / "texts").glob("*/*.txt")
        for word in re.findall(r"[a-z]+", path.read_text("utf-8").lower())
    }
    words, chance = sorted(found), random.Random(0)

    def text(n_words: int) -> str:
        return " ".join(chance.choices(words, k=n_words))

    return {
        "1,000 texts of 8 to 40 words": [
            text(chance.randint(8, 40)) for _ in range(1000)
        ],
        "100 texts of 400 words": [text(400) for _ in range(100)],
        "one text of 12 words": [text(12)],
    }


def start(options: argparse.Namespace) -> dict[str, Library]:
    """Start all libraries that are there, llamacy on either form of the model."""
    onnx, threads = options.onnx or "", str(options.threads)
    started = {"llamacy": ("llamacy", sys.executable, options.folder)}
    for path in options.gguf:
        started[f"llamacy {Path(path).stem}"] = "llamacy", sys.executable, path
    python = options.peer_python
    for name, module in MODULES.items() if python else ():
        if name == "onnxruntime" and not onnx:
            continue
        asked = [python, "-c", f"import {module}"]
        if subprocess.run(asked, capture_output=True).returncode:
            print(f"without {name}: {python} cannot import it", file=sys.stderr)
        elif name == "llama.cpp":
            for path in options.gguf:
                started[f"{name} {Path(path).stem}"] = name, python, path
        else:
            started[name] = name, python, options.folder
    return {
        name: Library(*arguments, onnx, threads) for name, arguments in started.items()
    }


def main() -> None:
    """Run as a command."""
    parser = argparse.ArgumentParser(description="Vectors of texts, in turn.")
    parser.add_argument("folder", metavar="FOLDER")
    parser.add_argument("--gguf", action="append", default=[], metavar="FILE")
    parser.add_argument("--onnx", metavar="FILE")
    parser.add_argument("-r", "--repetitions", type=int, default=5, metavar="N")
    parser.add_argument("-t", "--threads", type=int, default=2, metavar="N")
    parser.add_argument("--peer-python", metavar="PYTHON")
    options = parser.parse_args()
    libraries = start(options)
    for name, library in libraries.items():
        print(f"{name}: {library.version}")
    for work, texts in works().items():
        times: dict[str, list[float]] = {name: [] for name in libraries}
        for library in libraries.values():
            library.seconds(texts)  # once to warm up
        for _ in range(options.repetitions):
            for name, library in libraries.items():
                times[name].append(library.seconds(texts))
        print(
            f"\n{work}, {options.threads} threads, medians of {len(times['llamacy'])}"
        )
        for name, each in times.items():
            ratio = median(each) / median(times["llamacy"])
            print(
                f"  {name:28} {1000 * median(each):10.1f} ms "
                f"({1000 * min(each):.1f} to {1000 * max(each):.1f}), "
                f"{ratio:.2f} times llamacy's",
                flush=True,
            )
    for library in libraries.values():
        library.close()


if __name__ == "__main__":
    main()
