"""`llamacy serve`: models behind HTTP, for the clients of other servers."""

from __future__ import annotations

import math
import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from llamacy.cli.certificates import checked_certificate
from llamacy.cli.completion import model_names
from llamacy.cli.endings import note
from llamacy.cli.failures import UsageError
from llamacy.cli.option_groups import takes_groups
from llamacy.cli.options import LoadingFlags, MaxActive

if TYPE_CHECKING:
    from llamacy.model.model import Model
    from llamacy.server import OnDemand

_KEY_VARIABLE: Final = "LLAMACY_API_KEY"
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_MAX_WAITING: Final = 64
_UNITS: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@takes_groups
def serve(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="GGUF files, folders, names on the hub, or demo; NAME=MODEL gives a "
            "model another name.",
            autocompletion=model_names,
        ),
    ],
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen at.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="Port; 0: any free one.")
    ] = 8080,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            "--api-key-file",
            metavar="FILE",
            show_default=f"${_KEY_VARIABLE}",
            help="Ask clients for one of the keys in this file, one a line.",
        ),
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Name that clients reach this server by. May be repeated; *: any.",
        ),
    ] = None,
    allowed_origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="Origin of web pages that may ask (CORS). May be repeated; *: any.",
        ),
    ] = None,
    max_active: MaxActive = None,
    max_waiting: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Most requests that wait before others are refused.",
        ),
    ] = _MAX_WAITING,
    on_demand: Annotated[
        bool, typer.Option(help="Load each model when it is first asked for.")
    ] = False,
    allow_hub: Annotated[
        bool,
        typer.Option(
            help="Let clients fetch models of the hub (/api/pull), and ask for those "
            "that are in its cache.",
        ),
    ] = False,
    tls_cert: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Speak HTTPS, with this certificate (chain), as PEM."
        ),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default="in the certificate's file",
            help="The certificate's private key, as PEM.",
        ),
    ] = None,
    idle_seconds: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            min=0,
            help="With --on-demand or --allow-hub: unload a model that nobody has used "
            "for a while.",
        ),
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="With --on-demand or --allow-hub: memory for those models, such as "
            "8G; idle ones are unloaded for another.",
        ),
    ] = None,
    page: Annotated[
        bool, typer.Option("--page/--no-page", help="Show a chat page at /.")
    ] = True,
    loading: LoadingFlags = LoadingFlags(),  # noqa: B008 -- frozen
) -> None:
    """Serve models to the clients of OpenAI, Anthropic and Ollama.

    The first Ctrl-C lets running answers end; the second ends them.
    """
    unloads = idle_seconds is not None or max_memory is not None
    if unloads and not (on_demand or allow_hub):
        raise UsageError(
            "--idle-seconds and --max-memory: wanted --on-demand or --allow-hub as well"
        )
    certificate = checked_certificate(tls_cert, tls_key)
    named = dict(map(named_model, models))
    if len(named) < len(models):
        raise UsageError("two models have the same name; wanted NAME=MODEL")
    keys = api_keys(api_key_file)
    if not keys and host not in _LOOPBACK:
        note("whoever reaches this address may ask: set a key with --api-key-file")
    try:
        from llamacy.cli.serving import run_server
        from llamacy.server import app
    except ImportError as error:
        install = "run `pip install '.[server]'` in a clone of llamacy"
        raise UsageError(f"serve needs a package: {install} ({error})") from None
    most_bytes = None if max_memory is None else memory_size(max_memory)
    with ExitStack() as opened:
        served: dict[str, Model | OnDemand] = {}
        for name, path in named.items():
            if on_demand:
                served[name] = later(loading, path, max_active, max_waiting)
            else:
                model = loading.load(
                    path, max_active=max_active, max_waiting=max_waiting
                )
                served[name] = opened.enter_context(model)
        application = app(
            served,
            max_memory=most_bytes,
            idle_seconds=idle_seconds,
            from_hub=partial(
                later, loading, max_active=max_active, max_waiting=max_waiting
            )
            if allow_hub
            else None,
            api_keys=keys,
            allowed_hosts=allowed_host or (),
            allowed_origins=allowed_origin or (),
            page=page,
        )
        run_server(application, host, port, list(served), certificate)


def named_model(word: str) -> tuple[str, str]:
    """Return the name and the path that a word of the command line gives.

    Examples
    --------
    >>> named_model("models/tiny.gguf"), named_model("user/repo:Q4_K_M")
    (('tiny', 'models/tiny.gguf'), ('user/repo:Q4_K_M', 'user/repo:Q4_K_M'))
    >>> named_model("small=models/tiny.gguf")
    ('small', 'models/tiny.gguf')
    """
    name, equals, path = word.partition("=")
    if equals and name and path and not os.path.exists(word):
        return name, path
    if word.endswith(".gguf") or os.path.exists(word):
        return Path(word).resolve().name.removesuffix(".gguf"), word
    return word, word


def later(
    loading: LoadingFlags, path: str, max_active: int | None, max_waiting: int
) -> OnDemand:
    """Return a model that is loaded when it is first asked for, its file checked."""
    from llamacy.cli.models import find_model, type_name
    from llamacy.model_files.inspecting import inspect
    from llamacy.server import OnDemand

    source = find_model(path)
    info = inspect(source.path, quantize=type_name(source, loading.quantize))
    n_bytes = info.memory_bytes(loading.n_ctx or info.n_ctx_train, loading.kv_type)

    def load() -> Model:
        return loading.load(path, max_active=max_active, max_waiting=max_waiting)

    return OnDemand(load, str(source.path), n_bytes)


def memory_size(text: str) -> int:
    """Return the bytes that a size such as ``8G`` or ``512M`` means.

    Examples
    --------
    >>> memory_size("1.5G"), memory_size("100")
    (1610612736, 100)
    """
    number, unit = (text[:-1], text[-1:].upper()) if text[-1:].isalpha() else (text, "")
    try:
        size = float(number) * _UNITS[unit]
        if not 1 <= size < math.inf:
            raise ValueError
    except (KeyError, ValueError):
        raise UsageError(
            f"--max-memory: wanted a size such as 8G or 512M, found {text}"
        ) from None
    return int(size)


def api_keys(file: Path | None) -> list[str]:
    """Return the keys of a file, or else the one of the environment.

    Raises
    ------
    UsageError
        There is a file, and it cannot be read or has no key.
    """
    if file is None:
        key = os.environ.get(_KEY_VARIABLE, "")
        return [key] if key else []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UsageError(f"--api-key-file: {error}") from None
    keys = [line.strip() for line in lines if line.strip()]
    if not keys:
        raise UsageError(f"--api-key-file: wanted a key, found none in {file}")
    return keys
