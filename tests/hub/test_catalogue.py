"""The table of models to try is consistent."""

from __future__ import annotations

import pytest

from llamacy.architectures import ARCHITECTURES
from llamacy.hub.catalogue import CATALOGUE, CatalogueModel
from llamacy.hub.choice import models_among, without_type
from llamacy.hub.names import parse_name

BITS = {"Q4_K_M": (4.5, 6.5), "Q8_0": (8.5, 8.8), "MXFP4": (4.25, 4.7)}
"""Least and most bits a weight: small models have larger types for some tensors."""


def type_of(model: CatalogueModel) -> str:
    name = parse_name(model.name)
    assert name is not None
    if name.file is None:
        return name.variant or ""
    (found,) = models_among([name.file])
    return found.type or ""


@pytest.mark.parametrize("model", CATALOGUE, ids=lambda model: model.name)
def test_each_row_is_plausible(model: CatalogueModel) -> None:
    name = parse_name(model.name)
    assert name is not None
    assert str(name) == model.name
    assert model.architecture in ARCHITECTURES
    least, most = BITS[type_of(model)]
    assert least < 8 * model.n_bytes / model.n_params < most
    # a token's keys and values are far smaller than the model, and not nothing
    assert 10_000 < model.kv.token_bytes < model.n_bytes / 4000
    assert model.n_ctx_train % 1024 == 0
    assert 30_000 < model.n_vocab < 300_000
    assert model.license
    assert 3 < len(model.purpose) <= 60


def test_the_size_in_a_name_is_that_of_the_parameters() -> None:
    for model in CATALOGUE:
        words = without_type(model.name).lower().replace("-", " ").split()
        for word in words:
            if word[0].isdigit() and word[-1] in "bm":
                unit = {"b": 1e9, "m": 1e6}[word[-1]]
                assert float(word[:-1]) * unit == pytest.approx(
                    model.n_params, rel=0.35
                )


def test_no_model_is_there_twice_and_the_smallest_comes_first() -> None:
    assert len({model.name for model in CATALOGUE}) == len(CATALOGUE)
    sizes = [model.n_bytes for model in CATALOGUE]
    assert sizes == sorted(sizes)
