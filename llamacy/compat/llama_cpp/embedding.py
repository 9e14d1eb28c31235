"""The part of a Llama that embeds texts."""

from __future__ import annotations

from typing import Any, Final

from llamacy.arguments import checked_flag, checked_integer, short
from llamacy.compat.llama_cpp.llama_types import CreateEmbeddingResponse
from llamacy.errors import ArgumentError, UnsupportedCallError
from llamacy.model.model import Model

_POOLINGS: Final = ("none", "mean", "cls", "last", "rank")
"""Kinds of pooling by llama.cpp's numbers."""

ANY_POOLING: Final = -1
"""As the file says."""


class Embedding:
    """Embeds texts; any number of threads may."""

    _model: Model
    model_path: str
    _embeds: bool
    _pooling_type: int

    def create_embedding(
        self, input: str | list[str], model: str | None = None
    ) -> CreateEmbeddingResponse:
        """Embed a text, or several, as OpenAI's API returns them; not normalised.

        Parameters
        ----------
        input : str or list of str
            The texts; each is cut to the context.
        model : str, optional
            The model's name in the response; by default `model_path`.
        """
        texts = input if isinstance(input, list) else [input]
        vectors, n_tokens = self.embed(texts, return_count=True)
        return {
            "object": "list",
            "data": [
                {"object": "embedding", "embedding": vector, "index": index}
                for index, vector in enumerate(vectors)
            ],
            "model": self.model_path if model is None else model,
            "usage": {"prompt_tokens": n_tokens, "total_tokens": n_tokens},
        }

    def embed(
        self,
        input: str | list[str],
        normalize: bool = False,
        truncate: bool = True,
        return_count: bool = False,
    ) -> Any:
        """Embed a text, or several.

        Parameters
        ----------
        input : str or list of str
            The texts.
        normalize : bool, default False
            Whether to divide vectors by their norms.
        truncate : bool, default True
            Whether to cut texts to the context, before the token that ends them.
        return_count : bool, default False
            Whether to return the number of tokens, too.

        Returns
        -------
        list of float, or a list of these for several texts
            The vectors; for a model without pooling, a list of a vector for each token.
            With `return_count`, a tuple of them and the number of tokens.

        Raises
        ------
        UnsupportedCallError
            The Llama was made without ``embedding=True``.
        ContextLengthError
            A text has more than `n_ctx` tokens, and `truncate` is False.
        """
        if not self._embeds:
            raise UnsupportedCallError("embed: wanted a Llama made with embedding=True")
        is_one = isinstance(input, str)
        texts: list[str] = [input] if isinstance(input, str) else input
        if not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
            raise ArgumentError(f"input: wanted a text or a list, found {short(input)}")
        pooling: Any = _POOLINGS[self.pooling_type()]
        found: Any = self._model.embed(
            texts,
            pooling=pooling,
            normalize=checked_flag("normalize", normalize),
            truncate=truncate,
            prompt="",
        )
        n_tokens = sum(map(len, found))
        if not isinstance(found, list):
            n_tokens = found.usage.prompt_tokens
        vectors = [each.tolist() for each in found]
        output = vectors[0] if is_one else vectors
        return (output, n_tokens) if return_count else output

    def pooling_type(self) -> int:
        """Return llama.cpp's number of the kind of pooling; 0, none, if nothing says.

        A model without pooling has a vector for each token.
        """
        if self._pooling_type >= 0:
            return self._pooling_type
        of_file = self._model.config.embedding.pooling
        return 0 if of_file is None else _POOLINGS.index(of_file)


def checked_pooling(number: object) -> int:
    """Return the argument `pooling_type`.

    Raises
    ------
    ArgumentError
        It is no kind of pooling that makes embeddings.
    """
    return checked_integer("pooling_type", number, ANY_POOLING, len(_POOLINGS) - 2)
