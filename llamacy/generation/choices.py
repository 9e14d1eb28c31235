"""The likeliest of several labels after a prompt.

Forms of labels that differ in their last token alone are one request. So labels of one
token need no more than the pass that reads the prompt; the other requests share the
prompt with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from llamacy.arguments import checked_choice
from llamacy.errors import CancelledError, ContextLengthError
from llamacy.generation.cancelling import CancelToken, check_cancel
from llamacy.generation.engine import Engine
from llamacy.generation.goals.continuations import Continuations
from llamacy.generation.jobs import Job
from llamacy.generation.labels import Form, checked_labels, label_forms
from llamacy.generation.prompts import Prompt
from llamacy.generation.request import Request
from llamacy.results import Choice

Normalize: TypeAlias = Literal["sum", "mean"]
"""Whether labels are compared by the likelihood of all their tokens, or by its mean."""


class Ballot:
    """The labels of one call, and how to choose among them after a prompt.

    Parameters
    ----------
    engine : Engine
        Tokenizes prompts and labels.
    labels : iterable of str
        The texts to choose from.
    normalize : {"sum", "mean"}
        How to compare them.
    cancel : CancelToken, optional
        Ends the call once it is set.

    Raises
    ------
    ArgumentError
        No labels, an invalid one or one given twice, or an invalid option.
    """

    def __init__(
        self,
        engine: Engine,
        labels: object,
        normalize: Normalize,
        cancel: CancelToken | None,
    ) -> None:
        self._engine = engine
        self._labels = checked_labels(labels)
        choice = checked_choice("normalize", normalize, ("sum", "mean"))
        self._is_mean = choice == "mean"
        check_cancel(cancel)
        self._cancel = cancel

    def job(self, prompt: Prompt, name: str) -> Job[Choice]:
        """Return the job that leads to the choice for a prompt.

        Raises
        ------
        ContextLengthError
            The prompt and a label have more than `n_ctx` tokens.
        ArgumentError
            A bad prompt, which the error calls `name`, or a label that the vocabulary
            cannot write.
        """
        n_ctx, long_texts = self._engine.n_ctx, self._engine.executor.long_texts
        ids, forms = label_forms(self._engine, prompt, self._labels, name)
        # Forms by the tokens before their last one; the shortest are read first.
        groups: dict[Form, list[Form]] = {}
        for form in sorted((form for each in forms for form in each), key=len):
            if len(ids) + len(form) > n_ctx:
                raise ContextLengthError(len(ids) + len(form), n_ctx)
            groups.setdefault(form[:-1], []).append(form)
        requests = [
            Request(
                Continuations(
                    ids, common, [form[-1] for form in group], n_ctx, long_texts
                ),
                cancel=self._cancel,
            )
            for common, group in groups.items()
        ]

        n_longest = len(ids) + max(len(form) for each in forms for form in each)
        for request in requests:  # texts of other rotations cannot be compared
            request.context.be_as_long_as(n_longest)

        def choice() -> Choice:
            found = dict(_likelihoods(requests, groups.values()))
            return _choice(self._labels, forms, _apart(found), is_mean=self._is_mean)

        return Job(requests, choice)


def _likelihoods(
    requests: Iterable[Request[Continuations]], groups: Iterable[list[Form]]
) -> Iterator[tuple[Form, float]]:
    """Yield the logarithm of each form's probability.

    Raises
    ------
    CancelledError
        A request was cancelled.
    """
    for request, forms in zip(requests, groups, strict=True):
        if request.goal.logprobs is None:
            raise CancelledError("the choice was cancelled")
        yield from zip(forms, request.goal.logprobs, strict=True)


def _apart(logprobs: dict[Form, float]) -> dict[Form, float]:
    """Take from each form the probability of longer forms that begin with it.

    The rest is the probability that the text goes on with this form, and with none of
    the longer ones.
    """
    longer: dict[Form, float] = {}  # probability of longer forms, given the shorter
    for form, logprob in logprobs.items():
        # The longest form that this one begins with: others have lost it already.
        for end in range(len(form) - 1, 0, -1):
            if (begin := form[:end]) in logprobs:
                share = math.exp(logprob - logprobs[begin])
                longer[begin] = longer.get(begin, 0.0) + share
                break
    return {
        form: logprob + _log(1.0 - longer.get(form, 0.0))
        for form, logprob in logprobs.items()
    }


def _choice(
    labels: list[str],
    forms: Iterable[tuple[Form, ...]],
    likelihoods: dict[Form, float],
    *,
    is_mean: bool,
) -> Choice:
    """Return the choice among labels, given the likelihoods of their forms."""
    logprobs = [_joined(likelihoods, each, is_mean=is_mean) for each in forms]
    most = max(logprobs)
    weights = [math.exp(one - most) for one in logprobs]
    total = math.fsum(weights)
    probabilities = (one / total for one in weights)
    index = logprobs.index(most)
    return Choice(
        label=labels[index],
        index=index,
        probabilities=dict(zip(labels, probabilities, strict=True)),
        logprobs=dict(zip(labels, logprobs, strict=True)),
    )


def _joined(
    likelihoods: dict[Form, float], forms: Iterable[Form], *, is_mean: bool
) -> float:
    """Return the logarithm of the probability of any of a label's forms.

    Divided by the number of tokens of the likeliest, if `is_mean`.
    """
    likeliest = max(forms, key=likelihoods.__getitem__)
    most = likelihoods[likeliest]
    if most == -math.inf:
        return most
    total = math.fsum(math.exp(likelihoods[form] - most) for form in forms)
    return (most + math.log(total)) / (len(likeliest) if is_mean else 1)


def _log(number: float) -> float:
    """Return the logarithm of a number that rounding may have left at 0 or below."""
    return math.log(number) if number > 0 else -math.inf
