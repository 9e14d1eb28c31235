"""Options of `llamacy.load` and of sampling, as fields of pydantic models.

The libraries that llamacy's adapters are for describe models with pydantic, which these
adapters therefore may import.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, Field, model_validator

import llamacy


class SamplingFields(BaseModel):
    """Fields of `llamacy.SamplingParams`; None leaves one at its default."""

    max_tokens: int | None = Field(None, description="Most tokens to generate")
    temperature: float | None = Field(
        None, description="Randomness: 0 always takes the likeliest token"
    )
    top_k: int | None = Field(None, description="Keep the k likeliest tokens; 0: all")
    top_p: float | None = Field(
        None, description="Keep the likeliest tokens that add up to this probability"
    )
    min_p: float | None = Field(
        None, description="Keep tokens this many times as likely as the likeliest"
    )
    typical_p: float | None = Field(
        None, description="Locally typical sampling: probability to keep; 1: all"
    )
    top_n_sigma: float | None = Field(
        None, description="Keep logits this many standard deviations below the largest"
    )
    xtc_probability: float | None = Field(
        None, description="Probability of dropping the top choices (XTC)"
    )
    xtc_threshold: float | None = Field(
        None, description="Probability from which a token is a top choice (XTC)"
    )
    dynatemp_range: float | None = Field(
        None, description="Range of the dynamic temperature; 0: off"
    )
    dynatemp_exponent: float | None = Field(
        None, description="Exponent of the dynamic temperature"
    )
    repeat_penalty: float | None = Field(
        None, description="Penalty of recent tokens; 1: off"
    )
    frequency_penalty: float | None = Field(
        None, description="Penalty of recent tokens, once for each occurrence"
    )
    presence_penalty: float | None = Field(
        None, description="Penalty of recent tokens, once"
    )
    penalty_last_n: int | None = Field(
        None, description="Last tokens that penalties consider; -1: all"
    )
    dry_multiplier: float | None = Field(
        None, description="Strength of DRY, against literal repetitions; 0: off"
    )
    dry_base: float | None = Field(None, description="Base of DRY's penalty")
    dry_allowed_length: int | None = Field(
        None, description="Length up to which DRY allows repetitions"
    )
    dry_penalty_last_n: int | None = Field(
        None, description="Last tokens that DRY searches; -1: all"
    )
    mirostat: int | None = Field(None, description="Version of Mirostat; 0: off")
    mirostat_tau: float | None = Field(None, description="Mirostat's target surprise")
    mirostat_eta: float | None = Field(None, description="Mirostat's learning rate")
    seed: int | None = Field(None, description="Seed: the same one repeats a text")
    stop: str | list[str] | None = Field(
        None, description="String that ends the text, or several"
    )
    drafting: bool | None = Field(
        None, description="Whether to check several tokens at once where that is faster"
    )

    def sampling_options(self) -> dict[str, Any]:
        """Return the options that are set, for any call of a `llamacy.Model`."""
        return _set_fields(self, SamplingFields)

    @model_validator(mode="after")
    def _check_sampling(self) -> Self:
        llamacy.SamplingParams(**self.sampling_options())
        return self


class ChatFields(BaseModel):
    """How to write a conversation as a prompt; None leaves an option at its default."""

    chat_format: str | None = Field(
        None, description="Name of a chat format, or a chat template"
    )
    overflow: str | None = Field(
        None, description="When a conversation is too long: error, truncate or shift"
    )
    template_arguments: dict[str, Any] | None = Field(
        None, description="Variables of the chat template"
    )
    reasoning_effort: str | None = Field(
        None, description="How long to reason, in the words of the chat template"
    )
    merge_system: bool | None = Field(
        None, description="Whether to move later system messages into the first one"
    )

    def chat_options(self) -> dict[str, Any]:
        """Return the options that are set, for `llamacy.Model.chat`."""
        return _set_fields(self, ChatFields)


class LoadFields(BaseModel):
    """Options of `llamacy.load`; None leaves one at its default."""

    n_ctx: int | None = Field(
        None, description="Most tokens of prompt and text together"
    )
    n_threads: int | None = Field(None, description="Threads to compute with")
    n_batch: int | None = Field(None, description="Most rows of a forward pass")
    kv_type: str | None = Field(
        None, description="How keys and values are kept: f16, f32 or q8_0"
    )
    quantize: str | None = Field(
        None, description="File type to quantise the weights to, such as Q4_K_M"
    )
    prompt_cache: int | None = Field(
        None, description="Most bytes kept of texts that have ended"
    )
    max_active: int | None = Field(
        None, description="Most texts that are generated together"
    )
    draft: str | None = Field(
        None, description="A smaller model with the same tokens, which drafts"
    )

    def load_options(self) -> dict[str, Any]:
        """Return the options that are set, for `llamacy.load`."""
        return _set_fields(self, LoadFields)


def _set_fields(values: BaseModel, kind: type[BaseModel]) -> dict[str, Any]:
    found = {name: getattr(values, name) for name in kind.model_fields}
    return {name: value for name, value in found.items() if value is not None}
