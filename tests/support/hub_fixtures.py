"""A local hub and an empty cache; no other address can be reached."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import random_model
from hub_server import HubServer, Repo
from huggingface_hub import close_session, constants

REPO = "user/tiny-GGUF"


@pytest.fixture
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail any attempt to reach another machine."""
    connect = socket.socket.connect

    def checked(self: socket.socket, address: Any) -> None:
        if self.family != getattr(socket, "AF_UNIX", None):
            assert address[0] == "127.0.0.1", f"a test wanted to reach {address}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", checked)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def hub(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    loopback_only: None,
) -> Iterator[HubServer]:
    """An empty hub, which this process uses, with an empty cache and no token.

    The library reads these settings from the environment only once.
    """
    server = HubServer()
    resolve = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", resolve)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    # downloads resume after the last whole chunk: small chunks, for small files
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 16384)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    yield server
    close_session()
    server.stop()


@pytest.fixture(scope="session")
def model(babble_model: Path) -> bytes:
    """The bytes of a valid model file."""
    return babble_model.read_bytes()


@pytest.fixture(scope="session")
def split(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The same model in several files, by name."""
    folder = tmp_path_factory.mktemp("split")
    random_model.write(str(folder / "tiny-Q8_0.gguf"), split_max_tensors=16)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def repo(hub: HubServer, model: bytes) -> Repo:
    """A usual repository: a model in two types, and other files."""
    hub.repos[REPO] = Repo(
        {
            "README.md": b"# Tiny",
            "imatrix.gguf": b"statistics",
            "mmproj-F16.gguf": b"a projector",
            "tiny-Q4_K_M.gguf": model,
            "tiny-q8_0.gguf": model + bytes(8),
        }
    )
    return hub.repos[REPO]
