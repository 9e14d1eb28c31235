"""Corrupted files through load, tokenizer and passes: typed errors, or working models.

Each source is mutated in a process of its own, so that a crash fails one test, and the
last seed which that process printed names it. `LLAMACY_MUTANTS` is the number of
mutants of each source.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import byte_level_model
import numpy as np
import pytest
from numpy.typing import NDArray
from random_blocks import FACTORS

import llamacy

N_MUTANTS = int(os.environ.get("LLAMACY_MUTANTS", "100"))
SOURCES = ("stories", "babble", "low_bits", "features")
SCRIPT = Path(__file__).with_name("mutants.py")
# The package under test, in whatever folder the tests run.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(llamacy.__file__).parents[1])}

YARN: dict[str, Any] = {
    "llama.rope.scaling.type": "yarn",
    "llama.rope.scaling.factor": 4.0,
    "llama.rope.scaling.original_context_length": 32,
}


@pytest.fixture(params=SOURCES)
def source(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., dict[str, NDArray[np.float32]]],
) -> Path:
    """A valid file; together the sources use every feature of the format."""
    if request.param == "stories":
        shared: Path = request.getfixturevalue("shared")
        return shared / "models" / "stories260K-Q8_0.gguf"
    if request.param == "babble":
        babble: Path = request.getfixturevalue("babble_model")
        return babble
    path = tmp_path / f"{request.param}.gguf"
    if request.param == "low_bits":
        keys = llama_metadata(embedding_length=256, feed_forward_length=256)
        tensors = random_tensors(byte_level_model.shapes(256, 256))
        byte_level_model.write(path, keys, tensors, tuple(FACTORS))
    else:
        optional = [("rope_freqs.weight", (8,))]
        optional += [("blk.0.attn_q.bias", (64,)), ("blk.1.ffn_down.bias", (64,))]
        tensors = random_tensors([*byte_level_model.shapes(64, 96), *optional])
        byte_level_model.write(path, llama_metadata() | YARN, tensors)
    return path


def test_mutants_are_refused_with_a_typed_error_or_work(
    source: Path, tmp_path: Path
) -> None:
    command = [sys.executable, *map(str, (SCRIPT, source, tmp_path, 0, N_MUTANTS))]
    with (tmp_path / "said").open("w+") as out:
        done = subprocess.run(
            command,
            stdout=out,
            stderr=out,
            env=ENVIRONMENT,
            timeout=60 + N_MUTANTS // 10,  # a mutant takes a few thousandths of it
            check=False,
        )
        out.seek(0)
        said = out.read()
    assert done.returncode == 0, f"{source}, the last mutant: {said[-5000:]}"
    tried, worked = map(int, re.findall(r"(\d+) (?:tried|worked)", said))
    assert tried == N_MUTANTS
    # some changes are harmless; if most were, the mutants would be too much alike
    assert 0 < worked < 0.5 * N_MUTANTS
