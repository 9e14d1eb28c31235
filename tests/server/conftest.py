"""A server with two models, for all tests here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import llamacy
from tests.support.served import obedient, running


@pytest.fixture(scope="session")
def puppet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[llamacy.Model]:
    """A model that says what the user tells it to say."""
    with obedient(tmp_path_factory.mktemp("models"), max_waiting=64) as model:
        yield model


@pytest.fixture(scope="session")
def demo() -> Iterator[llamacy.Model]:
    """The demo model."""
    with llamacy.load("demo", max_waiting=64) as model:
        yield model


@pytest.fixture(scope="session")
def url(puppet: llamacy.Model, demo: llamacy.Model) -> Iterator[str]:
    """Address of a server with the models ``puppet`` and ``demo``."""
    from llamacy.server import app

    with running(app({"puppet": puppet, "demo": demo})) as address:
        yield address


@pytest.fixture(scope="session")
def encoder_model(encoder: Path) -> Iterator[llamacy.Model]:
    """A model that embeds texts."""
    with llamacy.load(encoder, max_waiting=64) as model:
        yield model


@pytest.fixture(scope="session")
def reranker_model(cross_encoder: Path) -> Iterator[llamacy.Model]:
    """A model that ranks documents."""
    with llamacy.load(cross_encoder, max_waiting=64) as model:
        yield model


@pytest.fixture(scope="session")
def encoders_url(
    encoder_model: llamacy.Model, reranker_model: llamacy.Model, demo: llamacy.Model
) -> Iterator[str]:
    """Address of a server with models that embed and rank, and ``demo``."""
    from llamacy.server import app

    served = {"encoder": encoder_model, "reranker": reranker_model, "demo": demo}
    with running(app(served)) as address:
        yield address
