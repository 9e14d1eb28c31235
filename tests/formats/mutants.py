"""Corrupts a model file in many ways, and uses the results; run by test_mutated_files.

    python tests/mutants.py MODEL FOLDER FIRST COUNT

Each mutant is made from a seed, FIRST and the COUNT - 1 numbers after it. The seed is
printed before its mutant is tried: the last one printed is the one that ended the
process. A mutant must be refused with a typed error, or work.
"""

from __future__ import annotations

import faulthandler
import random
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import llamacy

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

ROOM = 2 << 30  # bytes of address space a mutant may use, in addition to Python's

# GGUF's value types, with struct's letter for each
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?"} | {
    10: "Q",
    11: "q",
    12: "d",
}
STRING, ARRAY = 8, 9
FLOATS = (0.0, -1.0, 1e-30, 1e30, float("inf"), float("-inf"), float("nan"))
SMALL = (0, 1, 2, 3, 7, 31, 33, 255, 4096, 65535, 10**6)
LARGE = (2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**63 - 1, 2**63, 2**64 - 1)


class Places:
    """The positions of all numbers in a file's header: (offset, struct's letter)."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 8
        self.values: list[tuple[int, str]] = []
        self.tensors: list[tuple[int, str]] = []
        n_tensors, n_keys = self._take("Q"), self._take("Q")
        self.counts = [(8, "Q"), (16, "Q")]
        for _ in range(n_keys):
            self._string()
            self._value(self._take("I"))
        for _ in range(n_tensors):
            self._string()
            self.tensors.append((self._at, "I"))
            n_dims = self._take("I")
            for letter in ["Q"] * n_dims + ["I", "Q"]:
                self.tensors.append((self._at, letter))
                self._take(letter)
        self.end = self._at

    def _take(self, letter: str) -> int:
        (value,) = struct.unpack_from("<" + letter, self._data, self._at)
        self._at += struct.calcsize("<" + letter)
        return int(value)

    def _string(self) -> None:
        self.values.append((self._at, "Q"))
        n = self._take("Q")
        self._at += n

    def _value(self, kind: int) -> None:
        if kind == STRING:
            self._string()
        elif kind == ARRAY:
            element = self._take("I")
            self.values.append((self._at, "Q"))
            for _ in range(self._take("Q")):
                self._value(element)
        else:
            self.values.append((self._at, SCALARS[kind]))
            self._at += struct.calcsize("<" + SCALARS[kind])


def put(data: bytearray, place: tuple[int, str], rng: random.Random) -> None:
    """Write an extreme number, or one near the old value."""
    at, letter = place
    size = struct.calcsize("<" + letter)
    if letter in "fd":
        data[at : at + size] = struct.pack("<" + letter, rng.choice(FLOATS))
        return
    near = int.from_bytes(data[at : at + size], "little") + rng.randint(-2, 2)
    value = rng.choice((*SMALL, *LARGE, near)) % 256**size
    data[at : at + size] = value.to_bytes(size, "little")


def mutate(original: bytes, places: Places, rng: random.Random) -> bytes:
    """Make one to three changes of different kinds."""
    data = bytearray(original)
    scalars = [place for place in places.values if place[1] != "Q"]
    for _ in range(rng.randint(1, 3)):
        kind = rng.randrange(8)
        if kind <= 1:
            # arrays of scores and types are long: the first values are hyperparameters
            put(data, rng.choice(scalars[: rng.choice((16, len(scalars)))]), rng)
        elif kind == 2:
            put(data, rng.choice(places.tensors), rng)
        elif kind == 3:
            put(data, rng.choice((*places.counts, *places.values)), rng)
        elif kind == 4:
            data[rng.randrange(places.end)] = rng.randrange(256)
        elif kind == 5:
            (at, letter), (other, _) = rng.choices(places.tensors, k=2)
            n = struct.calcsize("<" + letter)
            data[at : at + n] = data[other : other + n]
        elif kind == 6:
            # weights: some scales become huge, infinite or NaN
            at, n = rng.randrange(places.end, len(data)), rng.choice((2, 64, 4096))
            n = len(data[at : at + n])
            data[at : at + n] = rng.choice((b"\xff" * n, b"\x7c" * n, rng.randbytes(n)))
        else:
            del data[rng.choice((rng.randrange(len(data)), len(data) - 1)) :]
            break
    return bytes(data)


def use(path: Path) -> None:
    """Load a model, and use it."""
    with llamacy.load(path, n_threads=2, n_ctx=64) as model:
        ids = model.tokenize("Once upon a time")[:8] or [0]
        model.logits(ids)
        model.generate(ids, max_tokens=2, temperature=0)
        model.generate("a b", max_tokens=2, seed=1)


def attempts(model: Path, folder: Path, seeds: range) -> Iterator[bool]:
    """Try each mutant; yield whether it worked."""
    original = model.read_bytes()
    places = Places(original)
    path = folder / "mutant.gguf"
    for seed in seeds:
        print(seed, end=" ", flush=True)
        path.write_bytes(mutate(original, places, random.Random(seed)))
        try:
            use(path)
        except llamacy.LlamacyError:
            yield False
        else:
            yield True


def main() -> None:
    """Run as a command; the last line counts mutants tried and mutants that worked."""
    faulthandler.enable()
    model, folder, first, count = sys.argv[1:]
    use(Path(model))
    if resource is not None and sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + ROOM
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    seeds = range(int(first), int(first) + int(count))
    worked = list(attempts(Path(model), Path(folder), seeds))
    print(f"\n{len(worked)} tried, {sum(worked)} worked")


if __name__ == "__main__":
    main()
