"""Each verb at each level, against NumPy and against scalar.h.

One function of `tests.support.verb_cases` says what a verb is, for inputs that are
one-hot, at the limits of their type, NaN, infinite, subnormal and random. Verbs are
exact unless `ABOUT` has a bound.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from llamacy import kernels
from llamacy.kernels.cpu import MACHINE
from llamacy.kernels.levels import Level, levels_of
from tests.support.verb_cases import of_arm, of_bf16, of_floats, of_integers
from tests.support.verb_cases.inputs import F32, SUBNORMAL, Array, Case
from tests.support.verbs import Verbs

# Bounds relative to the sum of the sizes of the summands: a multiplication and an
# addition round once or twice, by level, and sums may be made in any order.
ABOUT = {
    "f_fma": 1e-6,
    "f_fnma": 1e-6,
    "f_sum": 1e-6,
    "b_dot": 1e-6,
    "b_products": 1e-5,
    "T_DOT": 1e-5,
    "t_fraction": 1e-6,
}

# Levels differ in BYTE_ZERO, and in how often they round.
NOT_OF_SCALAR = {"i_bytes", *ABOUT, *of_arm.CASES}

CASES = of_floats.CASES | of_integers.CASES | of_bf16.CASES | of_arm.CASES


# Emulations too, beside the levels that they emulate.
each_level = pytest.mark.parametrize(
    "level",
    levels_of(MACHINE),
    ids=lambda level: level.name,
    indirect=True,
    scope="session",
)


@pytest.fixture(scope="module")
def verbs(level: Level) -> Verbs:
    return Verbs(level.name)


@cache
def scalar() -> Verbs:
    return Verbs("scalar")


@cache
def results_of_scalar(name: str) -> list[tuple[Case, Array]]:
    """Return the calls of a verb, and what scalar.h makes of them."""
    with np.errstate(all="ignore"):
        return [(case, run(scalar(), name, case)) for case in CASES[name](scalar())]


def run(verbs: Verbs, name: str, case: Case) -> Array:
    out = (case.expected.dtype, case.expected.size)
    if name == "b_products":
        rows, ldc = case.n[0], case.n[3]
        all_rows = verbs(
            name, *case.inputs, n=case.n, before=case.before, out=(F32, 16 * ldc)
        ).reshape(16, ldc)
        assert case.before is not None
        np.testing.assert_array_equal(all_rows[:, 32:], case.before[:, 32:])
        return all_rows[:rows, :32]
    return verbs(name, *case.inputs, n=case.n, before=case.before, out=out)


def describe(name: str, case: Case) -> str:
    return f"{name}, n={case.n}: {case.inputs}"


def assert_same(got: Array, want: Array, name: str, case: Case) -> None:
    if got.dtype == want.dtype and got.tobytes() == want.tobytes():
        return  # almost always, and NumPy's comparison takes longer than the verb
    try:
        np.testing.assert_array_equal(got, want)
    except AssertionError as error:
        error.add_note(describe(name, case))
        raise


@each_level
@pytest.mark.parametrize("name", CASES)
def test_each_verb_is_what_verbs_h_says(verbs: Verbs, name: str) -> None:
    if name not in verbs.names:
        pytest.skip("an optional verb that this level does not have")
    with np.errstate(all="ignore"):
        cases = list(CASES[name](verbs))
    assert cases
    for case in cases:
        got = run(verbs, name, case)
        if name in ABOUT:
            difference = np.abs(got.astype(np.float64) - case.expected)
            bound = ABOUT[name] * case.scale + SUBNORMAL
            assert (difference <= bound).all(), describe(name, case)
        else:
            assert_same(got, case.expected, name, case)


@each_level
@pytest.mark.parametrize(
    "name",
    [each for each in CASES if each[:2] in ("f_", "i_") and each not in NOT_OF_SCALAR],
)
def test_each_verb_is_that_of_scalar_h(verbs: Verbs, level: Level, name: str) -> None:
    if level.name == "scalar":
        pytest.skip("scalar.h itself")
    for case, want in results_of_scalar(name):
        if name == "i_dots" and verbs.byte_zero and case.n[3] == 8:
            continue  # signed codes are moved by BYTE_ZERO there, and not here
        assert_same(run(verbs, name, case), want, name, case)


@each_level
def test_no_verb_is_without_a_test(verbs: Verbs) -> None:
    assert set(verbs.names) <= set(CASES)


@each_level
def test_levels_of_bf16_have_its_verbs(verbs: Verbs, level: Level) -> None:
    """Other tests ask a level's verbs whether it rounds; these levels must."""
    if level.name not in ("avx512_bf16", "amx", "amx_emulated", "neon_i8mm"):
        pytest.skip("may be without")
    assert {"b_join", "b_pairs", "b_products"} <= set(verbs.names)
    assert ("T_DOT" in verbs.names) == level.name.startswith("amx")


@each_level
def test_every_level_has_the_verbs_of_scalar_h(verbs: Verbs) -> None:
    assert set(scalar().names) <= set(verbs.names)


@pytest.mark.parametrize("name", CASES)
def test_each_verb_is_tested_at_some_level(name: str) -> None:
    """An optional verb that no level here has could be anything."""
    usable = [each for each in levels_of(MACHINE) if not kernels.lacking(each)]
    if not any(each.emulated for each in usable) and MACHINE == "x86_64":
        pytest.skip("the emulated level is not built, which has the verbs of tiles")
    if name in of_arm.CASES and MACHINE == "x86_64":
        pytest.skip("a verb of ARM")
    assert any(name in Verbs(each.name).names for each in usable)
