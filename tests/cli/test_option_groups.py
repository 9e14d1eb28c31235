"""Groups of options, and the sampling options of `llamacy run`."""

from __future__ import annotations

import dataclasses
import inspect
import math
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from llamacy.cli.failures import UsageError
from llamacy.cli.option_groups import takes_groups
from llamacy.cli.run import run
from llamacy.cli.sampling_options import SamplingFlags
from llamacy.sampling import SamplingParams


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    width: Annotated[int, typer.Option("-w", "--width")] = 1
    names: Annotated[list[str] | None, typer.Option()] = None


def test_a_group_is_one_argument_of_the_command_and_many_options() -> None:
    calls: list[Any] = []

    @takes_groups
    def command(
        word: Annotated[str, typer.Argument()],
        size: Size = Size(),  # noqa: B008 -- frozen
        loud: Annotated[bool, typer.Option("--loud")] = False,
    ) -> None:
        """Say a word."""
        calls.append((word, size, loud))

    app = typer.Typer()
    app.command()(command)
    words = ["hi", "-w", "3", "--names", "a", "--names", "b", "--loud"]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert CliRunner().invoke(app, ["hi"]).exit_code == 0
    sized = ("hi", Size(width=3, names=["a", "b"]), True)
    assert calls == [sized, ("hi", Size(), False)]
    parameters = list(inspect.signature(command).parameters)
    assert parameters == ["word", "width", "names", "loud"]
    assert command.__doc__ == "Say a word."


def test_every_sampling_parameter_has_an_option_with_the_librarys_default() -> None:
    no_option = {"logits_processors", "prompt_logprobs"}
    # a schema says the first, a regular expression the second
    no_option |= {"response_format", "choices", "json_schema_lenient"}
    other_name = {"max_tokens": "n_predict", "grammar": "grammar_file"}
    # options whose default cannot be written on a command line
    other_default = {"max_tokens", "seed", "stop", "dry_sequence_breakers"}
    options = inspect.signature(run).parameters
    for field in dataclasses.fields(SamplingParams):
        if field.name not in no_option:
            option = options[other_name.get(field.name, field.name)]
            if field.name not in other_default:
                assert option.default == field.default, field.name
    defaults = dataclasses.replace(SamplingParams(), logit_bias={}, seed=-1)
    assert SamplingFlags().params() == defaults


def test_some_values_have_another_meaning_on_the_command_line() -> None:
    assert SamplingFlags(n_predict=-1).params().max_tokens is None
    assert SamplingFlags(n_predict=5).params().max_tokens == 5
    assert SamplingFlags(top_k=-1).params().top_k == 0
    flags = SamplingFlags(dry_sequence_breakers=["none"])
    assert flags.params().dry_sequence_breakers == ()
    flags = SamplingFlags(dry_sequence_breakers=[r"\n", "x"], stop=[r"\t"]).unescaped()
    assert flags.params().dry_sequence_breakers == ("\n", "x")
    assert flags.params().stop == ("\t",)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("13+1", {13: 1.0}),
        ("29905-1.5", {29905: -1.5}),
        ("7-inf", {7: -math.inf}),
        ("7+.5", {7: 0.5}),
    ],
)
def test_a_bias_is_a_token_id_a_sign_and_a_number(
    text: str, wanted: dict[int, float]
) -> None:
    assert dict(SamplingFlags(logit_bias=[text]).params().biases) == wanted


@pytest.mark.parametrize("text", ["", "13", "13=1", "+1", "x+1", "13+", "13+1x"])
def test_an_invalid_bias_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--logit-bias: wanted TOKEN"):
        SamplingFlags(logit_bias=[text]).params()
