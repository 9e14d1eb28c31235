"""How far ahead weights of few rows are prefetched: by CPU, or as told."""

from __future__ import annotations

import pytest

from llamacy.errors import ArgumentError
from llamacy.kernels import cpu, weight_reading

choose = weight_reading._choose


def test_the_maker_of_the_cpu_decides() -> None:
    assert choose("", "GenuineIntel") == (3072, "the default for GenuineIntel")
    for other in ("AuthenticAMD", ""):
        assert choose("", other) == (0, "one stream, the default")


@pytest.mark.parametrize("vendor", ["GenuineIntel", "AuthenticAMD"])
@pytest.mark.parametrize("ahead", [0, 2048, 1 << 20])
def test_the_environment_forces_a_distance(vendor: str, ahead: int) -> None:
    reason = f"forced by LLAMACY_WEIGHTS_AHEAD={ahead}"
    assert choose(str(ahead), vendor) == (ahead, reason)


@pytest.mark.parametrize(
    "forced", ["far", "-64", "1e3", "\u0663", str((1 << 20) + 1), "9" * 5000]
)
def test_what_is_no_distance_is_refused(forced: str) -> None:
    with pytest.raises(
        ArgumentError, match="LLAMACY_WEIGHTS_AHEAD: wanted bytes, 0 to"
    ):
        choose(forced, "GenuineIntel")


def test_the_maker_is_that_of_the_machine() -> None:
    assert cpu.vendor().isprintable()
    assert (cpu.MACHINE == "x86_64") == (cpu.vendor() != "")
