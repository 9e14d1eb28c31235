"""Builds the target in C with clang: the kernels' headers under libFuzzer."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from llamacy import kernels
from llamacy.ggml.codebooks import codebook
from llamacy.kernels.cpu import MACHINE
from llamacy.kernels.levels import levels_of

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent / "kernels"
_TYPES = ("IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ1_S", "IQ1_M")
_FLAGS = ("-O2", "-g", "-ffp-contract=off", "-fno-sanitize-recover=all")
_SANITIZERS = "address,undefined"


def build(folder: Path, clang: str) -> Path:
    """Compile the levels that this machine has, and the target; return the program."""
    levels = [each for each in levels_of(MACHINE) if not kernels.lacking(each)]
    (folder / "codebooks.h").write_text("\n".join(_codebooks()))
    include = [f"-I{ROOT / 'llamacy/kernels'}", f"-I{folder}"]
    common = [clang, *_FLAGS, "-Wno-unused-function", *include]
    objects = []
    for level in levels:
        target = folder / f"{level.name}.o"
        own = (f"-DLEVEL={level.name}", f'-DHEADER="levels/{level.name}.h"')
        instrumented = f"-fsanitize={_SANITIZERS},fuzzer-no-link"
        command = [*common, instrumented, *level.flags, *own, "-c"]
        subprocess.run([*command, HERE / "level.c", "-o", target], check=True)
        objects.append(target)
    program = folder / "blocks"
    listed = " ".join(f"do({level.name})" for level in levels)
    command = [
        *common,
        f"-fsanitize={_SANITIZERS},fuzzer",
        f"-DEACH_LEVEL(do)={listed}",
    ]
    command += [str(HERE / "blocks.c"), *map(str, objects), "-lm", "-o", str(program)]
    subprocess.run(command, check=True)
    return program


def _codebooks() -> Iterator[str]:
    """Yield the lines of codebooks.h."""
    for name in _TYPES:
        numbers = ",".join(map(str, codebook(name).ravel()))
        yield f"static const uint8_t CODEBOOK_{name}[] = {{{numbers}}};"
    yield "static const uint8_t *const CODEBOOKS[GGML_TYPE_COUNT] = {"
    yield from (f"    [GGML_{name}] = CODEBOOK_{name}," for name in _TYPES)
    yield "};"
