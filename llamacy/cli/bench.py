"""`llamacy bench`: tokens per second, and how near that is to the machine's limits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llamacy.cli.explaining import explain_passes
from llamacy.cli.failures import UsageError
from llamacy.cli.limits import (
    compared,
    generation_cost,
    greatest,
    measured,
    prompt_cost,
)
from llamacy.cli.models import find_model, type_name
from llamacy.cli.options import JSON, KVType, ModelOption, Quantize, Threads

if TYPE_CHECKING:
    from llamacy.model.executors import Executor
    from llamacy.ops.plan.cost import Cost
    from llamacy.ops.plan.plan import Plan

_SEED = 0


def bench(
    argument: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="GGUF file, folder, or name on the hub."),
    ] = None,
    model: ModelOption = None,
    n_prompt: Annotated[
        int,
        typer.Option(
            "-p", "--n-prompt", min=0, metavar="N", help="Tokens of prompt; 0: none."
        ),
    ] = 512,
    n_gen: Annotated[
        int,
        typer.Option(
            "-n", "--n-gen", min=0, metavar="N", help="Tokens to generate; 0: none."
        ),
    ] = 128,
    repetitions: Annotated[
        int,
        typer.Option("-r", "--repetitions", min=1, metavar="N", help="Runs of each."),
    ] = 5,
    threads: Threads = None,
    kv_type: KVType = "f16",
    quantize: Quantize = None,
    no_limits: Annotated[
        bool,
        typer.Option("--no-limits", help="Do not measure the machine's limits."),
    ] = False,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Tell where the time of a pass goes instead."),
    ] = False,
    json: JSON = False,
) -> None:
    """Measure tokens per second: the median of some runs, the least and the most.

    Prompts are of random tokens; what is generated follows an empty prompt.

    What this takes comes with it: of generating, the bytes it reads a second
    (weights, keys and values, once for each token); of a prompt, the operations
    a second (multiplications and additions, of matrices and of attention); and
    what percentage that is of this machine's limits, which are measured before
    and after. More than 100 says that something else ran while they were.

    With --explain one pass of a prompt and one of generating after it are taken
    apart instead: the steps of each kind, what they read and compute, how long they
    take, and how long this machine would need at least.
    """
    if (argument is None) == (model is None):
        raise UsageError("wanted one model: give a GGUF file, or a name on the hub")
    source = argument or model or ""
    found = find_model(source)
    file_type = type_name(found, quantize)
    if explain:
        explain_passes(
            source,
            found.path,
            n_prompt=n_prompt,
            n_gen=n_gen,
            repetitions=repetitions,
            n_threads=threads,
            kv_type=kv_type,
            quantize=file_type,
            with_limits=not no_limits,
            as_json=json,
        )
        return
    report = {"model": source} | _measure(
        found.path,
        file_type,
        n_prompt,
        n_gen,
        repetitions,
        threads,
        kv_type,
        not no_limits,
    )
    if json:
        from json import dumps

        print(dumps(report, ensure_ascii=False))
    else:
        _print(report)


def _measure(
    path: Path,
    quantize: str | None,
    n_prompt: int,
    n_gen: int,
    repetitions: int,
    threads: int | None,
    kv_type: str,
    with_limits: bool,
) -> dict[str, Any]:
    import llamacy
    from llamacy import kernels
    from llamacy.cli.info import cpu_name
    from llamacy.ops.plan.plan import Plan
    from llamacy.system.threads import default_threads

    threads = default_threads() if threads is None else threads
    level = kernels.selected().name
    with llamacy.load(
        path, n_threads=threads, kv_type=kv_type, quantize=quantize
    ) as loaded:
        plan = loaded.executor
        assert isinstance(plan, Plan)
        longest = max(n_prompt, n_gen)
        if longest > loaded.n_ctx:
            raise llamacy.ContextLengthError(longest, loaded.n_ctx)
        tokens = _random_tokens(loaded.config.n_vocab, longest)
        before = measured(plan, threads, level) if with_limits else None
        timed = _timed(plan, tokens, n_prompt, n_gen, repetitions)
        # a machine that others share may read faster at one time than at another
        limits = before and greatest(before, measured(plan, threads, level))
    return {
        **_weights(path, quantize),
        "version": llamacy.__version__,
        "cpu": cpu_name(),
        "isa": level,
        "n_threads": threads,
        "n_batch": plan.n_batch,
        "kv_type": kv_type,
        "limits": limits,
        "results": [
            test | compared(cost, median(test["seconds"]), limits)
            for test, cost in timed
        ],
    }


def _timed(
    plan: Plan, tokens: list[int], n_prompt: int, n_gen: int, repetitions: int
) -> list[tuple[dict[str, Any], Cost]]:
    """Time each test, and count what it takes."""
    timed = []
    for kind, n, work, cost in [
        ("pp", n_prompt, read_prompt, prompt_cost),
        ("tg", n_gen, generate, generation_cost),
    ]:
        if n == 0:
            continue
        test = {
            "test": f"{kind}{n}",
            "n_prompt": n if kind == "pp" else 0,
            "n_gen": n if kind == "tg" else 0,
            **_rates(work, plan, tokens[:n], repetitions),
        }
        timed.append((test, cost(plan, n)))
    return timed


def read_prompt(executor: Executor, tokens: list[int]) -> None:
    """Read `tokens` as a prompt, up to the logits of the first token to generate."""
    from llamacy.ops.batch import Batch

    sequence = executor.new_sequence()
    try:
        for start in range(0, len(tokens), executor.n_batch):
            part = tokens[start : start + executor.n_batch]
            last = start + len(part) == len(tokens)
            executor.forward(Batch.of(part, sequence, "last" if last else "none"))
    finally:
        sequence.close()


def generate(executor: Executor, tokens: list[int]) -> None:
    """Read `tokens` one by one, as generating does."""
    from llamacy.ops.batch import Batch

    sequence = executor.new_sequence()
    try:
        for token in tokens:
            executor.forward(Batch.of([token], sequence)).argmax()
    finally:
        sequence.close()


def _rates(
    work: Callable[[Executor, list[int]], None],
    executor: Executor,
    tokens: list[int],
    repetitions: int,
) -> dict[str, Any]:
    """Tokens per second of `work`, each time with a sequence of its own."""
    # Once for the caches, the pages and the threads to be there.
    work(executor, tokens if work is read_prompt else tokens[:4])
    seconds = []
    for _ in range(repetitions):
        start = perf_counter()
        work(executor, tokens)
        seconds.append(perf_counter() - start)
    return {
        "n_repetitions": repetitions,
        "tokens_per_second": len(tokens) / median(seconds),
        "tokens_per_second_min": len(tokens) / max(seconds),
        "tokens_per_second_max": len(tokens) / min(seconds),
        "seconds": seconds,
    }


def _random_tokens(n_vocab: int, n: int) -> list[int]:
    import numpy as np

    tokens: list[int] = np.random.default_rng(_SEED).integers(n_vocab, size=n).tolist()
    return tokens


def _weights(path: Path, quantize: str | None) -> dict[str, Any]:
    """Return the size of the model's tensors, and the type most of the weights have."""
    from collections import Counter
    from math import prod

    from llamacy.model_files.opening import open_model_as

    n_params: Counter[str] = Counter()  # by type
    with open_model_as(path, quantize) as file:
        for tensor in file.tensors.values():
            n_params[tensor.type.name] += prod(tensor.shape)
        n_bytes = sum(tensor.n_bytes for tensor in file.tensors.values())
    return {
        "model_type": n_params.most_common(1)[0][0],
        "model_bytes": n_bytes,
        "n_params": n_params.total(),
    }


def _print(report: dict[str, Any]) -> None:
    from llamacy.cli.tables import in_units, print_table

    print(
        f"{report['model']}: {report['model_type']}, "
        f"{in_units(report['model_bytes'])}, {report['n_params']:,} parameters\n"
        f"{report['cpu']}: {report['isa']}, {report['n_threads']} threads"
    )
    limits = report["limits"]
    columns = ["test", "tokens/s", "min", "max", "rate", *(["%"] if limits else [])]
    print_table(columns, map(_row, report["results"]), right=" ".join(columns[1:]))
    if limits:
        print(
            f"100 % is what this machine can do: {limits['read_gb_s']:.1f} GB/s, "
            f"reading {in_units(limits['read_bytes'])}, and "
            f"{limits['peak_tflops']:.3f} TFLOPS in {limits['operand']}"
        )


def _row(result: dict[str, Any]) -> list[str]:
    """Cells of one result: of a prompt its operations, of generating its reading."""
    if result["n_prompt"]:
        rate, percent = f"{result['tflops']:.3f} TFLOPS", result["percent_of_peak"]
    else:
        rate = f"{result['gb_per_second']:.1f} GB/s"
        percent = result["percent_of_bandwidth"]
    names = ("tokens_per_second", "tokens_per_second_min", "tokens_per_second_max")
    cells = [result["test"], *(f"{result[name]:.2f}" for name in names), rate]
    return cells if percent is None else [*cells, f"{percent:.0f}"]
