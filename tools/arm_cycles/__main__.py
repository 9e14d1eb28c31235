"""Estimate the cycles of matrix products on ARM CPUs, without one.

    python tools/arm_cycles FOLDER [--peer LLAMA.CPP] [--types Q4_0,...] [--cpus ...]

Each product is compiled with a level's flags and run under qemu, which writes down
every instruction that it executes. llvm-mca then says how many cycles that stream takes
on a CPU, as LLVM's model of it knows: pipelines, latencies and dispatch, with all loads
from the L1 cache and all branches predicted. Figures are for 256 weights times one row.

With --peer, products of llama.cpp's sources at that path are put through the same.

LLVM 19 has no model of Apple's M1, which borrows that of the older Cyclone, nor of the
Cortex-A76, of which the Neoverse N1 is the server's version: its model stands for both.

Needs clang, llvm-objdump and llvm-mca of LLVM 19 or later, and Debian's qemu-user,
gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and, for --peer, g++-aarch64-linux-gnu.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
KERNELS = HERE.parents[1] / "llamacy" / "kernels"

TARGET = "--target=aarch64-linux-gnu"
CPUS = {  # and the levels that they have
    "apple-m1": ("neon",),
    "cortex-a76": ("neon",),
    "neoverse-n1": ("neon",),
    "neoverse-n2": ("neon", "neon_i8mm"),
    "neoverse-v1": ("neon", "neon_i8mm"),
    "neoverse-v2": ("neon", "neon_i8mm"),
}
MODELS = {"cortex-a76": "neoverse-n1"}  # that stand for CPUs
LEVELS = {"neon": "armv8.2-a+dotprod", "neon_i8mm": "armv8.2-a+dotprod+i8mm+bf16"}
PEER_LEVELS = {
    "neon": "armv8.2-a+dotprod+fp16",
    "neon_i8mm": "armv8.2-a+dotprod+fp16+i8mm",
}
# what llama.cpp repacks each type to, without and with i8mm
PEER_KERNELS = {
    "Q4_0": ("q4_0_4x4_q8_0", "q4_0_4x8_q8_0"),
    "Q4_K": ("q4_K_8x4_q8_K", "q4_K_8x8_q8_K"),
    "Q6_K": ("q6_K_8x4_q8_K", "q6_K_8x8_q8_K"),
    "Q8_0": ("q8_0_4x4_q8_0", "q8_0_4x8_q8_0"),
}
MANY = 16  # rows from which panels are unpacked once for all


@dataclass(frozen=True)
class Stream:
    """The instructions of one product.

    Attributes
    ----------
    lines : tuple of str
        Assembly, in the order in which it was executed.
    weights : float
        Products of a weight and a row's activation, in units of 256.
    """

    lines: tuple[str, ...]
    weights: float

    def instructions(self) -> float:
        """Return the instructions for 256 weights and a row."""
        return len(self.lines) / self.weights

    def spills(self) -> float:
        """Return how many of them move vectors to the stack, or back."""
        move = re.compile(r"(?:ld|st)[a-z0-9]+\s.*\bq\d+.*\[(?:sp|x29)\b")
        return sum(bool(move.match(line)) for line in self.lines) / self.weights


def run(*command: object) -> str:
    """Run a command and return what it prints."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)}\n{done.stderr}")
    return done.stdout


def tool(name: str) -> str:
    """Find a program of LLVM: of no version in its name, or of 19 or later."""
    for version in (*(f"-{number}" for number in range(25, 18, -1)), ""):
        if found := shutil.which(name + version):
            return found
    sys.exit(f"{name} of LLVM 19 or later is needed")


class Tracer:
    """Compile products and trace them."""

    def __init__(self, folder: Path, compiler: str) -> None:
        self.folder = folder
        self.compiler = compiler
        folder.mkdir(parents=True, exist_ok=True)

    def build(self, name: str, sources: list[Path], *flags: str) -> Path:
        """Compile and link a program for ARM."""
        program = self.folder / name
        compiler = self.compiler
        if any(source.suffix == ".cpp" for source in sources):
            compiler = re.sub(r"clang(?=-|$)", "clang++", compiler).replace(
                "gcc", "g++"
            )
        target = [TARGET] if "clang" in compiler else []
        run(compiler, *target, "-O3", "-static", *flags, *sources, "-o", program)
        return program

    def trace(self, program: Path, weights: float, *arguments: object) -> Stream:
        """Run a program and return what it executes between its marks."""
        log = program.with_suffix(".log")
        how = ("-singlestep", "-d", "exec,nochain", "-D", log)
        run("qemu-aarch64", *how, program, *arguments)
        return Stream(tuple(_assembly(program, _addresses(log))), weights)


def _addresses(log: Path) -> Iterator[int]:
    """Addresses of the instructions executed between the two marks."""
    inside = False
    for line in log.open():
        where = line.rpartition(" ")[2].strip()
        if where.startswith("trace_"):
            inside = where == "trace_begins"
        elif inside and line.startswith("Trace"):
            yield int(line.split("/")[1], 16)


def _assembly(program: Path, addresses: Iterator[int]) -> Iterator[str]:
    """Assembly for llvm-mca of the instructions at `addresses`."""
    listing = run(tool("llvm-objdump"), "-d", "--no-show-raw-insn", program)
    text: dict[int, str] = {}
    for line in listing.splitlines():
        if match := re.match(r"\s*([0-9a-f]+):\s+(.*)", line):
            words = re.sub(r"\s*(//|;).*", "", match[2]).replace("\t", " ")
            # where a branch leads to is known by what follows
            text[int(match[1], 16)] = re.sub(r"0x[0-9a-f]+ <[^>]*>", ".Lend", words)
    for address in addresses:
        line = text[address]
        if line.split()[0] not in ("b", "bl", "blr", "br", "ret", "nop"):
            yield line


def cycles(stream: Stream, cpu: str, folder: Path) -> float:
    """Return llvm-mca's cycles for 256 weights and a row."""
    source = folder / "stream.s"
    source.write_text("\n".join((*stream.lines, ".Lend:", "")))
    options = ("-mtriple=aarch64", f"-mcpu={MODELS.get(cpu, cpu)}", "-iterations=1")
    report = run(tool("llvm-mca"), *options, "-instruction-info=0", source)
    total = re.search(r"^Total Cycles:\s+(\d+)", report, re.M)
    assert total, report
    return int(total[1]) / stream.weights


def ours(tracer: Tracer, level: str, kind: str, rows: int) -> Stream:
    """Trace a product of llamacy, of few rows or many."""
    header = f'-DLEVEL_HEADER="levels/{level}.h"'
    flags = (f"-march={LEVELS[level]}", header, f"-I{KERNELS}")
    only = (f"-DTYPE={kind}", f"-DONLY(do)=do({kind})")
    plain = ("-fno-math-errno", "-fno-trapping-math")
    sources = [HERE / "product.c"]
    program = tracer.build(f"{level}-{kind}", sources, *flags, *only, *plain)
    way, panels, k = ("few", 1, 1024) if rows < MANY else ("many", 8, 256)
    return tracer.trace(program, rows * 16 * panels * k / 256, way, rows, panels, k)


def theirs(tracer: Tracer, peer: Path, level: str, kind: str, rows: int) -> Stream:
    """Trace the product that llama.cpp chooses for the same; 16 rows stand for more."""
    rows = min(rows, 16)
    kernel = PEER_KERNELS[kind][level == "neon_i8mm"]
    kernel = f"ggml_gem{'v' if rows == 1 else 'm'}_{kernel}"
    places = ("ggml/include", "ggml/src", "ggml/src/ggml-cpu")
    flags = [*(f"-I{peer / place}" for place in places), f"-DKERNEL={kernel}", "-w"]
    flags += [f"-march={PEER_LEVELS[level]}", "-Wl,--unresolved-symbols=ignore-all"]
    sources = [HERE / "peer.cpp", peer / "ggml/src/ggml-cpu/arch/arm/repack.cpp"]
    program = tracer.build(f"peer-{level}-{kernel}", sources, *flags)
    outputs, k = 16, 1024
    return tracer.trace(program, rows * outputs * k / 256, rows, outputs, k)


def print_rows(
    tracer: Tracer, peer: Path | None, level: str, kind: str, rows: int, cpus: list[str]
) -> None:
    """Print a product's line for each CPU."""
    own = ours(tracer, level, kind, rows)
    other = theirs(tracer, peer, level, kind, rows) if peer else None
    for cpu in cpus:
        if level not in CPUS[cpu]:
            continue
        mine = cycles(own, cpu, tracer.folder)
        cells = [f"{own.instructions():.1f}", f"{own.spills():.1f}", f"{mine:.1f}"]
        if other:
            peers = cycles(other, cpu, tracer.folder)
            cells += [f"{other.instructions():.1f}", f"{peers:.1f}"]
            cells += [f"{peers / mine:.2f}"]
        cells = [level, kind, str(rows), cpu, *cells]
        print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="arm_cycles", description=__doc__)
    parser.add_argument("folder", type=Path, help="for programs and traces")
    parser.add_argument("--peer", type=Path, help="llama.cpp's sources")
    parser.add_argument("--types", default=",".join(PEER_KERNELS))
    parser.add_argument("--levels", default=",".join(LEVELS))
    parser.add_argument("--cpus", default=",".join(CPUS))
    parser.add_argument("--rows", default="1,256", help=f"{MANY} or more are many")
    parser.add_argument("--compiler", help="clang 19 or later unless named")
    options = parser.parse_args()
    tracer = Tracer(options.folder, options.compiler or tool("clang"))
    head = ["level", "type", "rows", "CPU", "instructions", "of them spills", "cycles"]
    head += ["llama.cpp: instructions", "cycles", "ratio"] if options.peer else []
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for level in options.levels.split(","):
        for kind in options.types.split(","):
            for rows in options.rows.split(","):
                cpus = options.cpus.split(",")
                print_rows(tracer, options.peer, level, kind, int(rows), cpus)


if __name__ == "__main__":
    main()
