"""The checks of `llamacy doctor`: what helps or hinders models on this machine."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from llamacy.cli.tables import in_units

if TYPE_CHECKING:
    from llamacy.system.load import LoadMeter

_GIB: Final = 2**30
_LEAST_MEMORY: Final = _GIB
_LEAST_DISK: Final = 5 * _GIB
_LOAD_SECONDS: Final = 0.5
_TYPICAL_MODEL: Final = 2_497_280_256  # bytes: Qwen3 4B in Q4_K_M
_TUNING: Final = ("OMP_", "GOMP_", "KMP_")
"""Beginnings of variables that OpenMP's runtimes read."""

_BOUND: Final = "OMP_NUM_THREADS"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a check.

    Attributes
    ----------
    name : str
        The thing looked at, in a word or two.
    state : {"ok", "warning", "error"}
        An error means that no model can run.
    text : str
        The facts.
    advice : str
        Their meaning, and a way to do better; `""` if all is well.
    values : mapping of str to Any
        The facts for scripts.
    """

    name: str
    state: Literal["ok", "warning", "error"]
    text: str
    advice: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, text: str, advice: str = "", **values: Any) -> Check:
        """Make a check that warns if it has advice to give."""
        return cls(name, "warning" if advice else "ok", text, advice, values)


def all_checks() -> Iterator[Check]:
    """Yield the results one by one, the quick ones first."""
    from llamacy.system.load import LoadMeter

    meter = LoadMeter()
    start = time.monotonic()
    for check in (cpu, threads, environment, memory):
        yield check()
    yield from disk()
    # the load is that of a while in which this process does little
    time.sleep(max(0.0, _LOAD_SECONDS - (time.monotonic() - start)))
    yield load(meter)
    for slow in (bandwidth, model):
        yield _guarded(slow)


def _guarded(check: Callable[[], Check]) -> Check:
    """Return the result of a check that computes; its failure is an error."""
    from llamacy.errors import LlamacyError

    try:
        return check()
    except (LlamacyError, OSError, ImportError) as error:
        text = f"{type(error).__name__}: {error}"
        return Check(check.__name__, "error", text, "no model can run like this")


def cpu() -> Check:
    """Look at the CPU's instruction sets."""
    from llamacy import kernels
    from llamacy.errors import CPUError
    from llamacy.system.cpu_names import cpu_name

    name = cpu_name()
    try:
        level, reason = kernels.selected().name, kernels.reason()
    except CPUError as error:
        advice = "unset LLAMACY_ISA, or set it to one of these"
        return Check("cpu", "error", f"{name}: {error}", advice, {"cpu": name})
    advice = ""
    best = kernels.available()[-1].name
    if "LLAMACY_ISA" in os.environ and level != best:
        advice = f"LLAMACY_ISA is set: without it, the level would be {best}"
    elif platform.machine().lower() in ("x86_64", "amd64") and level == "scalar":
        advice = "without AVX2, models run many times slower"
        if _is_virtual():
            advice += ": give this virtual machine its host's CPU type"
    text = f"{name}; level {level}, {reason}"
    return Check.of("cpu", text, advice, cpu=name, isa=level, isa_reason=reason)


def _is_virtual() -> bool:
    """Whether Linux says that this is a virtual machine."""
    from llamacy.system.cgroups import read_text

    return " hypervisor" in read_text(Path("/proc/cpuinfo"))


def threads() -> Check:
    """Look at the CPUs that this process may use."""
    from llamacy.cli.info import threads_reason
    from llamacy.system.threads import cgroup_quota, default_threads

    quota, n_threads = cgroup_quota(), default_threads()
    advice = ""
    if quota is not None and quota < 1:
        advice = (
            f"the container limits this process to {quota:g} CPUs, and stops it for "
            "the rest of each period: give it a whole CPU (docker run --cpus)"
        )
    elif quota is not None and quota != int(quota):
        used = f"of the container's {quota:g} CPUs, {n_threads} are used"
        advice = f"{used}: a whole number wastes none"
    text = f"{n_threads} by default: {threads_reason()}"
    return Check.of("threads", text, advice, n_threads=n_threads, cgroup_quota=quota)


def environment() -> Check:
    """Look for variables that change how threads run."""
    names = sorted(name for name in os.environ if name.startswith(_TUNING))
    text = ", ".join(f"{name}={os.environ[name]}" for name in names)
    advice = ""
    if names == [_BOUND]:
        text += ", the most threads by default: -t and n_threads may set more"
    elif names:
        advice = "they may pin, limit or slow down threads: try without them"
    text = text or "no variable changes how threads run"
    return Check.of("environment", text, advice, variables=names)


def memory() -> Check:
    """Look at the memory, and at the limits of it."""
    from llamacy.system.memory import memory_state

    state = memory_state()
    values: dict[str, Any] = {
        "total_bytes": state.total,
        "limit_bytes": state.limit,
        "available_bytes": state.available,
        "swap_used_bytes": state.swap_used,
    }
    if state.available is None:
        return Check.of("memory", "this system does not say how much is free", **values)
    text = f"{in_units(state.available)} free"
    if state.total is not None:
        text += f" of {in_units(state.total)}"
    if state.limit is not None:
        text += f", limited to {in_units(state.limit)} by the container"
    advice = ""
    if state.available < _LEAST_MEMORY:
        advice = "only models of less than 1 B parameters fit: close other programs"
    elif state.swap_used > _GIB:
        advice = (
            f"{in_units(state.swap_used)} are swapped out: a model that does not fit "
            "into memory is slow"
        )
    return Check.of("memory", text, advice, **values)


def disk() -> Iterator[Check]:
    """Look at the disk of the hub's cache: its room, and its speed if that is cheap."""
    import llamacy
    from llamacy.errors import LlamacyError
    from llamacy.hub.cache import cache_folder
    from llamacy.system.disk import free_bytes, read_speed

    folder = cache_folder()
    try:
        free = free_bytes(folder)
        cached = llamacy.cached_models()
    except (OSError, LlamacyError) as error:
        yield Check.of("disk", str(folder), f"the cache cannot be read: {error}")
        return
    advice = ""
    if free < _LEAST_DISK:
        advice = (
            "few models fit: llamacy rm removes one, HF_HUB_CACHE names another disk"
        )
    largest = max(cached, key=lambda model: model.n_bytes, default=None)
    speed = None
    if largest is not None:
        file = (
            largest.path / largest.files[-1] if largest.path.is_dir() else largest.path
        )
        speed = read_speed(file)
    reads = "" if speed is None else f", reads {speed / 1e9:.2f} GB/s"
    text = f"{in_units(free)} free in {folder}{reads}"
    values = {"folder": str(folder), "free_bytes": free, "read_bytes_per_second": speed}
    yield Check.of("disk", text, advice, **values)


def load(meter: LoadMeter) -> Check:
    """Look at what other processes do."""
    found = meter.read()
    if found is None:
        return Check.of("load", "this system does not say what other processes do")
    advice = "models run slower meanwhile, and measurements mean little"
    values = {
        "other_cpus": found.cpus,
        "stolen_cpus": found.stolen,
        "busiest": [[each.pid, each.name, each.cpus] for each in found.busiest],
    }
    return Check.of("load", str(found), advice if found.is_busy else "", **values)


def bandwidth() -> Check:
    """Measure how fast memory is read, which limits how fast tokens come."""
    from llamacy.roofline import read_bandwidth
    from llamacy.system.threads import default_threads

    n_threads = default_threads()
    rate = read_bandwidth(n_threads)
    per_second = rate / _TYPICAL_MODEL
    text = (
        f"read at {rate / 1e9:.1f} GB/s by {n_threads} threads: at most "
        f"{per_second:.3g} tokens/s from a model of {in_units(_TYPICAL_MODEL)} (4 B)"
    )
    return Check.of("bandwidth", text, read_bytes_per_second=rate, n_threads=n_threads)


def model() -> Check:
    """Run the model that comes with llamacy."""
    import llamacy

    with llamacy.load("demo") as demo:
        text = demo.generate("The capital of France is", temperature=0).text
    if text != " Paris":
        found = f"the demo model answers {text!r} instead of ' Paris'"
        return Check(
            "model", "error", found, "the kernels compute wrongly: report this"
        )
    return Check.of("model", "the demo model answers")
