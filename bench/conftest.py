"""The benchmarks' options, and rates in addition to pytest-benchmark's times."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from random_models.shapes import SHAPES
from summary import lines

from llamacy.system.threads import default_threads


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("llamacy")
    group.addoption(
        "--model", action="append", default=[], help="GGUF file; repeatable"
    )
    group.addoption(
        "--shape", action="append", default=[], choices=SHAPES, help="repeatable"
    )
    group.addoption("--type", default="Q4_0", help="file type of models of a shape")
    group.addoption(
        "--size", type=int, default=1500, help="most MiB of their files: fewer layers"
    )
    group.addoption("--threads", type=int, default=default_threads())
    group.addoption("--n-prompt", type=int, default=512, help="tokens of prompt")
    group.addoption("--n-gen", type=int, default=64, help="tokens to generate")
    group.addoption("--width", type=int, default=4096, help="columns, 256 or more")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "model" in metafunc.fixturenames:
        models = metafunc.config.getoption("model")
        names = [Path(model).name for model in models]
        metafunc.parametrize("model", models, indirect=True, scope="module", ids=names)
    if "pair" in metafunc.fixturenames:
        shapes = metafunc.config.getoption("shape")
        metafunc.parametrize("pair", shapes, indirect=True, scope="module")


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for line in lines(config):
        terminalreporter.write_line(line)


@pytest.fixture
def n_threads(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("threads"))


@pytest.fixture
def measure(benchmark: Any) -> Callable[..., None]:
    """Time `work`; record each of its `amounts` as a rate per second."""

    def run(work: Callable[[], object], **amounts: float) -> None:
        benchmark(work)
        if benchmark.stats is not None:  # None with --benchmark-disable
            median = benchmark.stats.stats.median
            for name, amount in amounts.items():
                benchmark.extra_info[f"{name}_per_second"] = amount / median

    return run
