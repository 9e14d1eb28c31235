"""Use one model from eight threads in every possible way: nothing changes or grows.

    python bench/soak.py MODEL [--minutes 60] [--ctx 1024] [--seed 0] [--json FILE]

The greedy texts of some prompts are first computed alone, with and without random LoRA
adapters. Then each thread does one randomly chosen thing after another, which may be to
change the adapters, and compares every greedy text with the one computed alone. Ends
with status 1, and the first traceback, if a text differed or a call failed. The reader
must judge the memory: it should be flat once all threads have warmed up.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
from known import Known, Mismatch
from random_adapter import write_random_adapter
from uses import Uses

import llamacy

N_THREADS = 8
SAMPLE_SECONDS = 30


class Soak:
    """Threads that use a model until a deadline, and their counts."""

    def __init__(self, known: Known, seed: int, seconds: float) -> None:
        self.calls: Counter[str] = Counter()
        self.mismatches: list[str] = []
        self.errors: list[str] = []
        self.rss: list[tuple[float, int]] = []
        self._began = time.monotonic()
        self._seconds = seconds
        self._lock = threading.Lock()
        self._turns = known.turns
        self._threads = [
            threading.Thread(target=self._loop, args=[Uses(known, seed + i)])
            for i in range(N_THREADS)
        ]

    def run(self) -> None:
        """Run all threads to their ends, and record the memory meanwhile."""
        for thread in self._threads:
            thread.start()
        while (passed := time.monotonic() - self._began) < self._seconds:
            time.sleep(min(SAMPLE_SECONDS, self._seconds - passed))
            self.rss.append((time.monotonic() - self._began, resident()))
            print(f"{self.rss[-1][0]:6.0f} s {resident() >> 10} KiB", flush=True)
        for thread in self._threads:
            thread.join()

    def report(self) -> dict[str, Any]:
        """Return the numbers of calls, the failures, and the memory over time."""
        marks = [60.0, *range(600, int(self._seconds), 600), self._seconds]
        return {
            "threads": N_THREADS,
            "seconds": self._seconds,
            "calls": dict(sorted(self.calls.items())),
            "mismatches": self.mismatches,
            "errors": self.errors,
            "rss": {
                f"{mark / 60:g} min": min(self.rss, key=lambda one: abs(one[0] - mark))[
                    1
                ]
                for mark in marks
            },
        }

    def _loop(self, uses: Uses) -> None:
        while time.monotonic() - self._began < self._seconds:
            use = uses.rng.choice(uses.all())
            kind, _, name = use.__name__.partition("_")
            turn = self._turns.alone if kind == "alone" else self._turns.shared
            found, told = None, ""
            try:
                with turn():
                    use(uses.rng.choice(uses.known.prompts))
            except Exception as error:
                is_mismatch = isinstance(error, Mismatch)
                found = self.mismatches if is_mismatch else self.errors
                told = traceback.format_exc()
            with self._lock:
                self.calls[name] += 1
                if found is not None:
                    found.append(f"{name}: {told}")
        uses.close()


def resident() -> int:
    """Return this process's resident memory in bytes."""
    return int(psutil.Process().memory_info().rss)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Eight threads use one model.")
    parser.add_argument("model", metavar="MODEL", help="a GGUF file")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--ctx", type=int, metavar="N", help="tokens of a text")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", metavar="FILE", help="write the results here too")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    model = llamacy.load(options.model, n_ctx=options.ctx)
    with tempfile.TemporaryDirectory() as folder:
        paths = [write_random_adapter(model, Path(folder), seed) for seed in range(2)]
        adapters = {"none": None, "one": paths[0], "both": [(paths[0], 0.5), paths[1]]}
        known = Known(model, random.Random(options.seed), adapters)
        soak = Soak(known, options.seed, 60 * options.minutes)
        before = resident()
        soak.run()
    report = soak.report() | {"model": Path(options.model).name, "rss_before": before}
    gc.collect()
    report["pages_cached"] = model.executor.n_pages_used
    model.close()
    gc.collect()
    report["pages_after_close"] = model.executor.n_pages_used
    report["rss_after_close"] = resident()
    print(json.dumps(report, indent=1))
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n")
    if failures := soak.mismatches + soak.errors:
        sys.exit(failures[0])


if __name__ == "__main__":
    main()
