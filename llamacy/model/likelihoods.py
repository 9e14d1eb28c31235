"""A model's calls about likelihoods: of texts, of tokens, of labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from llamacy.arguments import checks_options
from llamacy.chat.calls import Question
from llamacy.chat.formats import TemplateSource
from llamacy.chat.prompt import PromptOptions
from llamacy.errors import ArgumentError
from llamacy.generation import calls
from llamacy.generation.calls import Prompts
from llamacy.generation.cancelling import CancelToken
from llamacy.generation.choices import Choices, Normalize
from llamacy.generation.engine import Prompt, arranged, listed
from llamacy.model.opened import Opened
from llamacy.results import Choice, Score

Conversation: TypeAlias = "list[dict[str, Any]]"
"""A list of messages, which `chat` would answer."""


class Likelihoods(Opened):
    """The part of a `Model` that measures likelihoods."""

    _template_source: TemplateSource

    @overload
    def score(self, text: Prompt) -> Score: ...

    @overload
    def score(self, text: Prompts) -> list[Score]: ...

    @checks_options()
    def score(self, text: Prompt | Prompts) -> Score | list[Score]:
        """Measure how likely a text is, or several are, token by token.

        Rank candidates, find the surprising word, or compare models on a sentence. For
        a text longer than the context, use `llamacy.perplexity`.

        Parameters
        ----------
        text : str, sequence of int, or a list of either
            A text or its token ids; or several, which are read together.

        Returns
        -------
        Score, or a list of them
            Log-probabilities of the tokens, their sum, and the perplexity.

        Raises
        ------
        ContextLengthError
            A text has more than `n_ctx` tokens.
        ArgumentError
            An empty text, an id outside the vocabulary.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> right, wrong = model.score(["2 + 2 = 4", "2 + 2 = 9"])
        >>> right.total > wrong.total
        True
        """
        scores: Score | list[Score] = calls.score(self.engine, text)
        return scores

    @overload
    def choose(
        self,
        prompt: Prompt | Conversation,
        labels: Iterable[str],
        *,
        cancel: CancelToken | None = None,
        normalize: Normalize = "sum",
        **options: Unpack[PromptOptions],
    ) -> Choice: ...

    @overload
    def choose(
        self,
        prompt: Prompts | Sequence[Conversation],
        labels: Iterable[str],
        *,
        cancel: CancelToken | None = None,
        normalize: Normalize = "sum",
        **options: Unpack[PromptOptions],
    ) -> list[Choice]: ...

    @checks_options(PromptOptions)
    def choose(
        self,
        prompt: Any,
        labels: Iterable[str],
        *,
        cancel: CancelToken | None = None,
        normalize: Normalize = "sum",
        **options: Unpack[PromptOptions],
    ) -> Choice | list[Choice]:
        """Choose the likeliest of several labels as the continuation of a prompt.

        Classify texts, answer yes or no, pick one of a list: nothing is generated, the
        result is always one of the labels, and has probabilities. All labels share the
        prompt, which is read once; where each is one token, one pass is all.

        Parameters
        ----------
        prompt : str, sequence of int, list of dict, or a list of these
            A text or its token ids, which a label is to continue. Or a conversation as
            for `chat`, which a label is to answer. Or several prompts, with a result
            for each.
        labels : iterable of str
            Different texts. It does not matter whether a label has a space before it:
            the probabilities with and without one add up.
        cancel : CancelToken, optional
            As for `generate`.
        normalize : {"sum", "mean"}, default "sum"
            ``"sum"`` compares the probabilities of whole labels, which suits labels
            that are all likely words. ``"mean"`` compares the mean of the
            log-probabilities of their tokens, where long labels should not lose for
            their length.
        **options : PromptOptions
            `chat_format`, `overflow`, `tools` and `template_arguments` of `chat`, for
            conversations. A model that reasons before it answers should not do so here:
            ``template_arguments={"enable_thinking": False}``.

        Returns
        -------
        Choice, or a list of them
            The likeliest label, and the probabilities of all.

        Raises
        ------
        ArgumentError
            No labels, an empty one, one given twice, a bad prompt.
        ContextLengthError
            A prompt and a label have more than `n_ctx` tokens.
        ChatTemplateError
            A conversation, and the model has no template.
        CancelledError
            `cancel` was set.

        Notes
        -----
        Where one label begins another, such as "New" and "New York", the shorter one
        has the probability that the text goes on with it and not with the longer one.

        Labels are tokenized together with the end of a text, as the text and a label
        would be as one; after ids and conversations, by themselves.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> model.choose("The capital of France is", ["Rome", "Paris"]).label
        'Paris'
        >>> messages = [{"role": "user", "content": "What is 12 + 30?"}]
        >>> model.choose(messages, ["40", "41", "42"]).probabilities["42"] > 0.9
        True
        """
        engine = self.engine
        choices = Choices(engine, labels, normalize, cancel)
        found = choices.run(partial(self._written, prompt, options))
        return _arranged(found, prompt)

    @overload
    async def achoose(
        self,
        prompt: Prompt | Conversation,
        labels: Iterable[str],
        *,
        cancel: CancelToken | None = None,
        normalize: Normalize = "sum",
        **options: Unpack[PromptOptions],
    ) -> Choice: ...

    @overload
    async def achoose(
        self,
        prompt: Prompts | Sequence[Conversation],
        labels: Iterable[str],
        *,
        cancel: CancelToken | None = None,
        normalize: Normalize = "sum",
        **options: Unpack[PromptOptions],
    ) -> list[Choice]: ...

    @checks_options(PromptOptions)
    async def achoose(
        self,
        prompt: Any,
        labels: Iterable[str],
        *,
        cancel: CancelToken | None = None,
        normalize: Normalize = "sum",
        **options: Unpack[PromptOptions],
    ) -> Choice | list[Choice]:
        """Choose the likeliest of several labels without blocking the event loop.

        Parameters, result and errors are those of `choose`. Cancelling the task ends
        the call after the pass at hand.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> labels = ["Rome", "Paris"]
        >>> print(asyncio.run(model.achoose("The capital of Italy is", labels)))
        Rome
        """
        engine = self.engine
        choices = Choices(engine, labels, normalize, cancel)
        found = await choices.run_async(partial(self._written, prompt, options))
        return _arranged(found, prompt)

    def _written(self, prompt: Any, options: PromptOptions) -> Iterator[Prompt]:
        """Yield the prompts of a call, conversations as token ids."""
        for one in [prompt] if _is_conversation(prompt) else listed(prompt):
            if _is_conversation(one):
                question = Question(one, None, options)
                yield question.prompt(self.engine, self._template_source).ids
            elif options:
                names = ", ".join(options)
                raise ArgumentError(f"{names}: wanted a conversation, found {one!r}")
            else:
                yield one

    @checks_options()
    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Compute the logits of the token after each of `ids`.

        For what no option covers: a distribution to compare, a classifier over a few
        tokens. All rows are kept at once, ``4 * n_vocab`` bytes a token: half a
        gigabyte for 1,000 tokens of a vocabulary of 128,000.

        Parameters
        ----------
        ids : sequence of int
            Token ids, at least one.

        Returns
        -------
        float32, (n_tokens, n_vocab)
            Natural logits, before any sampling option.

        Raises
        ------
        ContextLengthError
            More than `n_ctx` tokens.
        ArgumentError
            No ids, or one outside the vocabulary.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> ids = model.tokenize("They all lived happily")
        >>> logits = model.logits(ids)
        >>> logits.shape == (len(ids), model.config.n_vocab)
        True
        >>> model.detokenize([int(logits[-1].argmax())])
        ' ever'
        """
        return calls.logits(self.engine, ids)


def _is_conversation(prompt: object) -> bool:
    """Whether a prompt is a list of messages."""
    return isinstance(prompt, list | tuple) and any(
        isinstance(message, Mapping) for message in prompt
    )


def _arranged(found: list[Choice], prompt: Any) -> Choice | list[Choice]:
    """Return choices as `prompt` was given: one, or a list."""
    if _is_conversation(prompt):
        return found[0]
    arrangement: Choice | list[Choice] = arranged(found, prompt, None)
    return arrangement
