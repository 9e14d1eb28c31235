"""Runs one target in Python under atheris, for a number of CPU seconds.

python -m fuzz.engine TARGET SECONDS [libFuzzer's arguments]
"""

from __future__ import annotations

import importlib
import logging
import resource
import signal
import sys
import time
from typing import Any

import atheris

from . import files
from .documents import Mutator, document_of

HANG = 5  # seconds that an input may take
GROWTH = 256  # MiB that inputs may take
LONGEST = 1 << 13  # bytes of an input, whose double hardly counts beside GROWTH
_INSTRUMENTED = ["llamacy", "jinja2"]


def fuzz(name: str, seconds: float, arguments: list[str]) -> None:
    """Run a target until its time is over or an input fails; does not return."""
    module: Any = importlib.import_module(f".targets.{name}", __package__)
    logging.disable()
    seeds: list[bytes] = module.seeds()
    module.run(seeds[0])  # what is loaded once belongs to no input

    def one_input(data: bytes) -> None:
        module.run(data)
        if seconds and time.process_time() > seconds:
            # libFuzzer handles it: it prints its figures and ends the process
            signal.raise_signal(signal.SIGUSR1)

    corpus = files.scratch()
    for i, seed in enumerate(seeds):
        (corpus / f"seed-{i}").write_bytes(seed)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    options = [f"-timeout={HANG}", f"-rss_limit_mb={used + GROWTH}"]
    options += [f"-max_len={LONGEST}", "-print_final_stats=1", "-len_control=0"]
    inputs = (
        [] if any(not each.startswith("-") for each in arguments) else [str(corpus)]
    )
    # bytes that no document describes are libFuzzer's to change
    custom = {"custom_mutator": Mutator(seeds)} if any(map(document_of, seeds)) else {}
    atheris.Setup([sys.argv[0], *options, *arguments, *inputs], one_input, **custom)
    atheris.Fuzz()


def main() -> None:
    """Run as a command."""
    name, seconds, *arguments = sys.argv[1:]
    with atheris.instrument_imports(include=_INSTRUMENTED):
        fuzz(name, float(seconds), arguments)


if __name__ == "__main__":
    main()
