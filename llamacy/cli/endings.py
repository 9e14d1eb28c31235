"""Notes on texts that ended in a way that needs an explanation."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llamacy.model.model import Model
    from llamacy.results import Completion
    from llamacy.sampling import SamplingParams


def note_ending(
    model: Model, completion: Completion, params: SamplingParams, *, answers: bool
) -> None:
    """Print a line to standard error if a text is empty, or cut off by the context.

    Parameters
    ----------
    model : Model
        The model that generated the text.
    completion : Completion
        The text.
    params : SamplingParams
        The options of the call.
    answers : bool
        Whether the text is an answer, rather than a continuation.
    """
    if completion.finish_reason == "cancelled":
        return
    if not completion.text.strip():
        note(_why_empty(model, completion, params, answers))
    elif completion.finish_reason == "length" and params.max_tokens is None:
        what = "answer" if answers else "text"
        note(f"the context is full: the {what} was cut off")


def note_timings(completion: Completion) -> None:
    """Print the timings of a text, and how many tokens were drafted for it."""
    usage, timings = completion.usage, str(completion.timings)
    if usage.drafted_tokens:
        timings += (
            f"; {usage.drafted_tokens} tokens drafted, "
            f"{usage.accepted_tokens} of them taken"
        )
    note(timings)


def note(text: str) -> None:
    """Print a line to standard error."""
    print(f"llamacy: {text}", file=sys.stderr)


def _why_empty(
    model: Model, completion: Completion, params: SamplingParams, answers: bool
) -> str:
    """Return why there is no text, and what to do about it."""
    n_tokens, is_cut = len(completion.tokens), completion.finish_reason == "length"
    if params.max_tokens == 0:
        return "no text: the limit is 0 tokens (-n)"
    if is_cut and not n_tokens:
        return f"no text: the prompt fills the context of {model.n_ctx} tokens (-c)"
    if getattr(completion, "reasoning", ""):
        ended = "the limit (-n) or the context cut off" if is_cut else "the text was"
        return f"no answer: {ended} the reasoning, {n_tokens} tokens"
    if is_cut:
        return f"no text: the {n_tokens} tokens generated are white space"
    if n_tokens and params.stop:
        return "no text: it began with a stop text (-r)"
    return f"no text: the model ended it at once; {_advice(model, answers)}"


def _advice(model: Model, answers: bool) -> str:
    """Return what may help if the first token of a text ends it."""
    from llamacy.chat.formats import has_template

    if answers:
        return "ask in other words, or let it continue the prompt (--raw)"
    if has_template(model.metadata):
        return "it has a chat template: without --raw it answers the prompt"
    return "give it another beginning, or --ignore-eos"
