"""Kernels per instruction set, and the choice among them.

Each level of `LEVELS` is one extension module, `llamacy.kernels.levels.<name>`,
compiled with that level's flags: importing it on a lesser CPU may kill the process.
Only `load` imports one, after asking the CPU. Dispatch is by level: the choice is made
once, when it is first needed, and falls back to a lesser level where the CPU lacks a
feature; `LLAMACY_ISA=avx2` forces it.

Kernels know nothing of models, files or threads.
"""

from __future__ import annotations

import errno
import importlib
import importlib.util
import os
from functools import cache
from typing import Protocol, cast

from llamacy.errors import CPUError
from llamacy.kernels.levels import LEVELS, Level, levels_of

__all__ = [
    "LEVELS",
    "Kernels",
    "Level",
    "available",
    "lacking",
    "load",
    "reason",
    "selected",
]


class Kernels(Protocol):
    """The module of one level; all of them look like this.

    They have no stubs of their own, because nothing may import one by its name.

    Attributes
    ----------
    table : object
        A capsule around the level's functions, for `llamacy.ops.plan`.
    verbs : object
        A capsule around the verbs they are written in, each as a function, for tests.
    """

    __name__: str
    table: object
    verbs: object


def _levels() -> tuple[Level, ...]:
    """Return the levels that exist for this kind of machine, worst to best."""
    from llamacy.kernels.cpu import MACHINE

    return levels_of(MACHINE)


@cache
def _is_built(name: str) -> bool:
    return importlib.util.find_spec(f"{__name__}.levels.{name}") is not None


def lacking(level: Level) -> str | None:
    """Return in a few words why this machine cannot run `level`; None if it can.

    >>> lacking(LEVELS[0]) is None
    True
    """
    from llamacy.kernels.cpu import FEATURES

    if level not in _levels():
        return f"for {level.machine} CPUs"
    missing = [name for name in level.features if name not in FEATURES]
    if missing:
        return _refused(missing) or f"CPU lacks {', '.join(missing)}"
    if not _is_built(level.name):
        return "not built"
    return None


def _refused(missing: list[str]) -> str | None:
    """Return why Linux refuses the missing features, if the CPU itself has them."""
    from llamacy.kernels.cpu import REFUSAL

    error = REFUSAL if all(name.startswith("amx_") for name in missing) else 0
    if error == errno.ENOSPC:
        return "a thread's alternate signal stack is too small for AMX's registers"
    return f"Linux refuses it: {os.strerror(error)}" if error else None


def available() -> tuple[Level, ...]:
    """Return the levels that are built and that this CPU can run, worst to best."""
    return tuple(level for level in LEVELS if lacking(level) is None)


def selected() -> Level:
    """Return the level in use: the best available, or the one that `LLAMACY_ISA` names.

    Raises
    ------
    CPUError
        `LLAMACY_ISA` names a level that is unknown, not built, or not for this CPU.
    """
    return _selection()[0]


def reason() -> str:
    """Return in one line why `selected` returns that level; raises as it does."""
    return _selection()[1]


@cache
def _selection() -> tuple[Level, str]:
    return _choose(os.environ.get("LLAMACY_ISA", ""))


def _choose(forced: str) -> tuple[Level, str]:
    """Choose a level, by name unless `forced` is empty, and say why."""
    if forced:
        return _find(forced, "LLAMACY_ISA"), f"forced by LLAMACY_ISA={forced}"
    candidates = [level for level in _levels() if not level.emulated]
    better = ""
    for level in reversed(candidates):
        if (lack := lacking(level)) is None:
            return level, "the best available here" + better
        better = f"; {level.name}: {lack}"
    raise CPUError(f"no level can be used{better}")


def _find(name: str, source: str) -> Level:
    """Find a level among those that this machine can run; `source` gave its name."""
    possible = ", ".join(level.name for level in available())
    for level in LEVELS:
        if level.name == name:
            if lack := lacking(level):
                raise CPUError(f"{source}={name}: {lack}; possible here: {possible}")
            return level
    raise CPUError(f"{source}={name}: no such level; possible here: {possible}")


def load(name: str) -> Kernels:
    """Import the kernels of one level: the module `llamacy.kernels.levels.<name>`.

    Raises
    ------
    CPUError
        This machine cannot run that level, or no level has that name.
    """
    level = _find(name, "level")
    return cast(Kernels, importlib.import_module(f"{__name__}.levels.{level.name}"))
