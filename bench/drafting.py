"""How much faster drafts are: texts that repeat their prompts, and texts that do not.

Every model writes the same texts, those of `texts/`: a logits processor gives each
token the largest logit when its turn comes, so that models of random weights can be
measured as well. All else is as in any call of `generate`. Each text is generated
without drafts and with them, in turns.

With `--natural` models write as many tokens of their own, greedily. Then
`--peer-python` adds llama-server (xllamacpp), without drafts and with `--peer-drafts`.

    python bench/drafting.py model.gguf [-r 5] [--threads 2]
    python bench/drafting.py model.gguf --natural --peer-python PYTHON
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
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
        CPU time of the whole call; 0 where it is not known.
    n_drafted, n_accepted : int
        Drafted tokens, and the number of these that were right.
    """

    seconds: float
    cpu_seconds: float = 0.0
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

    def run(self, task: Task, *, drafting: bool, natural: bool) -> Run:
        tokens, started = task.answer, time.process_time()
        if natural:
            no_end = dict.fromkeys(self._model.tokenizer.eog_ids, -math.inf)
            options: dict[str, Any] = {"logit_bias": no_end}
        else:
            options = {"logits_processors": forcing(tokens)}
        done = self._model.generate(
            task.prompt,
            max_tokens=len(tokens),
            temperature=0,
            drafting=drafting,
            **options,
        )
        if not natural and done.tokens != tokens:
            raise SystemExit(f"{task.name}: another text was generated")
        return Run(
            done.timings.generation_seconds,
            time.process_time() - started,
            done.usage.drafted_tokens,
            done.usage.accepted_tokens,
        )


class Peer:
    """llama-server with a kind of drafts, in a process of its own."""

    def __init__(self, python: str, path: str, n_threads: int, drafts: str) -> None:
        engine = Path(__file__).parent / "engines" / "llama_server_drafting.py"
        self._process = subprocess.Popen(
            [python, str(engine), path, str(n_threads), drafts],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self, task: Task) -> Run:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        print(json.dumps([task.prompt, len(task.answer)]), file=stdin, flush=True)
        return Run(json.loads(stdout.readline()))

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
            peer, best = runs["peer"], runs["peer drafted"]
            self._note(task, "peer drafted/peer", peer.seconds / best.seconds)
            self._note(task, "drafted/peer drafted", best.seconds / drafted.seconds)

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
    run_ours = partial(ours.run, natural=options.natural)
    ways: dict[str, Callable[[Task], Run]] = {
        "plain": partial(run_ours, drafting=False),
        "drafted": partial(run_ours, drafting=True),
    }
    peers = {}
    if options.natural and options.peer_python:
        for name, drafts in (("peer", "NONE"), ("peer drafted", options.peer_drafts)):
            peers[name] = Peer(options.peer_python, path, options.threads, drafts)
    ways |= {name: peer.run for name, peer in peers.items()}
    for task in tasks(ours.encode, options.texts):
        runs: dict[str, list[Run]] = {way: [] for way in ways}
        for _ in range(options.repetitions):
            for way, run in ways.items():
                runs[way].append(run(task))
        report.add(task, {way: min(each) for way, each in runs.items()})
    for peer in peers.values():
        peer.close()
    report.end()


def main() -> None:
    """Measure all models that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="+")
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("-r", "--repetitions", type=int, default=5)
    parser.add_argument("--natural", action="store_true", help="force no texts")
    parser.add_argument("--peer-python", help="where xllamacpp is installed")
    parser.add_argument(
        "--peer-drafts",
        default="NGRAM_SIMPLE",
        help="NGRAM_MOD, for example: llama.cpp's types of speculation",
    )
    parser.add_argument("--texts", type=Path, default=TEXTS, help="another folder")
    options = parser.parse_args()
    for path in options.model:
        print(f"\n{path}, {options.threads} threads")
        measure(path, options)


if __name__ == "__main__":
    main()
