"""Sampling options, with llama.cpp's names and defaults."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llamacy.cli.failures import UsageError
from llamacy.cli.text_input import unescape

if TYPE_CHECKING:
    from llamacy.sampling import SamplingParams
    from llamacy.tokenizers import Tokenizer

_option = partial(typer.Option, rich_help_panel="Sampling")
_BIAS = re.compile(r"(\d+)([+-](?:\d+\.?\d*|\.\d+|inf))")


@dataclass(frozen=True, kw_only=True)
class SamplingFlags:
    """Sampling options, named like the fields of `SamplingParams` where they match."""

    n_predict: Annotated[
        int,
        typer.Option(
            "-n",
            "--n-predict",
            metavar="N",
            help="Most tokens to generate; -1: no limit.",
        ),
    ] = -1
    stop: Annotated[
        list[str] | None,
        typer.Option(
            "-r",
            "--stop",
            "--reverse-prompt",
            metavar="TEXT",
            help="Stop at this text; may be repeated.",
        ),
    ] = None
    include_stop: Annotated[
        bool, typer.Option("--include-stop", help="Print the stop text as well.")
    ] = False
    temperature: Annotated[
        float,
        _option("--temp", "--temperature", metavar="T", help="Randomness; 0: greedy."),
    ] = 0.8
    dynatemp_range: Annotated[
        float, _option(metavar="T", help="Vary the temperature by ±T with entropy.")
    ] = 0.0
    dynatemp_exponent: Annotated[
        float,
        _option("--dynatemp-exp", metavar="E", help="Exponent of that variation."),
    ] = 1.0
    top_k: Annotated[
        int, _option(metavar="K", help="Keep the K likeliest tokens; 0: all.")
    ] = 40
    top_p: Annotated[
        float,
        _option(metavar="P", help="Keep the likeliest tokens of total P; 1: all."),
    ] = 0.95
    min_p: Annotated[
        float,
        _option(metavar="P", help="Keep tokens P times as likely as the best; 0: all."),
    ] = 0.05
    typical_p: Annotated[
        float,
        _option(
            "--typical",
            "--typical-p",
            metavar="P",
            help="Keep the most typical tokens of total P; 1: all.",
        ),
    ] = 1.0
    top_n_sigma: Annotated[
        float,
        _option(
            "--top-nsigma",
            "--top-n-sigma",
            metavar="N",
            help="Keep logits within N standard deviations of the best; -1: all.",
        ),
    ] = -1.0
    xtc_probability: Annotated[
        float, _option(metavar="P", help="How often to drop the top choices (XTC).")
    ] = 0.0
    xtc_threshold: Annotated[
        float, _option(metavar="P", help="Probability that makes a top choice (XTC).")
    ] = 0.1
    repeat_penalty: Annotated[
        float, _option(metavar="X", help="Make repeated tokens less likely; 1: off.")
    ] = 1.0
    frequency_penalty: Annotated[
        float, _option(metavar="X", help="Lower a logit by X per earlier occurrence.")
    ] = 0.0
    presence_penalty: Annotated[
        float, _option(metavar="X", help="Lower a logit by X if it occurred at all.")
    ] = 0.0
    penalty_last_n: Annotated[
        int,
        _option(
            "--repeat-last-n",
            metavar="N",
            help="Last tokens that these penalties see; -1: all, 0: none.",
        ),
    ] = 64
    dry_multiplier: Annotated[
        float, _option(metavar="X", help="Strength of the DRY penalty; 0: off.")
    ] = 0.0
    dry_base: Annotated[
        float, _option(metavar="X", help="Growth of DRY per repeated token.")
    ] = 1.75
    dry_allowed_length: Annotated[
        int, _option(metavar="N", help="Shortest repetition that DRY penalises.")
    ] = 2
    dry_penalty_last_n: Annotated[
        int, _option(metavar="N", help="Last tokens that DRY searches; -1: all.")
    ] = 64
    dry_sequence_breakers: Annotated[
        list[str] | None,
        _option(
            "--dry-sequence-breaker",
            metavar="TEXT",
            show_default=r"\n : \" *",
            help="DRY does not look across TEXT; may be repeated; none: no breakers.",
        ),
    ] = None
    mirostat: Annotated[
        int, _option(metavar="N", help="Use Mirostat 1 or 2 for truncation; 0: off.")
    ] = 0
    mirostat_eta: Annotated[
        float, _option("--mirostat-lr", metavar="X", help="Mirostat's learning rate.")
    ] = 0.1
    mirostat_tau: Annotated[
        float,
        _option("--mirostat-ent", metavar="X", help="Mirostat's target surprise."),
    ] = 5.0
    logit_bias: Annotated[
        list[str] | None,
        _option(
            "-l",
            "--logit-bias",
            metavar="TOKEN±X",
            help="Add X to a token's logit: 13-1.5, for example; may be repeated.",
        ),
    ] = None
    ignore_eos: Annotated[
        bool, _option("--ignore-eos", help="Never choose a token that ends the text.")
    ] = False
    drafting: Annotated[
        bool | None,
        _option(
            "--drafting/--no-drafting",
            show_default="on",
            help="Check several tokens at once where a text repeats itself.",
        ),
    ] = None
    seed: Annotated[
        int,
        _option("-s", "--seed", metavar="N", help="Same seed, same text; -1: random."),
    ] = -1

    def params(
        self,
        defaults: SamplingParams | None = None,
        given: Collection[str] = (),
        **others: Any,
    ) -> SamplingParams:
        """Return the options as `SamplingParams`.

        Parameters
        ----------
        defaults : SamplingParams, optional
            The model's, for options that are not among `given`.
        given : collection of str
            Names of the options on the command line.
        **others : Any
            Further fields of `SamplingParams`.

        Raises
        ------
        UsageError
            A bias is not a token id, a sign and a number.
        """
        from llamacy.sampling import SamplingParams
        from llamacy.sampling.file_defaults import FIELDS

        values = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("n_predict", "ignore_eos", "dry_sequence_breakers"):
            del values[name]
        values["max_tokens"] = None if self.n_predict < 0 else self.n_predict
        values["top_k"] = max(self.top_k, 0)
        values["logit_bias"] = dict(map(_bias, self.logit_bias or ()))
        if (breakers := self.dry_sequence_breakers) is not None:
            values["dry_sequence_breakers"] = () if breakers == ["none"] else breakers
        if defaults is not None:
            for name in frozenset(FIELDS.values()).difference(given):
                values[name] = getattr(defaults, name)
        return SamplingParams(**values, **others)

    def unescaped(self) -> SamplingFlags:
        r"""Return the options with escapes such as `\n` resolved in their texts."""
        texts: dict[str, Any] = {
            name: [unescape(text) for text in values]
            for name in ("stop", "dry_sequence_breakers")
            if (values := getattr(self, name)) is not None
        }
        return replace(self, **texts)


def given_options(context: typer.Context) -> list[str]:
    """Name the parameters of a command that its line, or the environment, gives."""
    return [
        name
        for name in context.params
        if (source := context.get_parameter_source(name)) and source.name != "DEFAULT"
    ]


def without_end(params: SamplingParams, tokenizer: Tokenizer) -> SamplingParams:
    """Return `params` with every token that ends a text banned."""
    bans = dict.fromkeys(tokenizer.eog_ids, -math.inf)
    return replace(params, logit_bias={**dict(params.biases), **bans})


def _bias(text: str) -> tuple[int, float]:
    match = _BIAS.fullmatch(text)
    if match is None:
        raise UsageError(f"--logit-bias: wanted TOKEN+X or TOKEN-X, found {text}")
    return int(match[1]), float(match[2])
