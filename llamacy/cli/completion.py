"""`llamacy completion`: completing commands, options and models in a shell."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

_VARIABLE = "_LLAMACY_COMPLETE"  # set by the shell's script when it asks for words


class Shell(StrEnum):
    """Shells with a script."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"


def completion(
    shell: Annotated[Shell, typer.Argument(help="The shell that you use.")],
) -> None:
    """Print a script that makes Tab complete commands, options and models.

    Put a line into the file that your shell reads when it starts:

    bash, in ~/.bashrc: eval "$(llamacy completion bash)"

    zsh, in ~/.zshrc after compinit: eval "$(llamacy completion zsh)"

    fish, in ~/.config/fish/config.fish: llamacy completion fish | source

    PowerShell, in $PROFILE: llamacy completion powershell | Out-String |
    Invoke-Expression
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    print(
        get_completion_script(
            prog_name="llamacy", complete_var=_VARIABLE, shell=shell.value
        )
    )


def prepare_completion() -> None:
    """Register the shells' protocols, if this process is asked for words."""
    if _VARIABLE in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()


def model_names(incomplete: str) -> list[str]:
    """Return models that a word may begin: demo, names in the cache, GGUF files.

    Without any, the shell completes the names of files.
    """
    from llamacy.hub.cache import cached_models

    names = ["demo", *(model.name for model in cached_models())]
    names += sorted(path.name for path in Path().glob("*.gguf"))
    return [name for name in names if name.startswith(incomplete)]
