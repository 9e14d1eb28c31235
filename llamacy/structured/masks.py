"""Which tokens may follow, as a mask over a row of logits."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ConstraintError, ConstraintLimitError
from llamacy.structured.vocabulary import Vocabulary

_FEW: Final = 4096
"""So few logits are rather moved aside than the others sought."""


class Mask(NamedTuple):
    """The tokens that may follow.

    Attributes
    ----------
    ids : int array or None
        Those tokens, if they are few.
    forbidden : bool array, (n_vocab,), or None
        All others, if they are many.
    is_complete : bool
        Whether the text may end, or must.
    """

    ids: NDArray[np.intp] | None
    forbidden: NDArray[np.bool_] | None
    is_complete: bool

    @property
    def is_empty(self) -> bool:
        """Whether no token may follow, and none ends a text."""
        return self.ids is not None and not len(self.ids)

    @property
    def only(self) -> int | None:
        """The token that must follow, if there is only one."""
        return int(self.ids[0]) if self.ids is not None and len(self.ids) == 1 else None

    def apply(self, logits: NDArray[np.float32]) -> None:
        """Set the logits of all other tokens to `-inf`, in place."""
        if self.ids is None:
            assert self.forbidden is not None
            np.putmask(logits, self.forbidden, -np.inf)
            return
        kept = logits[self.ids]
        logits.fill(-np.inf)
        logits[self.ids] = kept


def mask_of(matcher: Any, vocabulary: Vocabulary, argument: str) -> Mask:
    """Compute the mask of an `LLMatcher`.

    Raises
    ------
    ConstraintLimitError
        It takes too many states.
    ConstraintError
        Nothing may follow and the text is not complete: the vocabulary has no token
        for a character that must come.
    """
    bits = np.frombuffer(matcher.compute_bitmask(), np.uint8)
    if matcher.is_error():
        raise failed(matcher, argument)
    allowed = np.unpackbits(bits, count=vocabulary.end_id + 1, bitorder="little")
    is_complete = bool(allowed[vocabulary.end_id])
    allowed = allowed[: min(vocabulary.n_tokens, vocabulary.n_vocab)]
    if is_complete:
        allowed[vocabulary.eog_ids] = 1
    n_allowed = np.count_nonzero(allowed)
    if not n_allowed and not is_complete:
        raise ConstraintError(
            f"{argument}: wanted a vocabulary with tokens for all its characters, "
            "found none for one that must follow"
        )
    if n_allowed <= _FEW:
        return Mask(np.flatnonzero(allowed), None, is_complete)
    forbidden = np.ones(vocabulary.n_vocab, np.bool_)
    np.equal(allowed, 0, out=forbidden[: len(allowed)])
    return Mask(None, forbidden, is_complete)


def failed(matcher: Any, argument: str) -> ConstraintError:
    """Return the error of an `LLMatcher` that has failed at a token."""
    reason = str(matcher.get_error()).partition("\n")[0]
    if reason.startswith("NoExtension"):
        return ConstraintError(f"{argument}: wanted a form that some text follows")
    return ConstraintLimitError(
        f"{argument}: wanted a constraint of fewer states, found: {reason[:200]}"
    )
