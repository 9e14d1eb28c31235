"""The question whether a document answers a query, to a model that says yes or no.

Qwen's rerankers are models that write texts: the score is the probability that the
answer begins with "yes" rather than with "no".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from llamacy.errors import ArgumentError, ContextLengthError, FormatError
from llamacy.generation.embedding.pairs import checked_document
from llamacy.generation.embedding.reading import Tokens
from llamacy.generation.engine import Engine
from llamacy.tokenizers.base import Tokenizer

YES_OR_NO: Final = ("yes", "no")

_INSTRUCTION: Final = (
    "Given a web search query, retrieve relevant passages that answer the query"
)
_QWEN: Final = (
    "<|im_start|>system\n"
    "Judge whether the Document meets the requirements based on the Query and the "
    'Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
    "<|im_start|>user\n"
    f"<Instruct>: {_INSTRUCTION}\n"
    "<Query>: {query}\n"
    "<Document>: {document}<|im_end|>\n"
    "<|im_start|>assistant\n"
    "<think>\n\n</think>\n\n"
)
_KEY: Final = "tokenizer.chat_template.rerank"
_FAMILIES: Final = ("qwen3", "qwen3moe", "qwen3vl")
_QUERY, _DOCUMENT = "{query}", "{document}"


def question_of(metadata: Mapping[str, Any], architecture: str) -> str | None:
    """Return the form in which a model is asked; None for one that is not."""
    own = metadata.get(_KEY)
    if isinstance(own, str) and _QUERY in own and _DOCUMENT in own:
        return own
    return _QWEN if architecture in _FAMILIES else None


@dataclass(frozen=True)
class QuestionReader:
    """Makes tokens of the question about a query and each of its documents.

    Names of control tokens are those tokens only in the form itself.

    Attributes
    ----------
    engine : Engine
        Has the vocabulary, and `n_ctx`, the most tokens of a question.
    form : str
        The question, with ``{query}`` and ``{document}`` in it.
    query : str
        The query.
    instruction : str or None
        The task, which the model is told; None for the form's own.
    truncate : bool
        Whether documents that are too long are cut.
    """

    engine: Engine
    form: str
    query: str
    instruction: str | None
    truncate: bool

    def __post_init__(self) -> None:
        if self.instruction is not None and _INSTRUCTION not in self.form:
            wanted = "none, as the model is asked without one"
            raise ArgumentError(f"instruction: wanted {wanted}, found one")

    def read(self, document: Any, name: str) -> Tokens:
        """Return the tokens of the question about a document.

        Raises
        ------
        ArgumentError
            The document is not a text; the error calls it `name`.
        ContextLengthError
            They are more than `n_ctx`, and the document is not to be cut.
        """
        document = checked_document(document, name)
        tokenizer = self.engine.tokenizer.get()
        before, text, after = self._parts
        ids = tokenizer.encode_parts([*before, text + document])
        n_tokens, n_ctx = len(ids) + len(after), self.engine.n_ctx
        n_cut = max(0, n_tokens - n_ctx)
        if n_cut:
            n_least = len(tokenizer.encode_parts([*before, text]))
            if not self.truncate or len(ids) - n_cut < n_least:
                raise ContextLengthError(n_tokens, n_ctx)
            ids = ids[: len(ids) - n_cut]
        return Tokens(ids + after, n_cut)

    @cached_property
    def _parts(self) -> tuple[list[str | int], str, list[int]]:
        """The question's beginning, the text before the document, and the end."""
        tokenizer = self.engine.tokenizer.get()
        before: list[str | int] = []
        parts = iter(tokenizer.split(self.form))
        for part in parts:
            if isinstance(part, str) and _DOCUMENT in part:
                text, _, rest = part.partition(_DOCUMENT)
                after: list[str | int] = [self._filled(rest)] if rest else []
                after += [
                    each if isinstance(each, int) else self._filled(each)
                    for each in parts
                ]
                end = tokenizer.encode_parts(after, continues=True)
                return before, self._filled(text), end
            before.append(part if isinstance(part, int) else self._filled(part))
        raise ArgumentError(f"model: wanted a question with {_DOCUMENT}, found none")

    def _filled(self, text: str) -> str:
        if self.instruction is not None:
            text = text.replace(_INSTRUCTION, self.instruction)
        return text.replace(_QUERY, self.query)


def answer_ids(tokenizer: Tokenizer, path: str) -> tuple[int, int]:
    """Return the tokens of the answers yes and no.

    Raises
    ------
    FormatError
        An answer is not one token.
    """
    found = [tokenizer.encode(text, add_bos=False) for text in YES_OR_NO]
    for text, ids in zip(YES_OR_NO, found, strict=True):
        if len(ids) != 1:
            wanted = f"one token for {text!r}"
            raise FormatError(path, "vocabulary", wanted, str(len(ids)))
    return found[0][0], found[1][0]
