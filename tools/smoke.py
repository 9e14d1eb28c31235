"""Try an installed llamacy in seconds: choose a level, load a model, generate.

The model is the one random_model.py writes, so nothing is downloaded.

    python tools/smoke.py [--expect LEVEL]     LEVEL: what must be chosen

Needs the package ``gguf``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile

import random_model

import llamacy
from llamacy import kernels

N_TOKENS = 24
PROMPT = "Once upon a time"


def main() -> None:
    """Run as a command; the exit status tells whether all is well."""
    parser = argparse.ArgumentParser(description="Try an installed llamacy.")
    parser.add_argument("--expect", metavar="LEVEL", help="level that must be chosen")
    expected = parser.parse_args().expect
    chosen = kernels.selected().name
    print(f"{os.path.dirname(llamacy.__file__)}: {chosen} ({kernels.reason()})")
    if expected not in (None, chosen):
        sys.exit(f"chose level {chosen}, not {expected}")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "babble.gguf")
        random_model.write(path)
        with llamacy.load(path) as model:
            done = model.generate(PROMPT, max_tokens=N_TOKENS, temperature=0.0)
            pieces = model.stream(PROMPT, max_tokens=N_TOKENS, temperature=0.0)
            streamed = "".join(piece.text for piece in pieces)
    print(done.text)
    if len(done.tokens) != N_TOKENS or streamed != done.text:
        sys.exit(f"wrong text: {done!r}, streamed {streamed!r}")


if __name__ == "__main__":
    main()
