"""The calls that an engine serves: texts, whole or in pieces; scores; logits.

There are five ways to get texts: whole or piece by piece, on a thread that waits or in
a task that awaits; and one by one as they end. Every public call is one of them, over a
function that makes its requests: checked and tokenized, on another thread where a task
asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamacy.arguments import checked_integer
from llamacy.errors import ArgumentError, Interrupted
from llamacy.generation.cancelling import CancelToken, check_cancel
from llamacy.generation.completions import completion
from llamacy.generation.engine import Engine
from llamacy.generation.gather import gather, gather_async, made_in_thread
from llamacy.generation.goals.complete import Complete
from llamacy.generation.jobs import Job, Jobs
from llamacy.generation.prompt_logits import prompt_logits
from llamacy.generation.prompts import PROMPTS, TEXTS, Given, given
from llamacy.generation.request import AnyRequest, Request
from llamacy.generation.streams import AsyncStream, Stream
from llamacy.generation.tally import OnProgress
from llamacy.results import Completion, Score
from llamacy.sampling import SamplingParams

_MAX_SAMPLES = 2**16  # of one prompt; more is a slip of the hand

MakeRequests = Callable[[], list[Request[Complete]]]
"""Makes the one request of a call; raises what is wrong with its prompt."""


def run(engine: Engine, jobs: Jobs[Any], progress: OnProgress | None) -> Any:
    """Run all jobs to their ends, and return their results as they were given.

    Raises
    ------
    Interrupted
        Ctrl-C; it has the results so far.
    """
    begun = jobs.begin_all()
    try:
        gather(engine.worker, _requests_of(begun), progress, jobs.end)
    except KeyboardInterrupt as error:
        so_far = Interrupted(jobs.arranged(begun))
        try:
            raise so_far.with_traceback(error.__traceback__) from None
        finally:
            del so_far
    return jobs.arranged(begun)


async def run_async(
    engine: Engine, jobs: Jobs[Any], progress: OnProgress | None
) -> Any:
    """Run all jobs to their ends without blocking the event loop."""
    begun = await made_in_thread(jobs.begin_all)
    await gather_async(engine.worker, _requests_of(begun), progress, jobs.end)
    return jobs.arranged(begun)


def _requests_of(jobs: Sequence[Job[Any]]) -> list[AnyRequest]:
    return [request for job in jobs for request in job.requests]


def text_jobs(
    engine: Engine,
    prompts: Given,
    params: SamplingParams,
    n: int | None,
    cancel: CancelToken | None,
    on_error: str,
) -> Jobs[Any]:
    """Return the jobs that complete prompts: a Completion of each, or a list of `n`.

    Raises
    ------
    ArgumentError
        A bad `n`, `cancel` or `on_error`.
    """
    if n is not None:
        n = checked_integer("n", n, 1, _MAX_SAMPLES)
    check_cancel(cancel)

    def make(prompt: Any, name: str) -> Job[Any]:
        requests = engine.requests(prompt, params, n or 1, cancel, name=name)
        if n is None:
            return Job(requests, lambda: completion(requests[0]))
        return Job(requests, lambda: [completion(request) for request in requests])

    return Jobs(prompts, lambda: make, on_error)


def texts_job(
    engine: Engine,
    prompts: Sequence[Any],
    params: Sequence[SamplingParams],
    cancel: CancelToken | None = None,
) -> Job[list[Completion]]:
    """Return the job of a text for each prompt and each of `params`, prompt by prompt.

    Raises
    ------
    LlamacyError
        A prompt is invalid or too long.
    """
    requests = [
        request
        for prompt in prompts
        for each in params
        for request in engine.requests(prompt, each, cancel=cancel)
    ]
    return Job(requests, lambda: [completion(request) for request in requests])


def complete(
    engine: Engine, make: MakeRequests, progress: OnProgress | None
) -> Completion:
    """Run the one request that `make` makes to its end, and return its result."""
    result: Completion = run(engine, _only(make), progress)
    return result


async def complete_async(
    engine: Engine, make: MakeRequests, progress: OnProgress | None
) -> Completion:
    """Run one request to its end without blocking the event loop."""
    result: Completion = await run_async(engine, _only(make), progress)
    return result


def _only(make: MakeRequests) -> Jobs[Completion]:
    """Return the only job of a call, whose request is made without a prompt."""

    def job(_: object, __: str) -> Job[Completion]:
        (request,) = made = make()
        return Job(made, lambda: completion(request))

    return Jobs(Given([None], PROMPTS, is_one=True), lambda: job)


def stream(engine: Engine, make: MakeRequests, progress: OnProgress | None) -> Stream:
    """Start the one request that `make` makes, as a stream of its pieces."""
    (request,) = make()
    return Stream(engine.worker, request, progress)


def stream_async(
    engine: Engine, make: MakeRequests, progress: OnProgress | None
) -> AsyncStream:
    """Return a stream for a task; it makes its request when it starts."""
    return AsyncStream(engine.worker, make, progress)


def score(
    engine: Engine,
    text: object,
    progress: OnProgress | None = None,
    on_error: str = "raise",
) -> Any:
    """Score a text, or several together; a Score, or a list of them."""

    def make(one: Any, name: str) -> Job[Score]:
        request = engine.score_request(one, name=name)
        return Job([request], lambda: request.goal.result)

    return measure(engine, Jobs(given(text, TEXTS), lambda: make, on_error), progress)


def measure(engine: Engine, jobs: Jobs[Any], progress: OnProgress | None) -> Any:
    """Run all jobs to their ends, and return their results, which have no parts.

    Ctrl-C raises KeyboardInterrupt: half a measurement tells nothing.
    """
    begun = jobs.begin_all()
    gather(engine.worker, _requests_of(begun), progress, jobs.end)
    return jobs.arranged(begun)


def logits(engine: Engine, ids: Sequence[int]) -> NDArray[np.float32]:
    """Compute the logits after each of `ids`: float32, (n_tokens, n_vocab)."""
    checked = engine.checked_ids("ids", ids)
    if not checked:
        raise ArgumentError("ids: wanted at least one token, found none")
    return prompt_logits(engine, checked)
