"""The sanitizers as data: what is compiled, loaded and run for each of them."""

from __future__ import annotations

from dataclasses import dataclass

# In one process: the fixture `level` runs every level, other tests run the best.
EVERY_LEVEL = (
    *("tests/kernels", "tests/ops", "tests/ggml", "tests/test_golden.py"),
    *("tests/generation", "tests/sessions/test_session.py"),
)
# At one level each time, which LLAMACY_ISA names: tests whose passes differ in form.
EACH_LEVEL = (
    "tests/generation/test_drafting.py",
    "tests/generation/test_in_turn.py",
    "tests/generation/test_long_texts.py",
    "tests/generation/test_parts.py",
    "tests/generation/test_passes.py",
    "tests/generation/test_prefix_cache.py",
    "tests/generation/test_scheduler.py",
    "tests/generation/test_sharing.py",
    "tests/generation/test_worker.py",
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A sanitizer.

    Attributes
    ----------
    name : str
        The name on the command line, of the probe's fault, and in `-fsanitize`.
    flags : tuple of str
        Flags of the compiler and the linker.
    runtime : str
        The stem of the shared library that Python, built without it, must preload.
    variable, options : str
        The environment variable that configures the runtime, and its value.
    environment : dict of str
        Other variables for Python.
    report : str
        The beginning of each of its reports' first sentence.
    tool : str
        A library for libomp to load, or nothing.
    every_level, each_level : tuple of str
        pytest's arguments for tests that run every level themselves, and for tests
        that are run once at each level.
    """

    name: str
    flags: tuple[str, ...]
    runtime: str
    variable: str
    options: str
    environment: dict[str, str]
    report: str
    tool: str = ""
    every_level: tuple[str, ...] = EVERY_LEVEL
    each_level: tuple[str, ...] = EACH_LEVEL


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            name="address",
            flags=("-fsanitize=address", "-shared-libsan"),
            runtime="asan",
            variable="ASAN_OPTIONS",
            # Python frees little at its exit. Tests ask for more memory than there is.
            options="detect_leaks=0:allocator_may_return_null=1",
            # Each object in a block of its own, with red zones around it.
            environment={"PYTHONMALLOC": "malloc"},
            report="ERROR: AddressSanitizer:",
        ),
        Kind(
            name="undefined",
            # All of the group. Alignment too: verbs load from any address, but by
            # memcpy or by instructions made for that, as other machines need it. And
            # floats that no integer can hold, since levels must agree on the result.
            flags=(
                "-fsanitize=undefined,float-cast-overflow",
                "-fno-wrapv",  # which Python asks for, and with which no sum overflows
                # Cython's method tables hold functions of a subclass's own type.
                "-fno-sanitize=function",
                "-fno-sanitize-recover=all",
                "-shared-libsan",
            ),
            runtime="ubsan_standalone",
            variable="UBSAN_OPTIONS",
            options="print_stacktrace=1",
            environment={},
            report="runtime error:",
        ),
        Kind(
            name="thread",
            flags=("-fsanitize=thread", "-shared-libsan"),
            runtime="tsan",
            variable="TSAN_OPTIONS",
            # Python, NumPy and libomp are built without it and are not judged; archer,
            # which libomp loads, tells of its threads' barriers, forks and joins.
            options="ignore_noninstrumented_modules=1:die_after_fork=0:exitcode=66",
            environment={},
            report="WARNING: ThreadSanitizer:",
            tool="libarcher.so",
            # Kernels start no threads; the steps' runtime and the packing do.
            every_level=(
                *("tests/kernels", "tests/ops", "tests/generation"),
                *("-k", "thread or plan or graph or generation"),
            ),
        ),
    )
}
