"""Options that say how tokens are chosen, with llama.cpp's names and defaults."""

from __future__ import annotations

import math
import re
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
    """The options; the same names as fields of SamplingParams, where there are."""

    n_predict: Annotated[
        int,
        typer.Option(
            "-n", "--n-predict", metavar="N", help="Most tokens to generate; -1: any."
        ),
    ] = -1
    stop: Annotated[
        list[str] | None,
        typer.Option(
            "-r",
            "--stop",
            "--reverse-prompt",
            metavar="TEXT",
            help="End at this text; may be repeated.",
        ),
    ] = None
    include_stop: Annotated[
        bool, typer.Option("--include-stop", help="Show the text that it ended at.")
    ] = False
    temperature: Annotated[
        float,
        _option("--temp", "--temperature", metavar="T", help="Randomness; 0: greedy."),
    ] = 0.8
    dynatemp_range: Annotated[
        float, _option(metavar="T", help="Vary it by T, by how sure the model is.")
    ] = 0.0
    dynatemp_exponent: Annotated[
        float, _option("--dynatemp-exp", metavar="E", help="Exponent of that.")
    ] = 1.0
    top_k: Annotated[
        int, _option(metavar="K", help="Keep the K likeliest; 0: all.")
    ] = 40
    top_p: Annotated[
        float, _option(metavar="P", help="Keep the likeliest of sum P; 1: all.")
    ] = 0.95
    min_p: Annotated[
        float, _option(metavar="P", help="Keep those P times the likeliest; 0: all.")
    ] = 0.05
    typical_p: Annotated[
        float,
        _option(
            "--typical",
            "--typical-p",
            metavar="P",
            help="Keep the most typical of sum P; 1: all.",
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
        float, _option(metavar="P", help="How often XTC leaves likely ones out.")
    ] = 0.0
    xtc_threshold: Annotated[
        float, _option(metavar="P", help="What XTC takes for likely.")
    ] = 0.1
    repeat_penalty: Annotated[
        float, _option(metavar="X", help="Make repeated tokens less likely; 1: off.")
    ] = 1.0
    frequency_penalty: Annotated[
        float, _option(metavar="X", help="Take X off a logit for each time before.")
    ] = 0.0
    presence_penalty: Annotated[
        float, _option(metavar="X", help="Take X off, however often it was there.")
    ] = 0.0
    penalty_last_n: Annotated[
        int,
        _option(
            "--repeat-last-n",
            metavar="N",
            help="Tokens back that these look; -1: all, 0: none.",
        ),
    ] = 64
    dry_multiplier: Annotated[
        float, _option(metavar="X", help="Strength of the DRY penalty; 0: off.")
    ] = 0.0
    dry_base: Annotated[
        float, _option(metavar="X", help="Growth of it with the repetition's length.")
    ] = 1.75
    dry_allowed_length: Annotated[
        int, _option(metavar="N", help="Repetitions up to N tokens are free.")
    ] = 2
    dry_penalty_last_n: Annotated[
        int, _option(metavar="N", help="Tokens back that DRY looks; -1: all.")
    ] = 64
    dry_sequence_breakers: Annotated[
        list[str] | None,
        _option(
            "--dry-sequence-breaker",
            metavar="TEXT",
            show_default=r"\n : \" *",
            help="No repetition reaches across TEXT; may be repeated; none: no such.",
        ),
    ] = None
    mirostat: Annotated[
        int, _option(metavar="N", help="Mirostat 1 or 2, with nothing but temperature.")
    ] = 0
    mirostat_eta: Annotated[
        float, _option("--mirostat-lr", metavar="X", help="Its learning rate.")
    ] = 0.1
    mirostat_tau: Annotated[
        float, _option("--mirostat-ent", metavar="X", help="The surprise it aims at.")
    ] = 5.0
    logit_bias: Annotated[
        list[str] | None,
        _option(
            "-l",
            "--logit-bias",
            metavar="TOKEN±X",
            help="Add X to a token's logit, as in 13-1.5; may be repeated.",
        ),
    ] = None
    ignore_eos: Annotated[
        bool, _option("--ignore-eos", help="Never choose a token that ends the text.")
    ] = False
    seed: Annotated[
        int, _option("-s", "--seed", metavar="N", help="Same seed, same text; -1: any.")
    ] = -1

    def params(self, **others: Any) -> SamplingParams:
        """Return the library's parameters.

        Parameters
        ----------
        others : more of their fields.

        Raises
        ------
        UsageError : a bias is not a token's id, a sign and a number.
        """
        from llamacy.sampling import SamplingParams

        given = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("n_predict", "ignore_eos", "dry_sequence_breakers"):
            del given[name]
        given["max_tokens"] = None if self.n_predict < 0 else self.n_predict
        given["top_k"] = max(self.top_k, 0)
        given["logit_bias"] = dict(map(_bias, self.logit_bias or ()))
        if (breakers := self.dry_sequence_breakers) is not None:
            given["dry_sequence_breakers"] = () if breakers == ["none"] else breakers
        return SamplingParams(**given, **others)

    def unescaped(self) -> SamplingFlags:
        r"""Return them with ``\n`` and the like read in their texts."""
        texts: dict[str, Any] = {
            name: [unescape(text) for text in given]
            for name in ("stop", "dry_sequence_breakers")
            if (given := getattr(self, name)) is not None
        }
        return replace(self, **texts)


def without_end(params: SamplingParams, tokenizer: Tokenizer) -> SamplingParams:
    """Forbid the tokens that end a text."""
    never = dict.fromkeys(tokenizer.eog_ids, -math.inf)
    return replace(params, logit_bias={**dict(params.biases), **never})


def _bias(text: str) -> tuple[int, float]:
    match = _BIAS.fullmatch(text)
    if match is None:
        raise UsageError(f"--logit-bias: wanted TOKEN+X or TOKEN-X, found {text}")
    return int(match[1]), float(match[2])
