"""A server that runs in a thread, and a model behind it that says what it is told."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import llamacy
from tests.support import puppet, random_model, tool_templates
from tests.support.waiting import wait_until

_LAST = re.compile(r".*<\|im_start\|>user\n(.*?)<\|im_end\|>", re.S)


def reply(prompt: str) -> str:
    """Return what the last user said after ``say``."""
    found = _LAST.match(prompt)
    said = found[1] if found else prompt
    if said.startswith("<tool_response>"):
        return "The tool said " + said.splitlines()[1]
    _, _, told = said.rpartition("say ")
    return told


@contextmanager
def obedient(folder: Path, **options: Any) -> Iterator[llamacy.Model]:
    """Load a model with a template of tools, which says what the user tells it to."""
    path = folder / "puppet.gguf"
    random_model.write(
        str(path),
        chat_template=tool_templates.HERMES,
        marks=tool_templates.MARKS,
        n_ctx=8192,
        space_prefix=False,
    )
    with llamacy.load(path, **options) as model:
        engine = model.engine
        told = puppet.replying(model, reply, beginning="<|im_start|>assistant\n")
        engine.defaults = replace(engine.defaults, **told)
        yield model


@contextmanager
def running(application: Any) -> Iterator[str]:
    """Run an application with uvicorn on a free port; return its address."""
    import uvicorn

    from llamacy.cli.connections import Connection
    from llamacy.cli.serving import Server

    config = uvicorn.Config(
        application,
        port=0,
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
    )
    server = Server(config, application, ["test"])
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started or not thread.is_alive())
    try:
        listening = server.servers[0].sockets[0]
        # small, so that a client that does not read is soon behind
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        port = listening.getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)


class Slow:
    """Makes every token of a model take a while."""

    def __init__(self, model: llamacy.Model, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go_on = threading.Event()
        told = model.engine.defaults
        (said,) = told.logits_processors  # type: ignore[misc]
        slow = replace(told, logits_processors=(self._wait, said))
        monkeypatch.setattr(model.engine, "defaults", slow)

    def _wait(self, ids: Any, logits: Any) -> None:
        self.go_on.wait(10)
