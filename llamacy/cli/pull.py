"""`llamacy pull`: a model from the hub."""

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
    """Fetch a model from the Hugging Face hub, or a newer version of it.

    NAME is user/repo:TYPE, user/repo/FILE, or user/repo alone, which means Q4_K_M if
    there is one; user/repo@REVISION:TYPE is another version than the newest. Of a
    repository with safetensors and no GGUF file, all of the model is fetched. HF_TOKEN
    is the token for repositories that ask for one.
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
