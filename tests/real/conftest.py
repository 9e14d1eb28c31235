"""Real models, each loaded once at each level, and other programs' results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy import kernels
from tests.support import real_models
from tests.support.levels import tested_levels

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def vectors() -> Any:
    """Results of llama.cpp and transformers."""
    return json.loads((HERE / "vectors.json").read_text(encoding="utf-8"))


@pytest.fixture(params=real_models.MODELS)
def name(request: pytest.FixtureRequest) -> str:
    """The name of each model in turn."""
    return str(request.param)


@pytest.fixture
def path(name: str) -> Path:
    """The file of each model in turn."""
    return real_models.fetched(real_models.MODELS[name])


LoadedModels = Callable[[str], Mapping[str, llamacy.Model]]


@pytest.fixture(scope="session")
def loaded() -> Iterator[LoadedModels]:
    """Load a model, by name, at all levels that this machine has.

    They stay until the end: tests come in the order of levels, and not of models.
    """
    with ExitStack() as stack:

        @cache
        def each_level(name: str) -> Mapping[str, llamacy.Model]:
            path = real_models.fetched(real_models.MODELS[name])
            models: dict[str, llamacy.Model] = {}
            for level in tested_levels():
                if kernels.lacking(level) is None:
                    with pytest.MonkeyPatch.context() as patch:
                        patch.setattr(kernels, "selected", lambda level=level: level)
                        models[level.name] = stack.enter_context(llamacy.load(path))
            return models

        yield each_level


@pytest.fixture
def each_level(name: str, loaded: LoadedModels) -> Mapping[str, llamacy.Model]:
    """Each model in turn, by the name of the level that it runs at."""
    return loaded(name)


@pytest.fixture(scope="session")
def chapter() -> str:
    """Some 2,700 tokens of prose."""
    return (HERE / "chapter.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """A model that chats."""
    return real_models.fetched(real_models.SMOLLM2)
