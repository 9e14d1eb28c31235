"""`llamacy batch`: the rows of a file to their answers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from llamacy.cli.batch_options import RowFlags
from llamacy.cli.failures import UsageError
from llamacy.cli.option_groups import takes_groups
from llamacy.cli.options import LoadingFlags, MaxActive, ModelArgument, ModelOption
from llamacy.cli.progress_bar import ProgressBar
from llamacy.cli.sampling_options import SamplingFlags, given_options
from llamacy.cli.structure_options import StructureFlags
from llamacy.cli.text_input import model_and_words

if TYPE_CHECKING:
    from llamacy.jobs.progress import JobProgress

_MINUTE, _HOUR, _DAY = 60, 3600, 86400  # seconds


@takes_groups
def batch(
    context: typer.Context,
    argument: ModelArgument = None,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IN OUT",
            help="The input, .jsonl, .csv or .parquet; the output, .jsonl or .parquet. "
            "Either may be an s3:// or gs:// address.",
        ),
    ] = None,
    model: ModelOption = None,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N", show_default="all", help="Most rows, from the first."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an output that exists.")
    ] = False,
    ledger: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            show_default="OUT.part",
            help="Where answers are kept until OUT is written.",
        ),
    ] = None,
    max_active: MaxActive = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Ray cluster that answers: auto, local or host:port.",
        ),
    ] = None,
    rows: RowFlags = RowFlags(),  # noqa: B008 -- frozen
    sampling: SamplingFlags = SamplingFlags(),  # noqa: B008 -- frozen
    structure: StructureFlags = StructureFlags(),  # noqa: B008 -- frozen
    loading: LoadingFlags = LoadingFlags(),  # noqa: B008 -- frozen
) -> None:
    """Answer all rows of a file, and write a file of answers.

    Rows are requests in the form of OpenAI's batches; or, with --prompt, a template
    makes a prompt of each row's columns, which the output has beside the answers.

    A batch that was interrupted, by Ctrl-C say, resumes where it was when the command
    is run again, and its output is the same.
    """
    from llamacy.jobs.local import LocalJob

    path, words = model_and_words(argument, files, model)
    if len(words) != 2:
        raise UsageError(f"wanted an input and an output, found {len(words)} files")
    source, target = words
    task = rows.task(sampling, structure, given_options(context))
    with LocalJob(
        source, target, task, limit=limit, overwrite=overwrite, ledger=ledger
    ) as job:
        if ray is not None:
            from llamacy.jobs.ray.driving import run_on_ray
            from llamacy.jobs.ray.worker import LoadArguments

            arguments = LoadArguments(*loading.arguments(path, max_active=max_active))
            done = _run(partial(run_on_ray, job, arguments, ray))
        else:
            with loading.load(path, max_active=max_active) as loaded:
                done = _run(partial(job.run, loaded))
    print(_summary(job.target, done))


def _run(run: Callable[..., JobProgress]) -> JobProgress:
    """Run a job to its end; say after Ctrl-C how to go on."""
    last: JobProgress | None = None
    with ProgressBar("answering") as bar:

        def show(progress: JobProgress) -> None:
            nonlocal last
            last = progress
            bar.describe(_speed(progress))
            bar(progress.share)

        try:
            return run(progress=show)
        except KeyboardInterrupt:
            n_done = last.n_done if last is not None else 0
            note = f"about {n_done:,} rows are done; the same command goes on"
            print(f"llamacy: ended: {note}", file=sys.stderr)
            raise


def _speed(progress: JobProgress) -> str:
    parts = [
        f"{progress.n_done:,} rows",
        f"{progress.rows_per_second:.3g} rows/s",
        f"{progress.tokens_per_second:,.0f} tokens/s",
    ]
    if (left := progress.seconds_left) is not None:
        parts.append(f"{span(left)} left")
    return ", ".join(parts)


def _summary(target: str, done: JobProgress) -> str:
    parts = [f"{target}: {done.n_done:,} rows"]
    if done.n_before:
        parts.append(f"{done.n_before:,} of them from before")
    if done.n_failed:
        parts.append(f"{done.n_failed:,} with errors")
    return ", ".join(parts)


def span(seconds: float) -> str:
    """Return a length of time in two units at most.

    >>> span(75), span(4000), span(200000)
    ('1 min 15 s', '1 h 6 min', '2 d 7 h')
    """
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"
