"""Options that people know from llama.cpp, ollama and Python.

Some have another name here. Some change nothing on a CPU, or nothing but the speed: a
note says so. Others ask for a text that llamacy would not generate: they are refused,
with a hint.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import Any

from typer.core import TyperCommand

from llamacy.cli.failures import UsageError

_OTHER_NAMES = {
    "--conversation": "--chat",
    "--hf-repo": "--model",
    "--hidethinking": "--hide-reasoning",
    "--max-new-tokens": "--n-predict",
    "--max-tokens": "--n-predict",
    "--n-ctx": "--ctx-size",
    "--n-threads": "--threads",
    "--no-conversation": "--raw",
    "--num-ctx": "--ctx-size",
    "--num-predict": "--n-predict",
    "--predict": "--n-predict",
    "--system-prompt": "--system",
    "--top-n-sigma": "--top-nsigma",
    "-cnv": "--chat",
    "-hf": "--model",
    "-hfr": "--model",
    "-no-cnv": "--raw",
}

# Each line is one option and its value, if it takes one: N must follow, [N] may.
_FOR_A_GPU = """
-ngl --gpu-layers --n-gpu-layers N
-sm --split-mode N
-ts --tensor-split N
-mg --main-gpu N
-dev --device N
-ot --override-tensor N
-cmoe --cpu-moe
-ncmoe --n-cpu-moe N
-kvo --kv-offload -nkvo --no-kv-offload
-fit --fit [N]
-fitt --fit-target N
-fitc --fit-ctx N
--op-offload --no-op-offload
--no-host
--rpc N
"""
_WITHOUT_EFFECT = """
-fa --flash-attn [N]
-b --batch-size N
-ub --ubatch-size N
-tb --threads-batch N
-C --cpu-mask -Cr --cpu-range -Cb --cpu-mask-batch -Crb --cpu-range-batch N
--cpu-strict --cpu-strict-batch --prio --prio-batch --poll --poll-batch N
--numa N
--mlock
--mmap --no-mmap
-dio --direct-io -ndio --no-direct-io
-lm --load-mode N
--repack -nr --no-repack
--check-tensors
--swa-full
-dt --defrag-thold N
-np --parallel N
-cram --cache-ram N
-ctxcp --ctx-checkpoints --swa-checkpoints N
--no-context-shift
--prompt-cache N
--prompt-cache-all --prompt-cache-ro
--warmup --no-warmup
-ngld --gpu-layers-draft --n-gpu-layers-draft -devd N
--draft-n --draft-max --draft-min --draft-p-min --spec-draft-n-max N
-st --single-turn
--stream
-i --interactive -if --interactive-first -ins --instruct
-mli --multiline-input
--simple-io
-co --color [N]
--jinja
--no-escape
--display-prompt --no-display-prompt --verbose-prompt
--perf --no-perf --show-timings --no-show-timings
--log-disable --log-prefix --no-log-prefix --log-timestamps --no-log-timestamps
--log-file -lv --verbosity --log-verbosity N
--log-colors [N]
--no-mmproj --no-mmproj-auto
--nowordwrap
--keepalive N
"""
_REFUSED = {
    "-ctk --cache-type-k -ctv --cache-type-v": "keys and values have one type: "
    "--kv-type f16, f32 or q8_0",
    "--grammar": "wanted a file with the grammar: --grammar-file FILE",
    "-jf --json-schema-file": "--json-schema takes a file, too",
    "--format": "--json-schema takes a schema, or a file with one; {} is any JSON",
    "--samplers --sampler-seq --sampling-seq": "the samplers always run in the default "
    "order; --top-k 0, for example, leaves one out",
    "--rope-scaling --rope-scale --rope-freq-base --rope-freq-scale --yarn-orig-ctx "
    "--yarn-ext-factor --yarn-attn-factor --yarn-beta-slow --yarn-beta-fast": (
        "RoPE is computed as the model's file says"
    ),
    "--override-kv": "metadata is used as the model's file has it",
    "--control-vector --control-vector-scaled --control-vector-layer-range": (
        "control vectors are not supported; --lora is"
    ),
    "-mm --mmproj --image --audio --video": "models read text alone",
    "--chat-template-file": 'wanted the template itself: --chat-template "$(cat FILE)"',
    "-sysf --system-prompt-file": 'wanted the text itself: --system "$(cat FILE)"',
    "--in-prefix --in-suffix --in-prefix-bos": (
        "the chat template writes the marks around a message; see --chat-template"
    ),
    "--no-jinja": "every chat template is rendered as Jinja",
    "--reasoning-format": "--hide-reasoning hides the reasoning",
    "-rea --reasoning --reasoning-budget --think": (
        """--reasoning-effort, or --chat-template-kwargs '{"enable_thinking": false}'"""
    ),
    "-sp --special": "control tokens are never printed; llamacy tokenize shows them",
    "--keep": "a chat always keeps its system message",
    "--context-shift": "a chat drops its oldest messages when the context is full",
    "-hff --hf-file": "wanted the file in the model's name: user/repo/FILE.gguf",
    "-hft --hf-token": "set HF_TOKEN in the environment",
    "-mu --model-url -dr --docker-repo": "wanted a path, or user/repo:TYPE on the hub",
    "--offline": "set HF_HUB_OFFLINE=1 in the environment",
    "-o --output --output-file": "redirect the output: > FILE",
}
_SWITCH_VALUES = {"on", "off", "auto", "0", "1"}


def _parsed(table: str) -> dict[str, str]:
    """Return a table's option names, each with its value: `N`, `[N]` or nothing."""
    values: dict[str, str] = {}
    for line in table.strip().splitlines():
        names = line.split()
        value = names.pop() if names[-1] in ("N", "[N]") else ""
        values |= dict.fromkeys(names, value)
    return values


class Command(TyperCommand):
    """A command that knows other programs' names and spellings of its own options."""

    runs_model = False

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words after the command's name."""
        takes_value = {
            name: not getattr(param, "is_flag", True)
            for param in self.params
            for name in param.opts
            if name.startswith("-")
        }
        if ctx.resilient_parsing:  # for a shell that completes a word
            return super().parse_args(ctx, args)
        own, ignored = without_foreign(args, takes_value, runs_model=self.runs_model)
        if ignored:
            print(f"llamacy: without effect here: {_told(ignored)}", file=sys.stderr)
        return super().parse_args(ctx, own)


class ModelCommand(Command):
    """A command that runs a model; other programs' options get a note or a hint."""

    runs_model = True


def without_foreign(
    words: list[str], takes_value: dict[str, bool], *, runs_model: bool = True
) -> tuple[list[str], list[str]]:
    """Take other programs' options out of a command line.

    Parameters
    ----------
    words : list of str
        The words after the command's name.
    takes_value : dict of str to bool
        The command's own options, and whether a value follows them. An option of the
        same name in another program is not looked at.
    runs_model : bool, default True
        Whether the command runs a model. Only then are options looked at that it does
        not have.

    Returns
    -------
    own : list of str
        The words, with options under the names that the command knows.
    ignored : list of str
        The options without effect, with their values.

    Raises
    ------
    UsageError
        An option would change the text, and is not supported.
    """
    refused: dict[str, str] = {}
    without_effect: dict[str, str] = {}
    if runs_model:
        refused = {
            name: why for names, why in _REFUSED.items() for name in names.split()
        }
        without_effect = _parsed(_FOR_A_GPU) | _parsed(_WITHOUT_EFFECT)
    known = {*takes_value, *refused, *without_effect}
    remaining, own, ignored = deque(words), list[str](), list[str]()
    while remaining:
        word = remaining.popleft()
        if word == "--":
            return [*own, word, *remaining], ignored
        given, equals, value = word.partition("=")
        name = _name(given, takes_value, known) if word.startswith("-") else ""
        if name in takes_value:
            if equals and takes_value[name] and not name.startswith("--"):
                own += [name, value]  # Typer would count the = as part of the value
                continue
            own.append(name + equals + value)
            if takes_value[name] and not equals and remaining:
                own.append(remaining.popleft())
        elif name in refused:
            raise UsageError(f"{name}: {refused[name]}")
        elif name in without_effect:
            values = [] if equals else _taken(without_effect[name], remaining)
            ignored.append(" ".join([word, *values]))
        else:
            own.append(word)
    return own, ignored


def _name(given: str, takes_value: dict[str, bool], known: set[str]) -> str:
    """Return the name that is known for an option, if there is one."""
    if given in known:
        return given
    with_hyphens = f"--{given[2:].replace('_', '-')}"
    if given.startswith("--") and with_hyphens in known:
        return with_hyphens
    if f"-{given}" in takes_value:
        raise UsageError(f"no option {given}; did you mean -{given}?")
    hyphened = with_hyphens if given.startswith("--") else given
    other = _OTHER_NAMES.get(hyphened, given)
    return other if other in takes_value else given


def _taken(value: str, remaining: deque[str]) -> list[str]:
    """Take an option's value from the remaining words."""
    is_there = remaining and (value == "N" or remaining[0] in _SWITCH_VALUES)
    return [remaining.popleft()] if value and is_there else []


def _told(ignored: list[str]) -> str:
    """Return the ignored options as a list in words."""
    for_a_gpu = _parsed(_FOR_A_GPU)
    is_for_gpu = any(each.split()[0] in for_a_gpu for each in ignored)
    return ", ".join(ignored) + (" (llamacy runs on the CPU)" if is_for_gpu else "")
