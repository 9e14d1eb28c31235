"""`llamacy bench`: tokens per second, of reading a prompt and of generating."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llamacy.cli.failures import UsageError
from llamacy.cli.options import JSON, KVType, Threads

if TYPE_CHECKING:
    from llamacy.loading import Executor

_SEED = 0


def bench(
    argument: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="GGUF file of the model.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("-m", "--model", metavar="FILE", help="The model, as an option."),
    ] = None,
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
    json: JSON = False,
) -> None:
    """Measure tokens per second: the median of some runs, the least and the most.

    Prompts are of random tokens; what is generated follows an empty prompt.
    """
    if (argument is None) == (model is None):
        raise UsageError("wanted one model: give the path of a GGUF file")
    path = argument or model or ""
    report = _measure(path, n_prompt, n_gen, repetitions, threads, kv_type)
    if json:
        from json import dumps

        print(dumps(report, ensure_ascii=False))
    else:
        _print(report)


def _measure(
    path: str,
    n_prompt: int,
    n_gen: int,
    repetitions: int,
    threads: int | None,
    kv_type: str,
) -> dict[str, Any]:
    import llamacy
    from llamacy import kernels
    from llamacy.cli.info import cpu_name
    from llamacy.cpu_count import default_threads

    threads = default_threads() if threads is None else threads
    with llamacy.load(path, n_threads=threads, kv_type=kv_type) as loaded:
        longest = max(n_prompt, n_gen)
        if longest > loaded.n_ctx:
            raise llamacy.ContextLengthError(longest, loaded.n_ctx)
        tokens = _random_tokens(loaded.config.n_vocab, longest)
        parts = [
            (f"pp{n_prompt}", n_prompt, 0, read_prompt),
            (f"tg{n_gen}", 0, n_gen, generate),
        ]
        results = [
            {
                "test": name,
                "n_prompt": n_read,
                "n_gen": n_written,
                **_rates(
                    work, loaded.executor, tokens[: n_read or n_written], repetitions
                ),
            }
            for name, n_read, n_written, work in parts
            if n_read or n_written
        ]
        n_batch = loaded.executor.n_batch
    return {
        "model": path,
        **_weights(path),
        "version": llamacy.__version__,
        "cpu": cpu_name(),
        "isa": kernels.selected().name,
        "n_threads": threads,
        "n_batch": n_batch,
        "kv_type": kv_type,
        "results": results,
    }


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


def _weights(path: str) -> dict[str, Any]:
    """Return the size of the file's tensors, and the type most of the weights have."""
    from collections import Counter
    from math import prod

    from llamacy.formats.gguf import open_gguf

    n_params: Counter[str] = Counter()  # by type
    with open_gguf(path) as file:
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
    rows = [
        (
            result["test"],
            f"{result['tokens_per_second']:.2f}",
            f"{result['tokens_per_second_min']:.2f}",
            f"{result['tokens_per_second_max']:.2f}",
        )
        for result in report["results"]
    ]
    columns = ["test", "tokens/s", "min", "max"]
    print_table(columns, rows, right="tokens/s min max")
