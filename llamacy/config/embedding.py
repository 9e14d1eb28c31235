"""How a model embeds texts, or scores them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Pooling = Literal["none", "mean", "cls", "last", "rank"]
"""How the rows of a text become its embedding.

`"mean"` is the mean of all rows, `"cls"` the first one and `"last"` the last one. With
`"none"` every row stays, and with `"rank"` a classifier makes scores of the text.
"""

ClassifierPooling = Literal["cls", "mean", "last", "late"]
"""How the rows of a text become what a classifier reads.

With `"late"` it reads each row, and the mean of the results is the text's.
"""


@dataclass(frozen=True, slots=True)
class EmbeddingConfig:
    """How a model's makers mean it to embed texts.

    Attributes
    ----------
    pooling : Pooling or None
        How rows become an embedding; None if the files do not say.
    dense : tuple of int
        Widths of the dense layers that an embedding goes through; () without any.
        Rows of a model that does not pool them go through them, each by itself.
    has_tanh : bool
        Whether each of them ends with tanh.
    classifier_pooling : {"cls", "mean", "last", "late"}
        How rows become what a classifier reads.
    classifier_activation : {"tanh", "gelu_erf"}
        The nonlinear part of the classifier's first layer, if it has two.
    labels : tuple of str
        Names of a classifier's scores; () without a classifier, or without names.
    score_activation : {"", "identity", "sigmoid"}
        The function that makes scores of the classifier's numbers; `""` if the files do
        not say.
    is_normalized : bool
        Whether embeddings are to be divided by their norms. GGUF has no key for it.
    n_tokens : int or None
        Most tokens of a text, those around it included, as the makers set it, which may
        be fewer than `n_ctx_train`; None if they do not say.
    prompts : mapping of str to str
        Texts to put before a text, by the names of their tasks.
    default_prompt : str
        Name of the prompt that is used unless another is asked for; `""` for none.
    similarity : str
        Function that compares two embeddings, `"cosine"`; `""` if the files do not say.
    """

    pooling: Pooling | None = None
    dense: tuple[int, ...] = ()
    has_tanh: bool = False
    classifier_pooling: ClassifierPooling = "cls"
    classifier_activation: Literal["tanh", "gelu_erf"] = "tanh"
    labels: tuple[str, ...] = ()
    score_activation: Literal["", "identity", "sigmoid"] = ""
    is_normalized: bool = False
    n_tokens: int | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt: str = ""
    similarity: str = ""

    def dense_of(self, pooling: Pooling) -> tuple[int, ...]:
        """Return the widths of the dense layers that the results of a pooling meet.

        Rows meet them only in a model that does not pool them.
        """
        if pooling == "rank" or (pooling == "none" and self.pooling != "none"):
            return ()
        return self.dense

    def pooled_as(self, pooling: Pooling) -> Literal["none", "mean", "cls", "last"]:
        """Return how rows are pooled, before a classifier reads the result."""
        if pooling != "rank":
            return pooling
        return "mean" if self.classifier_pooling == "late" else self.classifier_pooling
