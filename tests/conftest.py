"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real models, vocabularies and golden outputs, if it is there.

    `LLAMACY_SHARED` names it; otherwise it is looked for beside the checkout.
    """
    beside = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("LLAMACY_SHARED", beside))
    if not (folder / "models").is_dir():
        pytest.skip("the folder of real models is absent; LLAMACY_SHARED names it")
    return folder
