"""The calls that an engine serves: texts, whole or in pieces; scores; logits.

There are four ways to get a text: whole or piece by piece, on a thread that waits or
in a task that awaits. Every public call is one of them, over a function that makes
its requests: checked and tokenized, on another thread where a task asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ArgumentError
from llamacy.generation.cancelling import CancelToken
from llamacy.generation.completions import completion
from llamacy.generation.engine import Engine, arranged, listed
from llamacy.generation.gather import (
    OnProgress,
    gather,
    gather_async,
    made_in_thread,
)
from llamacy.generation.goals.complete import Complete
from llamacy.generation.prompt_logits import prompt_logits
from llamacy.generation.request import Request
from llamacy.generation.streams import AsyncStream, Stream
from llamacy.results import Completion
from llamacy.sampling import SamplingOptions

Prompts: TypeAlias = "list[str] | list[list[int]] | tuple[str, ...]"
"""Several prompts, each a text or token ids."""

MakeRequests = Callable[[], list[Request[Complete]]]
"""Makes the requests of one call; raises what is wrong with its prompts."""


class CallOptions(SamplingOptions, total=False):
    """Sampling options, and the options of one call.

    Attributes
    ----------
    cancel : CancelToken or None
        Ends the text once it is set.
    progress : callable or None
        Called with the share of the prompts that has been read.
    """

    cancel: CancelToken | None
    progress: OnProgress | None


def complete(
    engine: Engine, make: MakeRequests, progress: OnProgress | None
) -> list[Completion]:
    """Run requests to their ends, and return their results."""
    requests = make()
    gather(engine.worker, requests, progress)
    return [completion(request) for request in requests]


async def complete_async(
    engine: Engine, make: MakeRequests, progress: OnProgress | None
) -> list[Completion]:
    """Run requests to their ends without blocking the event loop."""
    requests = await made_in_thread(make)
    await gather_async(engine.worker, requests, progress)
    return [completion(request) for request in requests]


def stream(engine: Engine, make: MakeRequests, progress: OnProgress | None) -> Stream:
    """Start the one request that `make` makes, as a stream of its pieces."""
    (request,) = make()
    return Stream(engine.worker, request, progress)


def stream_async(
    engine: Engine, make: MakeRequests, progress: OnProgress | None
) -> AsyncStream:
    """Return a stream for a task; it makes its request when it starts."""
    return AsyncStream(engine.worker, make, progress)


def score(engine: Engine, text: Any) -> Any:
    """Score a text, or several together; a Score, or a list of them."""
    requests = engine.score_requests(listed(text))
    gather(engine.worker, requests)
    return arranged([request.goal.result for request in requests], text, None)


def logits(engine: Engine, ids: Sequence[int]) -> NDArray[np.float32]:
    """Compute the logits after each of `ids`: float32, (n_tokens, n_vocab)."""
    checked = engine.checked_ids("ids", ids)
    if not checked:
        raise ArgumentError("ids: wanted at least one token, found none")
    return prompt_logits(engine, checked)
