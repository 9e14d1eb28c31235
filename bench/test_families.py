"""Families beside LLaMA: no family may use the machine less well than LLaMA does.

Each model, of random weights in the shape of a real one, takes turns with a LLaMA of as
many layers that reads as many weights for each token, so that a drift of the machine's
speed affects both alike. Rates are shares of this machine's limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import pytest
from random_models.shape import Shape
from random_models.shapes import SHAPES
from random_models.sizes import llama_of_size, n_layers_within
from random_models.writing import write_random_model
from summary import add_row
from test_models import random_tokens

import llamacy
from llamacy import kernels
from llamacy.cli.bench import generate, read_prompt
from llamacy.cli.limits import (
    compare,
    generation_cost,
    greatest,
    measure_limits,
    prompt_cost,
)
from llamacy.ops.plan.cost import Cost
from llamacy.ops.plan.plan import Plan

COLUMNS = (
    *("model", "test", "tokens/s", "% of limit"),
    *("LLaMA's tokens/s", "% of limit", "family / LLaMA"),
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A model and the LLaMA of its size, both loaded.

    Attributes
    ----------
    title : str
        Names the model: shape, layers and type.
    family, llama : Model
        The two of them.
    n_threads : int
        Threads that they compute with.
    """

    title: str
    family: llamacy.Model
    llama: llamacy.Model
    n_threads: int


@pytest.fixture(scope="module")
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    name, option = request.param, request.config.getoption
    type_name, n_threads = option("type"), option("threads")
    shape = SHAPES[name]
    n_layer = n_layers_within(shape, type_name, 2**20 * option("size"))
    path = tmp_path_factory.mktemp(name) / "model.gguf"

    def load(one: Shape) -> llamacy.Model:
        write_random_model(one, path, type_name, n_layer=n_layer)
        model = llamacy.load(path, n_threads=n_threads)
        path.unlink()  # what stays in the file stays there until it is unmapped
        return model

    title = f"{name}, {n_layer} layers, {type_name}"
    with load(shape) as family, load(llama_of_size(shape, n_layer)) as llama:
        yield Pair(title, family, llama, n_threads)


def test_generating(pair: Pair, request: pytest.FixtureRequest, benchmark: Any) -> None:
    tokens = random_tokens(pair.family, request.config.getoption("n_gen"))
    rates = take_turns(pair, generate, generation_cost, tokens, benchmark)
    record(request, pair, f"generating {len(tokens)}", "percent_of_bandwidth", rates)


def test_prompt(pair: Pair, request: pytest.FixtureRequest, benchmark: Any) -> None:
    tokens = random_tokens(pair.family, request.config.getoption("n_prompt"))
    rates = take_turns(pair, read_prompt, prompt_cost, tokens, benchmark)
    record(request, pair, f"prompt of {len(tokens)}", "percent_of_peak", rates)


def take_turns(
    pair: Pair,
    work: Callable[[Any, list[int]], None],
    cost: Callable[[Plan, int], Cost],
    tokens: list[int],
    benchmark: Any,
) -> list[dict[str, Any]]:
    """Time the family, and LLaMA before each round; return the rates of both."""
    family, llama = (model.executor for model in (pair.family, pair.llama))
    assert isinstance(family, Plan)
    assert isinstance(llama, Plan)
    of_llama = []

    def time_llama() -> None:
        start = perf_counter()
        work(llama, tokens)
        of_llama.append(perf_counter() - start)

    level = kernels.selected().name
    before = measure_limits(llama, pair.n_threads, level)
    benchmark.pedantic(
        work, (family, tokens), setup=time_llama, rounds=5, warmup_rounds=1
    )
    limits = greatest(before, measure_limits(llama, pair.n_threads, level))
    if benchmark.stats is None:  # with --benchmark-disable
        return []
    rates = []
    for executor, seconds in (
        (family, benchmark.stats.stats.median),
        (llama, median(of_llama[1:])),
    ):
        least = cost(executor, len(tokens))
        speed = {"tokens_per_second": len(tokens) / seconds}
        rates.append(speed | compare(least, seconds, limits))
    benchmark.extra_info |= {"family": rates[0], "llama": rates[1], "limits": limits}
    return rates


def record(
    request: pytest.FixtureRequest,
    pair: Pair,
    test: str,
    of_limit: str,
    rates: list[dict[str, Any]],
) -> None:
    """Put a row into the table at the end."""
    if not rates:
        return
    cells = [
        f"{rate[name]:.1f}"
        for rate in rates
        for name in ("tokens_per_second", of_limit)
    ]
    ratio = rates[0][of_limit] / rates[1][of_limit]
    add_row(request.config, COLUMNS, pair.title, test, *cells, f"{ratio:.3f}")
