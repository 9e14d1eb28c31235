"""`llamacy bench`: throughput, and how close it comes to the machine's limits."""

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
    compare,
    generation_cost,
    greatest,
    measure_limits,
    prompt_cost,
)
from llamacy.cli.models import find_model, type_name
from llamacy.cli.options import (
    JSON,
    KVType,
    ModelArgument,
    ModelOption,
    Quantize,
    Threads,
    load_model,
)

if TYPE_CHECKING:
    from llamacy.model.executors import LoadedExecutor
    from llamacy.ops.plan.cost import Cost
    from llamacy.ops.plan.plan import Plan

_SEED = 0


def bench(
    argument: ModelArgument = None,
    model: ModelOption = None,
    n_prompt: Annotated[
        int,
        typer.Option(
            "-p", "--n-prompt", min=0, metavar="N", help="Prompt length; 0: no prompt."
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
        typer.Option(
            "-r", "--repetitions", min=1, metavar="N", help="Runs of each test."
        ),
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
    """Measure throughput in tokens per second: median, minimum and maximum.

    Tests are prefill (pp), with random tokens, and generation (tg), after an
    empty prompt.

    Each is compared with this machine's limits, which are measured before and
    after: generation by the bytes it reads per second (weights, keys and values,
    once per token), prefill by its operations per second (multiplications and
    additions, of matrix products and attention). More than 100 % means that
    another program slowed down the measurement of the limits. If other programs
    kept the machine busy meanwhile, the last line says so.

    With --explain, one prefill pass and one decode pass after it are taken apart
    instead: the steps of each kind, what they read and compute, how long they
    take, and how long this machine would need at least. A model with an MTP head
    has a third one, in which the head drafts a token.
    """
    if (argument is None) == (model is None):
        raise UsageError("wanted one model: give a GGUF file, or a name on the hub")
    name = argument or model or ""
    source = find_model(name)
    file_type = type_name(source, quantize)
    if explain:
        explain_passes(
            name,
            source.path,
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
    report = {"model": name} | _measure(
        source.path,
        quantize=file_type,
        n_prompt=n_prompt,
        n_gen=n_gen,
        repetitions=repetitions,
        threads=threads,
        kv_type=kv_type,
        with_limits=not no_limits,
    )
    if json:
        from json import dumps

        print(dumps(report, ensure_ascii=False))
    else:
        _print(report)


def _measure(
    path: Path,
    *,
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
    from llamacy.ops.plan.plan import Plan
    from llamacy.system.cpu_names import cpu_name
    from llamacy.system.load import LoadMeter
    from llamacy.system.threads import default_threads

    threads = default_threads() if threads is None else threads
    level = kernels.selected().name
    with load_model(str(path), quantize, n_threads=threads, kv_type=kv_type) as loaded:
        plan = loaded.executor
        assert isinstance(plan, Plan)
        longest = max(n_prompt, n_gen)
        if longest > loaded.n_ctx:
            raise llamacy.ContextLengthError(longest, loaded.n_ctx)
        tokens = _random_tokens(loaded.config.n_vocab, longest)
        meter = LoadMeter()
        before = measure_limits(plan, threads, level) if with_limits else None
        tests = _run_tests(plan, tokens, n_prompt, n_gen, repetitions)
        # on a shared machine, bandwidth changes from one moment to the next
        limits = before and greatest(before, measure_limits(plan, threads, level))
        load = meter.read()
    return {
        **_weights(path, quantize),
        "version": llamacy.__version__,
        "cpu": cpu_name(),
        "isa": level,
        "n_threads": threads,
        "n_batch": plan.n_batch,
        "kv_type": kv_type,
        "other_load": load
        and {
            "cpus": load.cpus,
            "stolen": load.stolen,
            "is_busy": load.is_busy,
            "text": str(load),
        },
        "limits": limits,
        "results": [
            test | compare(cost, median(test["seconds"]), limits)
            for test, cost in tests
        ],
    }


def _run_tests(
    plan: Plan, tokens: list[int], n_prompt: int, n_gen: int, repetitions: int
) -> list[tuple[dict[str, Any], Cost]]:
    """Time each test, and compute its cost."""
    tests = []
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
        tests.append((test, cost(plan, n)))
    return tests


def read_prompt(executor: LoadedExecutor, tokens: list[int]) -> None:
    """Prefill `tokens`, up to the logits of the first token to generate."""
    from llamacy.ops.batch import Batch

    sequence = executor.new_sequence()
    try:
        for start in range(0, len(tokens), executor.n_batch):
            chunk = tokens[start : start + executor.n_batch]
            is_last = start + len(chunk) == len(tokens)
            executor.forward(Batch.of(chunk, sequence, "last" if is_last else "none"))
    finally:
        sequence.close()


def generate(executor: LoadedExecutor, tokens: list[int]) -> None:
    """Decode `tokens` one by one, as if they were being generated."""
    from llamacy.ops.batch import Batch

    sequence = executor.new_sequence()
    try:
        for token in tokens:
            executor.forward(Batch.of([token], sequence)).argmax()
    finally:
        sequence.close()


def _rates(
    work: Callable[[LoadedExecutor, list[int]], None],
    executor: LoadedExecutor,
    tokens: list[int],
    repetitions: int,
) -> dict[str, Any]:
    """Return the tokens per second of `work`, run several times."""
    # one run to warm up the caches, the KV cache's pages and the threads
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
    """Return the size of the model's tensors, and the commonest type of its weights."""
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
            f"100 % is this machine's limit: {limits['read_gb_s']:.1f} GB/s, "
            f"reading {in_units(limits['read_bytes'])}, and "
            f"{limits['peak_tflops']:.3f} TFLOPS in {limits['operand']}"
        )
    load = report["other_load"]
    if load and load["is_busy"]:
        print(f"the machine was busy: {load['text']}")


def _row(result: dict[str, Any]) -> list[str]:
    """Return the cells of a result: prefill by operations, generation by bytes."""
    if result["n_prompt"]:
        rate, percent = f"{result['tflops']:.3f} TFLOPS", result["percent_of_peak"]
    else:
        rate = f"{result['gb_per_second']:.1f} GB/s"
        percent = result["percent_of_bandwidth"]
    names = ("tokens_per_second", "tokens_per_second_min", "tokens_per_second_max")
    cells = [result["test"], *(f"{result[name]:.2f}" for name in names), rate]
    return cells if percent is None else [*cells, f"{percent:.0f}"]
