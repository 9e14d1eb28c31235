"""Tokens that several prompts have in common, and that are read only once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from llamacy.generation.prefix_cache import PrefixCache, common_prefix
from llamacy.generation.reading import n_alike
from llamacy.generation.request import AnyRequest
from llamacy.generation.stages import Stage
from llamacy.ops.state.sequence import SequenceState


class Shared(NamedTuple):
    """The longest prefix of a prompt that another sequence can go back to.

    Attributes
    ----------
    sequence : SequenceState or None
        To be forked before anything else is asked of the cache or the executor.
    n_tokens : int
        Length of the prefix; 0 without a sequence. The prompt's last token is never in
        it, for the logits of the one after it.
    """

    sequence: SequenceState | None
    n_tokens: int


class Alike(NamedTuple):
    """An active request whose tokens begin like a prompt.

    Attributes
    ----------
    request : Request
        It has a sequence.
    n_common : int
        Tokens that both begin with.
    n_held : int
        How many of them its sequence holds already.
    """

    request: AnyRequest
    n_common: int
    n_held: int


def find_alike(request: AnyRequest, active: Iterable[AnyRequest]) -> list[Alike]:
    """Find the other requests in `active` that begin like `request`, if any does."""
    ids, own, alike = _shareable(request), request.context, []
    for other in active:
        context = other.context
        if other is request or context.sequence is None or context.n_long != own.n_long:
            continue
        n_common = common_prefix(context.ids, ids)
        n_common = min(n_common, n_alike(context.adapted_from, own.adapted_from))
        if n_common >= request.goal.min_shared:
            alike.append(Alike(other, n_common, min(n_common, context.n_past)))
    return alike


def longest_shared(
    request: AnyRequest, alike: Iterable[Alike], cache: PrefixCache
) -> Shared:
    """Find the sequence, of active requests or of the cache, that holds most tokens.

    Each counts as far as it can go back to what it shares with the prompt.
    """
    context, n_most = request.context, _most_shared(request)
    found = cache.find(
        _shareable(request),
        n_most=n_most,
        n_long=context.n_long,
        adapted_from=context.adapted_from,
    )
    best = Shared(*found)
    for other in alike:
        sequence = other.request.context.sequence
        assert sequence is not None
        if other.n_held < max(request.goal.min_shared, best.n_tokens + 1):
            continue
        nearest = sequence.nearest(min(other.n_held, n_most))
        if nearest > best.n_tokens:
            best = Shared(sequence, nearest)
    return best


def most_shared_soon(alike: Iterable[Alike]) -> int:
    """Most tokens in common with a request that is reading them just now."""
    return max(
        (
            min(other.n_common, other.request.goal.n_to_read)
            for other in alike
            if other.request.stage is Stage.READING and other.n_held < other.n_common
        ),
        default=0,
    )


def mark_shared(request: AnyRequest, alike: Iterable[Alike]) -> None:
    """Let the others' sequences be able to go back to what they share with `request`.

    It waits until they have read that.
    """
    for other in alike:
        sequence = other.request.context.sequence
        assert sequence is not None
        sequence.mark([min(other.n_common, _most_shared(request))])


def _most_shared(request: AnyRequest) -> int:
    """Count the tokens of a prompt that need not be read: not the last one."""
    return min(request.goal.n_shareable, request.goal.n_to_read - 1)


def _shareable(request: AnyRequest) -> list[int]:
    """Return the first tokens of a prompt, as far as its goal lets them be shared."""
    return request.context.ids[: request.goal.n_shareable]
