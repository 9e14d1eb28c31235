"""Jobs: the rows of a file to their answers, however many there are.

::

    running     `run`: a job from its input to its output
    local       a job in this process
    progress    how far it has come, and how fast
    ledger      the results so far, in a file beside the output
    late_sync   contents of a file that are on the disk soon
    identity    the identity of a model
    inputs      files of rows
    outputs     files of results
    storage     files of this machine, and objects of stores
    ids         requests with one id
    packages    packages of others
    ray         a job on a cluster of machines

These know neither files nor processes, and run in any worker:

::

    rows        a line, or fields by name
    templates   "Summarise: {text}"
    tasks       rows to calls of a model, and outcomes to results
    columns     prompts made of fields, and columns of answers
    requests    requests in the form of OpenAI's batches
    ordering    some rows at a time, those that begin alike together
    answering   a model and rows to results
"""

from llamacy.jobs.progress import JobProgress
from llamacy.jobs.running import run

__all__ = ["JobProgress", "run"]
