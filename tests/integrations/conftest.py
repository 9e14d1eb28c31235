"""Models for adapters' tests, one of which says what a test dictates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import llamacy
from tests.support import random_model, tool_templates


def pytest_configure(config: pytest.Config) -> None:
    """Run coroutines of other libraries' own test suites, which leave this to us."""
    if config.pluginmanager.has_plugin("asyncio"):
        config.option.asyncio_mode = "auto"


@pytest.fixture(scope="session")
def puppet_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's file with a chat template that writes tools and tool calls."""
    path = tmp_path_factory.mktemp("models") / "puppet.gguf"
    random_model.write(
        str(path),
        chat_template=tool_templates.HERMES,
        marks=tool_templates.MARKS,
        n_ctx=1024,
        space_prefix=False,
    )
    return path


@pytest.fixture(scope="session")
def puppet(puppet_path: Path) -> Iterator[llamacy.Model]:
    """A model that `tests.support.puppet.saying` makes say something."""
    with llamacy.load(puppet_path) as model:
        yield model


@pytest.fixture(scope="session")
def demo() -> Iterator[llamacy.Model]:
    """The demo model."""
    with llamacy.load("demo") as model:
        yield model
