"""The simulation of a cluster: what it says of clusters that one can tell by heart."""

from __future__ import annotations

import cluster_sim
import pytest
from cluster_sim import Cluster, Outcome, Simulation

SMALL = {"workers": 8, "rows": 6000, "rate": 10.0, "slow": 0.0, "model": 0.0}


def outcome(**given: float) -> Outcome:
    return Simulation(Cluster(**{**SMALL, **given})).run()


def test_a_cluster_without_faults_computes_all_the_time() -> None:
    found = outcome(spread=0.0, start=0.0)
    assert found.seconds == pytest.approx(6000 / 80, rel=0.03)
    assert found.efficiency > 0.97
    assert found.again < 100


def test_a_driver_can_take_so_many_rows() -> None:
    found = outcome(rate=1000.0, row_cost=1e-3)
    assert 6.0 < found.seconds < 7.5 + Cluster.start
    assert found.efficiency < 0.2


def test_what_lost_workers_had_is_computed_again() -> None:
    found = outcome(days_between_failures=30 / 86400)
    assert found.seconds > 1.2 * outcome().seconds


def test_a_slow_worker_does_not_hold_up_the_others() -> None:
    slow = outcome(slow=0.2, slowness=100.0)
    assert slow.efficiency > 0.85
    assert slow.tail < 15


def test_a_model_comes_to_one_machine_after_another() -> None:
    """The last of eight has it after eight seconds."""
    near, far = (outcome(model=size, bandwidth=1.0) for size in (0.0, 1.0))
    assert 3 < far.seconds - near.seconds < 6


def test_the_command_says_what_a_job_takes(capsys: pytest.CaptureFixture[str]) -> None:
    cluster_sim.main(["--workers", "4", "--rows", "400"])
    assert "of the workers' speed, driver busy" in capsys.readouterr().out
