"""A model file of random weights in the shape of a real model, to measure speed with.

    python bench/random_model.py gemma4-e2b Q4_K_M gemma4-e2b.gguf [--layers 10]

Speed depends on the shapes of the weights, not on their values. The file has a
vocabulary of invented words, and llama.cpp loads it too. Fewer layers make a smaller
file, whose layers are like those of the real model.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from random_models.encoder_shapes import ENCODER_SHAPES
from random_models.shapes import SHAPES
from random_models.vocabulary import LEAST
from random_models.writing import write_random_model

from llamacy import LlamacyError
from llamacy.ggml.file_types import FILE_TYPES

ALL = SHAPES | ENCODER_SHAPES


def arguments() -> argparse.Namespace:
    """Read the command line."""
    text, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=text,
        epilog=more.split("\n\n", 1)[1],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("shape", choices=ALL, metavar="SHAPE", help=f"one of {', '.join(ALL)}")
    add("type", metavar="TYPE", help=f"one of {', '.join(FILE_TYPES)}")
    add("path", metavar="FILE", type=Path, help="the GGUF file to write")
    add("--layers", type=int, metavar="N", help="by default the real model's")
    add("--vocab", type=int, metavar="N", help="tokens; by default the real model's")
    add("--seed", type=int, default=0, metavar="N", help="of the weights")
    options = parser.parse_args()
    if options.vocab is not None and options.vocab < LEAST:
        parser.error(f"--vocab: wanted at least {LEAST}, found {options.vocab}")
    if options.layers is not None and options.layers < 1:
        parser.error(f"--layers: wanted at least 1, found {options.layers}")
    return options


def main() -> None:
    """Run as a command."""
    options = arguments()
    try:
        write_random_model(
            ALL[options.shape],
            options.path,
            options.type,
            n_layer=options.layers,
            n_vocab=options.vocab,
            seed=options.seed,
        )
    except LlamacyError as error:
        sys.exit(str(error))
    print(f"{options.path}: {options.path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
