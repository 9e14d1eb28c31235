"""A job whose rows the workers of a cluster answer."""

from __future__ import annotations

import os

from llamacy.generation.cancelling import CancelToken
from llamacy.jobs.local import LocalJob
from llamacy.jobs.progress import JobProgress, Meter, OnProgress
from llamacy.jobs.ray.clusters import connected
from llamacy.jobs.ray.crew import Crew
from llamacy.jobs.ray.resources import memory_of
from llamacy.jobs.ray.worker import LoadArguments
from llamacy.model_files.sources import DEMO


def run_on_ray(
    job: LocalJob,
    arguments: LoadArguments,
    address: str,
    *,
    progress: OnProgress | None = None,
    cancel: CancelToken | None = None,
) -> JobProgress:
    """Do the rows of a job that are left on a cluster, and write the output.

    Parameters
    ----------
    job : LocalJob
        The job, which is checked.
    arguments : LoadArguments
        Arguments with which each worker loads the model.
    address : str
        The cluster's address.
    progress : callable, optional
        Called with a `JobProgress` now and then.
    cancel : CancelToken, optional
        Once it is set, the job ends, to be gone on with.

    Returns
    -------
    JobProgress
        Its `is_complete` is False if it was cancelled.

    Raises
    ------
    ArgumentError
        There is no cluster at the address; or as for `LocalJob.run`.
    LlamacyError
        No node can load the model, or all nodes are lost.
    """
    memory = memory_of(arguments) if _is_here(arguments) else 0
    with connected(address), Crew(job.task, arguments, memory) as crew:
        identity = crew.identity(cancel)
        if identity is None:
            return Meter(0).progress()
        return job.run_by(identity, crew.answers, progress=progress, cancel=cancel)


def _is_here(arguments: LoadArguments) -> bool:
    """Whether this machine has the model's file, too: names may be downloads."""
    return os.path.exists(arguments.source) or arguments.source == DEMO
