"""`llamacy pull`: download a model from the hub."""

from __future__ import annotations

from typing import Annotated

import typer

from llamacy.cli.options import JSON


def pull(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="user/repo:Q4_K_M, for example.")
    ],
    json: JSON = False,
) -> None:
    """Download a model from the Hugging Face hub, or update it.

    NAME is user/repo:TYPE, user/repo/FILE, or user/repo alone, which means Q4_K_M
    if there is one; user/repo@REVISION:TYPE selects a version other than the
    newest. From a repository with safetensors and without GGUF files, the whole
    model is downloaded. Set HF_TOKEN to a token for repositories that require
    one.
    """
    import llamacy
    from llamacy.cli.progress_bar import ProgressBar

    with ProgressBar(f"fetching {name}") as progress:
        path = llamacy.pull(name, progress=progress)
    if json:
        from json import dumps

        print(dumps({"name": name, "path": str(path)}, ensure_ascii=False))
    else:
        print(path)
