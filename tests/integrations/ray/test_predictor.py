"""`Predictor` under Ray Data's `map_batches`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.jobs.ray import Predictor
from llamacy.model.model import Model

pytestmark = pytest.mark.integrations
pyarrow: Any = pytest.importorskip("pyarrow", reason="pyarrow is absent")
pytest.importorskip("ray", reason="Ray is absent")

LARGE = 2**53 + 1
COUNTRIES = ["France", "Italy", None, "Spain"]
ANSWERS = [" Paris", " Rome", None, " Madrid"]
PROMPT = "The capital of {country} is"


def table() -> Any:
    ids = pyarrow.array([LARGE, None, 1, 2], pyarrow.int64())
    days = ["2024-01-01"] * len(COUNTRIES)
    return pyarrow.table({"id": ids, "country": COUNTRIES, "day": days})


class Observed(Predictor):
    """Has the threads of its model in a column, too."""

    def __call__(self, batch: Any) -> Any:
        plan: Any = self._model.executor
        threads = pyarrow.array([plan._n_threads] * batch.num_rows)
        return super().__call__(batch).append_column("n_threads", threads)


@pytest.mark.parametrize("given", ["path", "model"])
def test_batches_get_columns_of_answers(cluster: Any, given: str) -> None:
    import ray

    with llamacy.load("demo") as loaded:
        options = {"model": loaded if given == "model" else "demo", "prompt": PROMPT}
        mapped = ray.data.from_arrow(table()).map_batches(
            Observed,
            fn_constructor_kwargs={**options, "raw": True, "temperature": 0},
            batch_format="pyarrow",
            batch_size=2,
            compute=ray.data.ActorPoolStrategy(size=1),
            num_cpus=1,
        )
        rows = sorted(
            mapped.take_all(), key=lambda row: COUNTRIES.index(row["country"])
        )
    assert [row["answer"] for row in rows] == ANSWERS
    assert [row["error"] is None for row in rows] == [True, True, False, True]
    assert [row["id"] for row in rows] == [LARGE, None, 1, 2]
    assert {row["day"] for row in rows} == {"2024-01-01"}
    assert {row["n_threads"] for row in rows} == {1}


def test_answers_do_not_depend_on_batches(demo: Model) -> None:
    predict = Predictor(demo, PROMPT, raw=True, temperature=1.5, seed=3, max_tokens=6)
    whole = predict(table())
    parts = [predict(table().slice(n, 1)) for n in range(len(COUNTRIES))]
    assert pyarrow.concat_tables(parts[::-1]).equals(whole.take([3, 2, 1, 0]))
    assert len({*whole["answer"].to_pylist()}) == len(COUNTRIES)


def test_batches_are_not_written_into(demo: Model, tmp_path: Path) -> None:
    """Ray's batches lie in shared memory that cannot be written to, as here."""
    path = str(tmp_path / "batch.arrow")
    with pyarrow.OSFile(path, "wb") as file:
        with pyarrow.ipc.new_file(file, table().schema) as writer:
            writer.write_table(table())
    with pyarrow.memory_map(path) as mapped:  # a write into it is a SIGSEGV
        batch = pyarrow.ipc.open_file(mapped).read_all()
        assert not batch["id"].chunk(0).buffers()[1].is_mutable
        predict = Predictor(demo, PROMPT, raw=True, temperature=0)
        answered = predict(batch)
        assert answered["answer"].to_pylist() == ANSWERS
        assert answered.select(table().column_names).equals(table())


def test_error_in_an_actor_is_named(cluster: Any) -> None:
    """Ray raises an error of its own, in whose text llamacy's is."""
    import ray

    mapped = ray.data.from_arrow(table()).map_batches(
        Predictor,
        fn_constructor_kwargs={"model": "no such model.gguf", "prompt": PROMPT},
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=1),
        num_cpus=1,
    )
    with pytest.raises(ray.exceptions.RayError) as caught:
        mapped.take_all()
    assert "ModelFileError" in str(caught.value)
    assert "no such model.gguf: no such file" in str(caught.value)


def test_batches_of_other_kinds_are_errors(demo: Model) -> None:
    predict = Predictor(demo, PROMPT, raw=True)
    with pytest.raises(llamacy.ArgumentError, match='batch_format="pyarrow"'):
        predict({"country": ["France"]})
    with pytest.raises(llamacy.ArgumentError, match="no column 'country'"):
        predict(pyarrow.table({"x": [1]}))
    with pytest.raises(llamacy.ArgumentError, match="has a column 'error' already"):
        predict(table().append_column("error", table()["day"]))
