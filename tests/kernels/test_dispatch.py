"""The choice of a level: what is possible, what is best, what LLAMACY_ISA forces."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest

from llamacy import kernels
from llamacy.errors import CPUError
from llamacy.kernels import cpu
from llamacy.kernels.levels import LEVELS, Level, levels_of

BY_NAME = {level.name: level for level in LEVELS}
EVERY_FEATURE = frozenset(name for level in LEVELS for name in level.features)
EVERY_MODULE = frozenset(BY_NAME)
AVAILABLE = {level.name for level in kernels.available()}
ROOT = Path(__file__).resolve().parents[2]

SMALL_SIGNAL_STACK = (
    "import ctypes;"
    "stack = ctypes.create_string_buffer(4096);"
    "P = ctypes.c_void_p;"
    "stack_t = (P * 3)(ctypes.addressof(stack), 0, len(stack));"
    "assert ctypes.CDLL(None).sigaltstack(stack_t, None) == 0;"
)
"""Gives the main thread a signal stack without room for AMX's registers."""


def pretend(
    monkeypatch: pytest.MonkeyPatch,
    features: frozenset[str],
    built: frozenset[str] = EVERY_MODULE,
    machine: str = "x86_64",
) -> None:
    """Make the machine and the build look as told."""
    monkeypatch.setattr(kernels, "_is_built", lambda name: name in built)
    monkeypatch.setattr(cpu, "FEATURES", features)
    monkeypatch.setattr(cpu, "MACHINE", machine)
    monkeypatch.setattr(cpu, "REFUSAL", 0)


def refuse(monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    """Make Linux look as if it refused AMX to this process."""
    monkeypatch.setattr(cpu, "REFUSAL", error)


def features_of(name: str) -> frozenset[str]:
    return frozenset(BY_NAME[name].features)


def cpuinfo_flags() -> set[str]:
    """Return the first CPU's flags as Linux gives them: a second opinion."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("flags", "Features")):
            return set(line.split(":", 1)[1].split())
    return set()


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a fresh interpreter, so that nothing is chosen yet.

    -P: with the installed package, not the sources in the current folder.
    """
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


class TestLevels:
    @pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
    def test_rows_go_from_worst_to_best(self, machine: str) -> None:
        rows = [level for level in levels_of(machine) if not level.emulated]
        for worse, better in combinations(rows, 2):
            assert not set(better.features) <= set(worse.features)
            assert not set(better.flags) <= set(worse.flags)

    def test_every_feature_is_one_that_can_be_found(self) -> None:
        """A level would be skipped if the name of a feature were misspelt."""
        header = (ROOT / "llamacy/kernels/cpu_features.h").read_text()
        assert EVERY_FEATURE <= set(re.findall(r'^ +\{"(\w+)", ', header, re.M))

    def test_documentation_has_a_row_for_every_level(self) -> None:
        page = (ROOT / "docs/guides/levels.md").read_text(encoding="utf-8")
        table = page.partition("| level |")[2].partition("\n\n")[0]
        rows = re.findall(r"^\| `(\w+)` \| ", table, re.M)
        levels = [level.name for level in LEVELS if not level.emulated]
        assert [name for name in rows if name in BY_NAME] == levels

    def test_no_flag_depends_on_the_building_machine(self) -> None:
        assert not [f for level in LEVELS for f in level.flags if "native" in f]

    def test_scalar_runs_anywhere(self) -> None:
        assert BY_NAME["scalar"] == Level(
            "scalar", "any", (), (), "portable C, any CPU"
        )
        assert levels_of("riscv64") == (BY_NAME["scalar"],)

    @pytest.mark.parametrize("machine", ["x86_64", "AMD64"])
    def test_machine_names_of_all_systems(self, machine: str) -> None:
        assert BY_NAME["avx2"] in levels_of(machine)


class TestChoice:
    @pytest.mark.parametrize(
        "name", [level.name for level in LEVELS if not level.emulated]
    )
    def test_best_level_of_a_cpu(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        machine = BY_NAME[name].machine
        pretend(monkeypatch, features_of(name), machine=machine)
        assert kernels._choose("")[0].name == name

    @pytest.mark.parametrize("feature", ["bmi2", "f16c", "fma"])
    def test_one_feature_lacking_is_one_too_many(
        self, feature: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pretend(monkeypatch, EVERY_FEATURE - {feature})
        level, reason = kernels._choose("")
        assert LEVELS.index(level) < LEVELS.index(BY_NAME["avx2"])
        assert f"avx2: CPU lacks {feature}" in reason

    def test_unbuilt_level_is_passed_over_and_named(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pretend(monkeypatch, EVERY_FEATURE, EVERY_MODULE - {"amx"})
        level, reason = kernels._choose("")
        assert level.name == "avx512_bf16"
        assert "amx: not built" in reason

    def test_emulated_level_is_only_chosen_by_name(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pretend(monkeypatch, features_of("amx_emulated"))
        assert kernels._choose("")[0].name == "avx512"
        assert kernels._choose("amx_emulated")[0].name == "amx_emulated"

    def test_other_machines_levels_are_not_for_this_one(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pretend(monkeypatch, EVERY_FEATURE, machine="aarch64")
        assert kernels.lacking(BY_NAME["avx2"]) == "for x86_64 CPUs"
        assert BY_NAME["avx2"] not in kernels.available()

    def test_forcing_a_lower_level(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pretend(monkeypatch, EVERY_FEATURE)
        level, reason = kernels._choose("avx2")
        assert level.name == "avx2"
        assert "LLAMACY_ISA=avx2" in reason

    def test_forcing_what_the_cpu_lacks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pretend(monkeypatch, features_of("amx") - {"amx_bf16", "amx_tile"})
        with pytest.raises(CPUError, match="amx: CPU lacks amx_tile, amx_bf16") as info:
            kernels._choose("amx")
        assert "possible here: scalar, avx2, avx512" in str(info.value)

    @pytest.mark.parametrize(
        ("error", "why"),
        [(errno.ENOSPC, "signal stack is too small"), (errno.EPERM, "not permitted")],
    )
    def test_a_cpu_whose_system_refuses_amx(
        self, error: int, why: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pretend(monkeypatch, features_of("avx512_bf16"))
        refuse(monkeypatch, error)
        level, reason = kernels._choose("")
        assert level.name == "avx512_bf16"
        assert re.search(f"; amx: .*{why}", reason)
        with pytest.raises(CPUError, match=f"amx: .*{why}.*; possible here: scalar"):
            kernels._choose("amx")

    def test_a_refusal_is_no_reason_where_the_cpu_lacks_more(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pretend(monkeypatch, features_of("avx512"))
        refuse(monkeypatch, errno.EPERM)
        wanted = "CPU lacks avx512_bf16, amx_tile, amx_bf16"
        assert kernels.lacking(BY_NAME["amx"]) == wanted

    def test_forcing_what_is_not_built(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pretend(monkeypatch, EVERY_FEATURE, frozenset({"scalar", "avx2"}))
        with pytest.raises(CPUError, match="not built; possible here: scalar, avx2$"):
            kernels._choose("avx512")

    @pytest.mark.parametrize("name", ["sse2", "AVX2", "../cpu", "cpu"])
    def test_forcing_what_does_not_exist(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pretend(monkeypatch, EVERY_FEATURE)
        with pytest.raises(CPUError, match="no such level; possible here: scalar"):
            kernels._choose(name)

    def test_nothing_built(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pretend(monkeypatch, EVERY_FEATURE, frozenset())
        with pytest.raises(CPUError, match="scalar: not built"):
            kernels._choose("")


class TestThisMachine:
    @pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's /proc/cpuinfo")
    def test_features_are_those_linux_names(self) -> None:
        known = EVERY_FEATURE | cpu.FEATURES
        granted = cpu.FEATURES
        listed = cpuinfo_flags() & known
        # Linux names AMX even where a process may not use it.
        amx = {name for name in known if name.startswith("amx_")}
        assert granted - amx == listed - amx
        assert granted & amx in (set(), listed & amx)

    @pytest.mark.skipif("amx" not in AVAILABLE, reason="this machine has no AMX")
    def test_amx_is_left_where_a_signal_stack_is_too_small_for_it(self) -> None:
        """Its registers take 8 KiB, which a handler's stack must have room for."""
        code = (
            f"{SMALL_SIGNAL_STACK}"
            "import llamacy; from llamacy import kernels;"
            "print(*map(kernels.lacking, kernels.LEVELS), sep='; ');"
            "llamacy.load('demo').generate('Once upon a time, ' * 9, max_tokens=2)"
        )
        done = run_python(code, LLAMACY_ISA="")
        assert done.returncode == 0, done.stderr
        assert "; a thread's alternate signal stack is too small" in done.stdout

    @pytest.mark.skipif("amx" not in AVAILABLE, reason="this machine has no AMX")
    def test_a_refusal_is_told_alike_once_its_cause_is_gone(self) -> None:
        """Linux would grant AMX by then, but the level is chosen."""
        code = (
            f"{SMALL_SIGNAL_STACK}"
            "from llamacy import kernels;"
            "print(kernels.reason(), *map(kernels.lacking, kernels.LEVELS));"
            "assert ctypes.CDLL(None).sigaltstack((P * 3)(0, 2, 0), None) == 0;"
            "print(kernels.reason(), *map(kernels.lacking, kernels.LEVELS));"
        )
        done = run_python(code, LLAMACY_ISA="")
        assert done.returncode == 0, done.stderr
        first, second = done.stdout.splitlines()
        assert first == second
        assert "signal stack is too small" in first

    @pytest.mark.parametrize("name", [level.name for level in LEVELS])
    def test_load_imports_the_level_or_says_why_not(self, name: str) -> None:
        if lack := kernels.lacking(BY_NAME[name]):
            with pytest.raises(CPUError, match=lack):
                kernels.load(name)
        else:
            assert "llamacy.kernel_table" in repr(kernels.load(name).table)

    def test_every_level_of_this_machine_is_built(self) -> None:
        lacks = {level.name: kernels.lacking(level) for level in LEVELS}
        unbuilt = {name for name, lack in lacks.items() if lack == "not built"}
        assert unbuilt <= {"amx_emulated"}

    def test_selected_is_the_best_available(self) -> None:
        code = "from llamacy import kernels; print(kernels.selected().name)"
        best = [level.name for level in kernels.available() if not level.emulated][-1]
        assert run_python(code, LLAMACY_ISA="").stdout.split() == [best]

    @pytest.mark.parametrize("level", kernels.available(), ids=lambda level: level.name)
    def test_environment_forces(self, level: Level) -> None:
        code = "from llamacy import kernels; print(kernels.selected().name)"
        done = run_python(code, LLAMACY_ISA=level.name)
        assert done.stdout.split() == [level.name], done.stderr

    def test_importing_imports_no_level(self) -> None:
        code = (
            "import sys; from llamacy import kernels; kernels.available();"
            "kernels.selected(); kernels.reason();"
            "print([l.name for l in kernels.LEVELS"
            " if f'llamacy.kernels.levels.{l.name}' in sys.modules])"
        )
        assert run_python(code, LLAMACY_ISA="").stdout.split() == ["[]"]
