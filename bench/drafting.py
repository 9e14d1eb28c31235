"""How much faster drafts are: texts that repeat their prompts, and texts that do not.

Every model writes the same texts, those of `texts/`: a logits processor gives each
token the largest logit when its turn comes, so that models of random weights can be
measured as well. All else is as in any call of `generate`. Each text is generated
without drafts and with them, in turns, and `--peer-python` adds llama-cpp-python with
its prompt lookup.

    python bench/drafting.py model.gguf [-r 5] [--threads 2] [--peer-python PYTHON]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import geometric_mean
from typing import Any, NamedTuple

import llamacy

TEXTS = Path(__file__).parent / "texts"
MARK = "\n=== answer ===\n"


class Task(NamedTuple):
    """A text to generate.

    Attributes
    ----------
    kind : {"grounded", "free"}
        Whether it repeats much of its prompt.
    name : str
        Its file's name.
    prompt, answer : list of int
        Token ids.
    """

    kind: str
    name: str
    prompt: list[int]
    answer: list[int]


class Run(NamedTuple):
    """One text that was generated.

    Attributes
    ----------
    seconds : float
        Time after the prompt was read.
    cpu_seconds : float
        CPU time of the whole call.
    n_drafted, n_accepted : int
        Drafted tokens, and how many of them were right.
    """

    seconds: float
    cpu_seconds: float
    n_drafted: int = 0
    n_accepted: int = 0


def tasks(
    encode: Callable[[str, bool], list[int]], folder: Path = TEXTS
) -> Iterator[Task]:
    """Yield the texts of a folder; `encode` is told whether nothing comes before."""
    for path in sorted(folder.glob("*/*.txt")):
        prompt, answer = path.read_text("utf-8").split(MARK)
        asked = f"### User:\n{prompt.strip()}\n### Answer:\n"
        yield Task(
            path.parent.name, path.stem, encode(asked, True), encode(answer, False)
        )


def forcing(tokens: list[int]) -> Callable[[Any, Any], Any]:
    """Return a logits processor that makes a model generate `tokens`."""
    following = iter(tokens)

    def force(_: Any, logits: Any) -> Any:
        logits[next(following)] = 1e9
        return logits

    return force


class Ours:
    """llamacy, drafting or not."""

    def __init__(self, path: str, n_threads: int) -> None:
        self._model = llamacy.load(path, n_threads=n_threads, prompt_cache=0)

    def encode(self, text: str, begins: bool) -> list[int]:
        return self._model.tokenizer.encode(
            text, add_bos=None if begins else False, continues=not begins
        )

    def run(self, task: Task, *, drafting: bool) -> Run:
        started = time.process_time()
        done = self._model.generate(
            task.prompt,
            max_tokens=len(task.answer),
            temperature=0,
            logits_processors=forcing(task.answer),
            drafting=drafting,
        )
        if done.tokens != task.answer:
            raise SystemExit(f"{task.name}: another text was generated")
        return Run(
            done.timings.generation_seconds,
            time.process_time() - started,
            done.usage.drafted_tokens,
            done.usage.accepted_tokens,
        )


class Peer:
    """llama-cpp-python with its prompt lookup, in a process of its own."""

    def __init__(self, python: str, path: str, n_threads: int) -> None:
        engine = Path(__file__).parent / "engines" / "llama_cpp_drafting.py"
        self._process = subprocess.Popen(
            [python, str(engine), path, str(n_threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, task: Task) -> Run:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        print(json.dumps([task.prompt, task.answer]), file=stdin, flush=True)
        return Run(*json.loads(stdout.readline()))

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class Report:
    """Prints a line for each text, and the means of both kinds of them."""

    def __init__(self) -> None:
        self._ratios: dict[tuple[str, str], list[float]] = {}

    def add(self, task: Task, runs: dict[str, Run]) -> None:
        """Print the fastest runs of a text, by the ways to generate it."""
        plain, drafted = runs["plain"], runs["drafted"]
        n = len(task.answer)
        rates = "".join(f" {way} {n / run.seconds:6.1f}" for way, run in runs.items())
        print(
            f"{task.kind:9}{task.name:18}{n:5} tokens, tokens/s:{rates}  "
            f"{drafted.n_accepted} of {drafted.n_drafted} drafted tokens",
            flush=True,
        )
        by_cpu = plain.cpu_seconds / drafted.cpu_seconds
        self._note(task, "drafted/plain", plain.seconds / drafted.seconds)
        self._note(task, "drafted/plain by CPU time", by_cpu)
        if "peer" in runs:
            peer = runs["peer"]
            self._note(task, "peer/plain", plain.seconds / peer.seconds)
            self._note(task, "drafted/peer", peer.seconds / drafted.seconds)

    def end(self) -> None:
        """Print the means."""
        for (kind, name), ratios in sorted(self._ratios.items()):
            mean, least = geometric_mean(ratios), min(ratios)
            print(f"{kind:9}{name}: {mean:.2f} times, at least {least:.2f}")

    def _note(self, task: Task, name: str, ratio: float) -> None:
        self._ratios.setdefault((task.kind, name), []).append(ratio)


def measure(path: str, options: argparse.Namespace) -> None:
    """Generate each text in every way, in turns, and report the fastest runs."""
    ours, report = Ours(path, options.threads), Report()
    ways: dict[str, Callable[[Task], Run]] = {
        "plain": lambda task: ours.run(task, drafting=False),
        "drafted": lambda task: ours.run(task, drafting=True),
    }
    peer = None
    if options.peer_python:
        peer = Peer(options.peer_python, path, options.threads)
        ways["peer"] = peer.run
    for task in tasks(ours.encode, options.texts):
        runs: dict[str, list[Run]] = {way: [] for way in ways}
        for _ in range(options.repetitions):
            for way, run in ways.items():
                runs[way].append(run(task))
        report.add(task, {way: min(each) for way, each in runs.items()})
    if peer is not None:
        peer.close()
    report.end()


def main() -> None:
    """Measure all models that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="+")
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("-r", "--repetitions", type=int, default=5)
    parser.add_argument("--peer-python", help="where llama-cpp-python is installed")
    parser.add_argument("--texts", type=Path, default=TEXTS, help="another folder")
    options = parser.parse_args()
    for path in options.model:
        print(f"\n{path}, {options.threads} threads")
        measure(path, options)


if __name__ == "__main__":
    main()
