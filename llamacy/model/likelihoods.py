"""A model's calls about likelihoods: of texts, and of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from llamacy.arguments import checks_options
from llamacy.errors import LlamacyError
from llamacy.generation import calls
from llamacy.generation.jobs import OnError
from llamacy.generation.prompts import Prompt, Prompts
from llamacy.generation.tally import OnProgress
from llamacy.model.choices import LabelChoices
from llamacy.results import Score


class Likelihoods(LabelChoices):
    """The part of a `Model` that measures likelihoods."""

    @overload
    def score(  # type: ignore[overload-overlap]
        self,
        text: Prompt,
        *,
        progress: OnProgress | None = None,
        on_error: Literal["raise"] = "raise",
    ) -> Score: ...

    @overload
    def score(  # type: ignore[overload-overlap]
        self,
        text: Prompt,
        *,
        progress: OnProgress | None = None,
        on_error: Literal["return"],
    ) -> Score | LlamacyError: ...

    @overload
    def score(
        self,
        text: Prompts,
        *,
        progress: OnProgress | None = None,
        on_error: Literal["raise"] = "raise",
    ) -> list[Score]: ...

    @overload
    def score(
        self,
        text: Prompts,
        *,
        progress: OnProgress | None = None,
        on_error: Literal["return"],
    ) -> list[Score | LlamacyError]: ...

    @checks_options()
    def score(
        self,
        text: Any,
        *,
        progress: OnProgress | None = None,
        on_error: OnError = "raise",
    ) -> Any:
        """Measure how likely a text is, or several are, token by token.

        Rank candidates, find the surprising word, or compare models on a sentence. For
        a text longer than the context, use `llamacy.perplexity`.

        Parameters
        ----------
        text : str, sequence of int, or an iterable of either
            A text or its token ids; or several, which are read together.
        progress : callable, optional
            Called in this thread with the share of the work that is done, up to 1.0.
        on_error : {"raise", "return"}, default "raise"
            As for `generate`: whether the error of one text ends the call, or takes the
            place of its result.

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
        return calls.score(self.engine, text, progress, on_error)

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
