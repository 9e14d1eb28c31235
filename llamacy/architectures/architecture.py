"""A model family, as the rest of the package uses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from llamacy.architectures.layers import Layers
from llamacy.architectures.mtp import can_have_head, mtp_tensors
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.pooling import head_tensors, pooled
from llamacy.architectures.tensors import Specs, model_tensors
from llamacy.config import LayerConfig, ModelConfig, Pooling
from llamacy.errors import FormatError
from llamacy.ops.vocabulary import Ops


class Family(Protocol):
    """The functions of a family's file."""

    def layers(self, config: ModelConfig) -> Layers:
        """Return the layers of the file, with what the family adds to them.

        Layers that it has returned before stay as they are.
        """

    def tensors(self, config: ModelConfig, layer: LayerConfig) -> Specs:
        """Return the specs of one layer's tensors, by their names in a layer."""

    def forward(self, model: Parts) -> Value:
        """Return the logits of the wanted rows, (n_wanted, n_vocab).

        An encoder has no logits; its last rows, (M, n_embd), stand for them.
        """


@runtime_checkable
class WithTensorsOutside(Protocol):
    """One function more, of a family whose models have other parts than layers."""

    def outside(self, config: ModelConfig) -> Specs:
        """Return the specs of tensors outside the layers, besides those of all."""


@runtime_checkable
class WithMtp(Protocol):
    """One function more, of a family whose models may have an MTP head.

    Its `forward` lets the head keep up where `config.has_mtp`: see `mtp`.
    """

    def draft(self, model: Parts) -> Value:
        """Return the head's logits after the wanted rows: (n_wanted, n_vocab)."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """One model family.

    Attributes
    ----------
    family : Family
        Its file's functions.
    is_mixture : bool
        Whether its files must declare experts.
    """

    family: Family
    is_mixture: bool = False

    def complete(self, config: ModelConfig, path: str) -> ModelConfig:
        """Return a file's hyperparameters with what the family adds to its layers.

        Parameters
        ----------
        config : ModelConfig
            The file's configuration; a complete one stays as it is.
        path : str
            The file, for errors.

        Raises
        ------
        FormatError
            A mixture of experts has none.
        """
        if self.is_mixture and config.experts is None:
            field = f"{config.architecture}.expert_count"
            raise FormatError(path, field, "1 or more", 0)
        config = replace(config, layers=self.family.layers(config))
        has_mtp = isinstance(self.family, WithMtp) and can_have_head(config)
        return replace(config, has_mtp=config.has_mtp and has_mtp)

    def tensors(self, config: ModelConfig) -> Specs:
        """Return the specs of a model's tensors by name.

        Parameters
        ----------
        config : ModelConfig
            The model, complete.
        """
        specs = model_tensors(config, self.family.tensors) | head_tensors(config)
        if isinstance(self.family, WithTensorsOutside):
            specs |= self.family.outside(config)
        if config.has_mtp:
            specs |= mtp_tensors(config, self.family.tensors)
        return specs

    def forward(
        self, ops: Ops[Any, Any], config: ModelConfig, weights: Mapping[str, Any]
    ) -> Any:
        """Compute the logits of the wanted rows: (n_wanted, n_vocab).

        Parameters
        ----------
        ops : Ops
            The executor's operations.
        config : ModelConfig
            The model, complete.
        weights : mapping of str to weight
            All weights by name, as the executor has them.
        """
        return self.family.forward(Parts(ops, config, weights))

    def draft(
        self, ops: Ops[Any, Any], config: ModelConfig, weights: Mapping[str, Any]
    ) -> Any:
        """Compute the MTP head's logits after the wanted rows, as in `forward`."""
        assert isinstance(self.family, WithMtp)
        return self.family.draft(Parts(ops, config, weights))

    def embed(
        self,
        ops: Ops[Any, Any],
        config: ModelConfig,
        weights: Mapping[str, Any],
        pooling: Pooling,
    ) -> Any:
        """Embed texts: the parameters are those of `forward`, and how to pool rows.

        Raises
        ------
        ArgumentError
            The model has no classifier, and scores are asked for.
        """
        model = Parts(ops, config, weights, has_all_rows=True)
        rows = self.family.forward(model)
        if model.last is not None:  # nobody asks for the logits
            rows = model.normed(model.last, "output_norm")
        return pooled(model, rows, pooling)
