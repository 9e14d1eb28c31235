"""`run`: a job from its input to its output."""

from __future__ import annotations

import os
from typing import Any, Unpack

from llamacy.arguments import check_callback, checks_options, is_path, short
from llamacy.chat.calls import ChatOptions
from llamacy.errors import ArgumentError
from llamacy.generation.cancelling import CancelToken, check_cancel
from llamacy.jobs.columns import ANSWER, ColumnTask
from llamacy.jobs.local import LocalJob
from llamacy.jobs.progress import JobProgress, OnProgress
from llamacy.jobs.requests import RequestTask
from llamacy.jobs.tasks import Task
from llamacy.model.loading import load
from llamacy.model.model import Model


@checks_options(ChatOptions)
def run(
    model: Model | str | os.PathLike[str],
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    prompt: str | None = None,
    system: str | None = None,
    raw: bool | None = None,
    answer: str = ANSWER,
    limit: int | None = None,
    overwrite: bool = False,
    ledger: str | os.PathLike[str] | None = None,
    ray: str | None = None,
    progress: OnProgress | None = None,
    cancel: CancelToken | None = None,
    **options: Unpack[ChatOptions],
) -> JobProgress:
    r"""Answer all rows of a file, however many there are, and write a file of answers.

    Rows are requests in the form of OpenAI's batches; or, with a `prompt`, a template
    makes prompts of their fields. As many are under way as the model decodes together,
    and few are in memory. A row that fails has its error in the place of its answer,
    and the others go on.

    A job that ends before its output is written, by Ctrl-C, a full disk or a power cut,
    resumes where it was when it is started again: each answer is kept beside the
    output, in a file whose name ends in ``.part``, as soon as it is there. At every
    level but `amx` the output is the same, byte for byte, as without an interruption.

    Parameters
    ----------
    model : Model, str or os.PathLike
        The model, or a source of one as for `llamacy.load`.
    source : str or os.PathLike
        The input: JSON lines (``.jsonl``, ``.ndjson``), CSV with a row of names
        (``.csv``, ``.tsv``), or Parquet, which needs pyarrow. It may be an object of
        S3 or Google Cloud Storage, such as ``"s3://bucket/in.jsonl"``.
    target : str or os.PathLike
        The output: JSON lines or Parquet. It has the rows of the input in their order,
        with all their columns, and is written once all rows are done. It may be an
        object as well.
    prompt : str, optional
        A template, such as ``"Summarise: {text}"``: names of columns in braces, which
        the fields are put in place of. ``{{`` is a brace. Without it, lines are
        requests to ``/v1/chat/completions``, ``/v1/completions`` and
        ``/v1/embeddings``, and the output has OpenAI's form.
    system : str, optional
        A system message before each prompt.
    raw : bool, optional
        Whether to continue prompts as they are, rather than to answer them; by default
        if the model has no chat template.
    answer : str, default "answer"
        Name of the column of answers. Beside it are `finish_reason`, `prompt_tokens`,
        `completion_tokens` and `error`; with another name their names begin with it:
        ``summary``, ``summary_error``.
    limit : int, optional
        Most rows, from the first one; to try a job, say. It may be another when the job
        is resumed.
    overwrite : bool, default False
        Whether an output that exists is replaced, once the new one is written.
        A key that may put objects, but not look at them, needs it.
    ledger : str or os.PathLike, optional
        The file that keeps the answers until the output is written. By default it is
        beside the output, with ``.part`` behind its name; and for an object, in the
        current directory.
    ray : str, optional
        Address of a Ray cluster whose nodes answer the rows: ``"auto"`` for the one
        that this machine belongs to, ``"host:port"``, or
        ``"local"`` for one of this machine alone. Each node loads the model, which it
        must have at the same path, or by a name on the hub. Rows of workers that are
        lost are answered by others.
    progress : callable, optional
        Called with a `JobProgress` now and then, and at the end.
    cancel : CancelToken, optional
        Anything with ``is_set()``: once it is set, the job ends after the pass at hand,
        and can be resumed.
    **options : ChatOptions
        Options of `Model.chat`, or of `Model.generate` for raw prompts, for all rows.
        Requests have their own instead, all but the `seed`: it is the job's, 0 unless
        given, and a row's own follows from it and from the row's position, so that the
        same job gives the same answers.

    Returns
    -------
    JobProgress
        The number of rows, of those that failed, and of tokens.

    Raises
    ------
    ArgumentError
        Before the model is loaded: a template with an unknown column, an empty input, a
        bad option, two requests with one id, no cluster at the address, or what an
        earlier run has left is of another job; the message says what differs.
    ModelFileError
        A file or object cannot be read or written, the output exists, or another
        process is writing it.
    FormatError
        The input is broken.
    MissingPackageError
        Parquet files and objects need pyarrow, forms of answers llguidance, and
        clusters Ray.

    Examples
    --------
    >>> import llamacy.jobs
    >>> with open("capitals.csv", "w") as file:
    ...     _ = file.write("country\nFrance\nItaly\n")
    >>> done = llamacy.jobs.run(
    ...     "demo",
    ...     "capitals.csv",
    ...     "capitals.jsonl",
    ...     prompt="The capital of {country} is",
    ...     raw=True,
    ...     temperature=0,
    ... )
    >>> done.n_done, done.n_failed
    (2, 0)
    >>> import json
    >>> for line in open("capitals.jsonl"):
    ...     print(json.loads(line)["answer"])
     Paris
     Rome
    """
    if not isinstance(model, Model) and not is_path(model):
        raise ArgumentError(f"model: wanted a Model or a path, found {short(model)}")
    given: dict[str, Any] = {**options}
    if (seed := given.pop("seed", None)) is None:
        seed = 0
    task: Task = RequestTask(seed=seed)
    if prompt is not None:
        task = ColumnTask(
            prompt=prompt,
            system=system,
            raw=raw,
            seed=seed,
            answer=answer,
            options=given,
        )
    else:
        _refuse_options({**given, "system": system, "raw": raw}, answer)
    check_callback("progress", progress)
    check_cancel(cancel)
    with LocalJob(
        source, target, task, limit=limit, overwrite=overwrite, ledger=ledger
    ) as job:
        if ray is not None:
            from llamacy.jobs.ray.driving import run_on_ray
            from llamacy.jobs.ray.worker import LoadArguments

            arguments = LoadArguments.of(model)
            return run_on_ray(job, arguments, ray, progress=progress, cancel=cancel)
        if isinstance(model, Model):
            return job.run(model, progress=progress, cancel=cancel)
        with load(model) as loaded:
            return job.run(loaded, progress=progress, cancel=cancel)


def _refuse_options(options: dict[str, Any], answer: str) -> None:
    """Refuse options of prompts where rows are requests.

    Raises
    ------
    ArgumentError
        One was given.
    """
    given = [name for name, value in options.items() if value is not None]
    if answer != ANSWER:
        given.append("answer")
    if given:
        raise ArgumentError(
            f"{given[0]}: requests have options of their own; wanted a prompt beside it"
        )
