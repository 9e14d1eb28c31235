"""The CPU's name, from files like Linux's."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamacy.system.cpu_names import cpu_name


def name_of(root: Path, text: str) -> str:
    """Return the name on a machine whose /proc/cpuinfo is `text`."""
    (root / "proc").mkdir()
    (root / "proc/cpuinfo").write_text(text)
    return cpu_name(str(root))


def core(designer: str, part: str) -> str:
    return f"processor\t: 0\nCPU implementer\t: {designer}\nCPU part\t: {part}\n\n"


def test_x86_cpus_have_a_name(tmp_path: Path) -> None:
    text = "processor\t: 0\nmodel name\t: AMD EPYC: 9R14\nmodel name\t: other\n"
    assert name_of(tmp_path, text) == "AMD EPYC: 9R14"


@pytest.mark.parametrize(
    ("cores", "name"),
    [
        ([("0x41", "0xd0c")] * 4, "4 x ARM Neoverse N1"),
        ([("0x61", "0x22"), ("0x61", "0x23")], "2 x Apple M1"),
        (
            [("0x41", "0xd05")] * 2 + [("0x41", "0xd0b")],
            "2 x ARM Cortex-A55, 1 x ARM Cortex-A76",
        ),
        ([("0x41", "0xfff")], "1 x ARM part 0xfff"),
        ([("0x7f", "0x1")], "1 x designer 0x7f part 0x1"),
    ],
)
def test_arm_cpus_are_named_by_their_cores(
    cores: list[tuple[str, str]], name: str, tmp_path: Path
) -> None:
    assert name_of(tmp_path, "".join(core(*each) for each in cores)) == name


@pytest.mark.parametrize("text", ["", "CPU part\t: none\n", "model name\t: \n"])
def test_a_machine_without_a_name_has_its_architecture(
    text: str, tmp_path: Path
) -> None:
    assert name_of(tmp_path, text)
