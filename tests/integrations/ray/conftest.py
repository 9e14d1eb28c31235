"""One cluster of two nodes on this machine, for all tests of Ray."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.levels import level_of_rows_alone


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The home folders of the cluster's nodes."""
    return [tmp_path_factory.mktemp("home") for _ in range(2)]


@pytest.fixture(scope="session")
def cluster(homes: list[Path]) -> Iterator[Any]:
    """A cluster of two nodes with a CPU each, which this process is connected to."""
    ray: Any = pytest.importorskip("ray", reason="Ray is absent")
    utils: Any = pytest.importorskip("ray.cluster_utils", reason="Ray is absent")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # it would end workers where other programs take the memory
        patch.setenv("RAY_memory_monitor_refresh_ms", "0")
        # outputs are compared byte for byte
        patch.setenv("LLAMACY_ISA", level_of_rows_alone().name)
        node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
        first, second = ({**node, "env_vars": {"HOME": str(home)}} for home in homes)
        options = {**first, "include_dashboard": False}
        made = utils.Cluster(initialize_head=True, head_node_args=options)
        try:
            made.add_node(**second)
            ray.init(made.address, log_to_driver=False, logging_level="error")
            yield made
        finally:
            ray.shutdown()
            made.shutdown()
