"""The result of a request that completes a prompt."""

from __future__ import annotations

from collections.abc import Sequence

from llamacy.generation.goals.complete import Complete
from llamacy.generation.request import Request
from llamacy.results import Completion, Piece
from llamacy.structured.parsing import with_value


def completion(request: Request[Complete]) -> Completion:
    """Return the whole result.

    Raises
    ------
    MismatchError
        The class that the text was to be an instance of refuses it.
    """
    goal, output = request.goal, request.goal.output
    whole = Completion(
        text=output.text,
        tokens=list(output.tokens),
        finish_reason=goal.finish_reason or "cancelled",
        usage=request.usage(len(output.tokens)),
        timings=request.timings,
        logprobs=output.logprobs,
        prompt_logprobs=goal.prompt_logprobs,
    )
    return with_value(whole, goal.form, output.text)


def completion_so_far(
    request: Request[Complete], pieces: Sequence[Piece]
) -> Completion:
    """Return the result as far as the reader of a stream has taken its pieces."""
    tokens = [token for piece in pieces for token in piece.tokens]
    logprobs = [one for piece in pieces for one in piece.logprobs or ()]
    has_logprobs = request.goal.output.logprobs is not None
    return Completion(
        text="".join(piece.text for piece in pieces),
        tokens=tokens,
        finish_reason="cancelled",
        usage=request.usage(len(tokens)),
        timings=request.timings,
        logprobs=logprobs if has_logprobs else None,
        prompt_logprobs=request.goal.prompt_logprobs,
    )
