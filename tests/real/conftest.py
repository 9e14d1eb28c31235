"""Real models, each loaded once at each level, and other programs' results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy import kernels
from llamacy.kernels.cpu import MACHINE
from llamacy.kernels.levels import levels_of
from tests.support import real_models
from tests.support.real_models import EachLevel

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def vectors() -> Any:
    """Results of llama.cpp and transformers."""
    return json.loads((HERE / "vectors.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session", params=real_models.MODELS)
def name(request: pytest.FixtureRequest) -> str:
    """The name of each model in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def path(name: str) -> Path:
    """The file of each model in turn."""
    return real_models.fetched(real_models.MODELS[name])


@pytest.fixture(scope="session")
def each_level(path: Path) -> Iterator[EachLevel]:
    """Each model at all levels that this machine has."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        models: EachLevel = {}
        for level in levels_of(MACHINE):
            if kernels.lacking(level) is None:
                patch.setattr(kernels, "selected", lambda level=level: level)
                models[level.name] = stack.enter_context(llamacy.load(path))
        patch.undo()
        yield models


@pytest.fixture(scope="session")
def chapter() -> str:
    """Some 2,700 tokens of prose."""
    return (HERE / "chapter.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """A model that chats."""
    return real_models.fetched(real_models.SMOLLM2)
