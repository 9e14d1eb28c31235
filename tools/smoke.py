"""Try an installed llamacy in seconds: choose a level, load the demo model, ask it.

python tools/smoke.py [--expect LEVEL]     LEVEL: the one that must be chosen
"""

from __future__ import annotations

import argparse
import os
import sys

import llamacy
from llamacy import kernels

PROMPT = "### Instruction:\nWhat is the capital of France?\n\n### Response:\n"
ANSWER = "Paris"
STORY = "Once upon a time"
N_TOKENS = 24


def main() -> None:
    """Run as a command; the exit status tells whether all is well."""
    parser = argparse.ArgumentParser(description="Try an installed llamacy.")
    parser.add_argument("--expect", metavar="LEVEL", help="level that must be chosen")
    expected = parser.parse_args().expect
    chosen = kernels.selected().name
    print(f"{os.path.dirname(llamacy.__file__)}: {chosen} ({kernels.reason()})")
    if expected not in (None, chosen):
        sys.exit(f"chose level {chosen}, not {expected}")
    with llamacy.load("demo") as model:
        answer = model.generate(PROMPT, max_tokens=N_TOKENS, temperature=0)
        done = model.generate(STORY, max_tokens=N_TOKENS, temperature=0)
        pieces = model.stream(STORY, max_tokens=N_TOKENS, temperature=0)
        streamed = "".join(piece.text for piece in pieces)
    print(STORY + done.text)
    if answer.text != ANSWER:
        sys.exit(f"wrong answer: {answer!r}, wanted {ANSWER!r}")
    if len(done.tokens) != N_TOKENS or streamed != done.text:
        sys.exit(f"wrong text: {done!r}, streamed {streamed!r}")


if __name__ == "__main__":
    main()
