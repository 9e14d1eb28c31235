"""A model's calls about likelihoods: of texts, of tokens, of labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from llamacy.arguments import checks_options
from llamacy.generation import calls
from llamacy.generation.calls import Prompts
from llamacy.generation.engine import Prompt
from llamacy.model.opened import Opened
from llamacy.results import Score


class Likelihoods(Opened):
    """The part of a `Model` that measures likelihoods."""

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
