"""Count the instructions of a model on ARM, without an ARM machine.

    python tools/arm_cycles/instructions.py FOLDER [--peer LLAMA.CPP] [--levels ...]

A small model reads prompts and generates under qemu-aarch64, on one thread, while a
plugin of qemu's (count.c, built here) counts instructions; loading and the first pass
are left out. FOLDER is that of `tools/aarch64 FOLDER`, which has built llamacy in it.

With --peer, llama.cpp's sources at that path are built for each level's instructions
and do the same: minutes, by clang, cmake, ninja and g++-aarch64-linux-gnu.

An instruction is not a cycle: the counts say how much work an engine leaves to the CPU.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEMO = HERE.parents[1] / "llamacy" / "model_files" / "demo.gguf"

SHORT, LONG, GENERATED = 64, 192, 64

# levels, and what llama.cpp is built for
ARCHITECTURES = {
    "neon": "armv8.2-a+dotprod+fp16",
    "neon_i8mm": "armv8.2-a+dotprod+fp16+i8mm+bf16",
}

OURS = """
import os, sys
import llamacy
path, short, long, generated = sys.argv[1], *map(int, sys.argv[2:])
model = llamacy.load(path, n_ctx=512, n_threads=1)
never = dict.fromkeys(model.tokenizer.eog_ids, -float("inf"))
def run(n, first, generated):
    ids = [first + 7 * i % 1000 for i in range(n)]
    model.generate(ids, max_tokens=generated, temperature=0, logit_bias=never)
    os.getppid()
run(short, 300, 2)
run(short, 301, 1)
run(long, 302, 1)
run(short, 303, 1 + generated)
"""


def run(*command: object, **environment: str) -> None:
    """Run a command, or end with what it says."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, capture_output=True, text=True, env=os.environ | environment
    )
    if done.returncode:
        sys.exit(f"{' '.join(words)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def count(folder: Path, *program: object, **environment: str) -> tuple[float, float]:
    """Return the instructions of a token of a prompt, and of a generated one."""
    library, log = folder / "libcount.so", folder / "count.txt"
    run("cc", "-shared", "-fPIC", "-O2", HERE / "count.c", "-o", library)
    command = ("qemu-aarch64", "-plugin", library, *program, SHORT, LONG, GENERATED)
    run(*command, COUNT_FILE=str(log), **environment)
    marks = [int(line) for line in log.read_text().split()]
    assert len(marks) == 4, marks
    short, long, generated = (marks[i + 1] - marks[i] for i in range(3))
    return (long - short) / (LONG - SHORT), (generated - short) / GENERATED


def ours(folder: Path, level: str, model: Path) -> tuple[float, float]:
    """Count llamacy's."""
    script = folder / "instructions_of_model.py"
    script.write_text(OURS)
    return count(
        folder,
        folder / "root/usr/bin/python3",
        script,
        model,
        QEMU_LD_PREFIX=str(folder / "root"),
        PYTHONPATH=f"{folder / 'clone'}:{folder / 'site'}",
        LLAMACY_ISA=level,
    )


def theirs(
    folder: Path, level: str, model: Path, peer: Path, clang: str
) -> tuple[float, float]:
    """Build llama.cpp, and count its."""
    build = folder / f"llama.cpp-{level}"
    target = "aarch64-linux-gnu"
    off = ("BUILD_SHARED_LIBS", "GGML_NATIVE", "GGML_OPENMP", "LLAMA_BUILD_COMMON")
    run(
        *("cmake", "-G", "Ninja", "-S", peer, "-B", build),
        *("-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_SYSTEM_NAME=Linux"),
        "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
        *(f"-DCMAKE_{language}_COMPILER_TARGET={target}" for language in ("C", "CXX")),
        f"-DCMAKE_C_COMPILER={clang}",
        f"-DCMAKE_CXX_COMPILER={clang.replace('clang', 'clang++')}",
        f"-DGGML_CPU_ARM_ARCH={ARCHITECTURES[level]}",
        *(f"-D{option}=OFF" for option in off),
    )
    run("ninja", "-C", build, "llama")
    program = build / "model"
    includes = (f"-I{peer / place}" for place in ("include", "ggml/include"))
    libraries = sorted(build.rglob("*.a"))
    group = ("-Wl,--start-group", *libraries, "-Wl,--end-group")
    source = (HERE / "model.cpp", *includes, *group)
    link = (clang.replace("clang", "clang++"), f"--target={target}", "-static")
    run(*link, "-O2", *source, "-o", program)
    return count(folder, program, model)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path, help="of tools/aarch64")
    parser.add_argument("--peer", type=Path, help="llama.cpp's sources")
    parser.add_argument("--model", type=Path, default=DEMO)
    parser.add_argument("--clang", default="clang", help="for llama.cpp")
    parser.add_argument("--levels", default=",".join(ARCHITECTURES))
    options = parser.parse_args()
    print("| level | engine | a token of a prompt | a generated token |")
    print("|---|---|--:|--:|")
    for level in options.levels.split(","):
        counts = {"llamacy": ours(options.folder, level, options.model)}
        if options.peer:
            counts["llama.cpp"] = theirs(
                options.folder, level, options.model, options.peer, options.clang
            )
        for engine, (read, generated) in counts.items():
            cells = (f"{number / 1e6:.2f} M" for number in (read, generated))
            print(f"| `{level}` | {engine} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
