"""The likeliest of several labels after a prompt.

Forms of labels that differ in their last token alone are one request. So labels of one
token need no more than the pass that reads the prompt; the other requests share the
prompt with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, TypeAlias

from llamacy.arguments import checked_choice
from llamacy.errors import CancelledError, ContextLengthError
from llamacy.generation.cancelling import CancelToken
from llamacy.generation.engine import Engine, Prompt
from llamacy.generation.gather import gather, gather_async, made_in_thread
from llamacy.generation.goals.continuations import Continuations
from llamacy.generation.labels import Form, checked_labels, label_forms
from llamacy.generation.request import Request
from llamacy.results import Choice

Normalize: TypeAlias = Literal["sum", "mean"]
"""Whether labels are compared by the likelihood of all their tokens, or by its mean."""

MakePrompts = Callable[[], Iterable[Prompt]]
"""Returns the prompts of a call, each a text or token ids."""


class Choices:
    """One call that chooses among labels, for one prompt or several.

    Parameters
    ----------
    engine : Engine
        Tokenizes the prompts, and runs the requests.
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
        means = checked_choice("normalize", normalize, ("sum", "mean")) == "mean"
        self._is_mean = means
        self._cancel = cancel
        self._ballots: list[_Ballot] = []

    def run(self, prompts: MakePrompts) -> list[Choice]:
        """Return the choice for each prompt.

        Raises
        ------
        CancelledError
            `cancel` was set.
        ContextLengthError
            A prompt and a label have more than `n_ctx` tokens.
        """
        gather(self._engine.worker, self._make_requests(prompts))
        return self._choices()

    async def run_async(self, prompts: MakePrompts) -> list[Choice]:
        """Return the choice for each prompt without blocking the event loop."""
        requests = await made_in_thread(lambda: self._make_requests(prompts))
        await gather_async(self._engine.worker, requests)
        return self._choices()

    def _make_requests(self, prompts: MakePrompts) -> list[Request[Continuations]]:
        self._ballots = [
            _Ballot(self._engine, prompt, self._labels, self._cancel)
            for prompt in prompts()
        ]
        return [request for one in self._ballots for request in one.requests]

    def _choices(self) -> list[Choice]:
        return [one.choice(is_mean=self._is_mean) for one in self._ballots]


class _Ballot:
    """The labels after one prompt, and the requests for their likelihoods."""

    def __init__(
        self,
        engine: Engine,
        prompt: Prompt,
        labels: list[str],
        cancel: CancelToken | None,
    ) -> None:
        ids, self._forms = label_forms(engine, prompt, labels)
        self._labels = labels
        # Forms by the tokens before their last one; the shortest are read first.
        self._groups: dict[Form, list[Form]] = {}
        for form in sorted((form for each in self._forms for form in each), key=len):
            if len(ids) + len(form) > engine.n_ctx:
                raise ContextLengthError(len(ids) + len(form), engine.n_ctx)
            self._groups.setdefault(form[:-1], []).append(form)
        self.requests = [
            Request(
                Continuations(ids, common, [form[-1] for form in forms], engine.n_ctx),
                cancel=cancel,
            )
            for common, forms in self._groups.items()
        ]

    def choice(self, *, is_mean: bool) -> Choice:
        """Return the result, when all requests have ended."""
        likelihoods = _apart(dict(self._likelihoods()))
        logprobs = [_joined(likelihoods, each, is_mean) for each in self._forms]
        most = max(logprobs)
        weights = [math.exp(one - most) for one in logprobs]
        total = math.fsum(weights)
        index = logprobs.index(most)
        labels = self._labels
        return Choice(
            label=labels[index],
            index=index,
            probabilities=dict(
                zip(labels, (one / total for one in weights), strict=True)
            ),
            logprobs=dict(zip(labels, logprobs, strict=True)),
        )

    def _likelihoods(self) -> Iterator[tuple[Form, float]]:
        """Yield the logarithm of each form's probability."""
        groups = self._groups.values()
        for request, forms in zip(self.requests, groups, strict=True):
            if request.goal.logprobs is None:
                raise CancelledError("the choice was cancelled")
            yield from zip(forms, request.goal.logprobs, strict=True)


def _apart(logprobs: dict[Form, float]) -> dict[Form, float]:
    """Take from each form the probability of longer forms that begin with it.

    What is left is the probability that the text goes on with this form, and with none
    of the longer ones.
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


def _joined(logprobs: dict[Form, float], forms: Iterable[Form], is_mean: bool) -> float:
    """Return the logarithm of the probability of any of a label's forms.

    Divided by the number of tokens of the likeliest, if `is_mean`.
    """
    likeliest = max(forms, key=logprobs.__getitem__)
    most = logprobs[likeliest]
    if most == -math.inf:
        return most
    total = math.fsum(math.exp(logprobs[form] - most) for form in forms)
    return (most + math.log(total)) / (len(likeliest) if is_mean else 1)


def _log(number: float) -> float:
    """Return the logarithm of a number that rounding may have left at 0 or below."""
    return math.log(number) if number > 0 else -math.inf
