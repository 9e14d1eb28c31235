"""Fixtures shared by all tests: models to load, and levels to test at.

`LLAMACY_REQUIRE_LEVELS` names levels that must have been tested when the run ends:
the run fails if one of them was skipped, or if no test asked for it.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

# Before anything with threads is imported. Tests run beside each other, and a thread
# that spins takes the core of the thread it waits for. NumPy's products in tests are
# too small for threads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import gguf
import numpy as np
import pytest
import typer.main
from numpy.typing import NDArray

from llamacy import kernels
from llamacy.kernels.levels import Level
from tests.support import random_model
from tests.support.levels import required_levels, tested_levels

pytest_plugins = ["tests.support.encoder_fixtures", "tests.support.hub_fixtures"]

ROOT = Path(__file__).resolve().parents[1]
TESTED = pytest.StashKey[set[str]]()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real models, vocabularies and golden outputs, if it exists.

    `LLAMACY_SHARED` names it; otherwise it is looked for beside the checkout.
    """
    folder = Path(os.environ.get("LLAMACY_SHARED", ROOT.parent / "shared"))
    if not (folder / "models").is_dir():
        pytest.skip("the folder of real models is absent; LLAMACY_SHARED names it")
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep what is collected, which stays to the end, out of collections of garbage.

    Each of these would look through all of 20,000 tests, in half a second.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Leave a file's tests to one worker of pytest-xdist, which has what they share.

    Models, packed matrices and the reference's results are then made once, and not by
    each worker; and so is the cluster of all tests of Ray. A real model has a worker
    to itself, and examples of pages that run on one share nothing.
    """
    from xdist.scheduler import LoadFileScheduling

    class Files(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            if file.startswith("tests/integrations/ray"):
                return "tests/integrations/ray"
            if file == "tests/real/test_models.py":
                return f"{file} {nodeid.rstrip(']').split('-')[-1].split('[')[-1]}"
            return nodeid if file == "tests/real/test_documents.py" else file

    return Files(config, log) if config.option.dist == "load" else None


# Levels.


@pytest.fixture(scope="session", params=tested_levels(), ids=lambda level: level.name)
def level(request: pytest.FixtureRequest) -> Level:
    """Each level of this machine's architecture; those it cannot run are skipped."""
    each: Level = request.param
    if lack := kernels.lacking(each):
        pytest.skip(f"{each.name}: {lack}")
    request.config.stash.setdefault(TESTED, set()).add(each.name)
    return each


@pytest.fixture
def selected_level(
    level: Level, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Level:
    """Each level in turn; plans made during the test use it.

    The reference executor, where a test's `kind` asks for it, has no levels.
    """
    parameters = getattr(request.node, "callspec", None)
    kind = parameters.params.get("kind") if parameters else None
    if kind == "reference" and level.name != "scalar":
        pytest.skip("the reference executor is the same at every level")
    monkeypatch.setattr(kernels, "selected", lambda: level)
    return level


def untested_levels(config: pytest.Config) -> list[str]:
    """Return the levels that had to be tested and were not."""
    tested = config.stash.get(TESTED, set())
    return [name for name in required_levels() if name not in tested]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over the levels that a worker of pytest-xdist has tested."""
    tested = getattr(node, "workeroutput", {}).get("tested_levels", ())
    node.config.stash.setdefault(TESTED, set()).update(tested)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that has not tested a required level; a worker says what it tested."""
    if hasattr(session.config, "workeroutput"):
        tested = session.config.stash.get(TESTED, set())
        session.config.workeroutput["tested_levels"] = sorted(tested)
    elif untested_levels(session.config) and not session.config.option.collectonly:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Name the levels that were not tested, and the reasons."""
    by_name = {each.name: each for each in kernels.LEVELS}
    for name in untested_levels(config):
        lack = kernels.lacking(by_name[name]) if name in by_name else "no such level"
        terminalreporter.write_line(
            f"LLAMACY_REQUIRE_LEVELS: {name} was not tested ({lack or 'no test ran'})",
            red=True,
        )


# Models.


@pytest.fixture(scope="session")
def babble_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny LLaMA with random weights and a vocabulary, which generates babble."""
    path = tmp_path_factory.mktemp("models") / "babble.gguf"
    random_model.write(str(path))
    return path


@pytest.fixture(scope="session")
def base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`babble_model` without a chat template."""
    path = tmp_path_factory.mktemp("models") / "base.gguf"
    random_model.write(str(path), chat_template="")
    return path


WriteGGUF = Callable[
    [Path, Mapping[str, Any], Mapping[str, NDArray[np.float32]], str], Path
]


@pytest.fixture(scope="session")
def write_gguf() -> WriteGGUF:
    """Write a model file: (path, metadata, float32 tensors, type of the matrices)."""
    return _write_gguf


def _write_gguf(
    path: Path,
    metadata: Mapping[str, Any],
    tensors: Mapping[str, NDArray[np.float32]],
    type_name: str = "F32",
) -> Path:
    writer = gguf.GGUFWriter(path, str(metadata["general.architecture"]))
    for key, value in metadata.items():
        if key != "general.architecture":
            _add_value(writer, key, value)
    ggml_type = gguf.GGMLQuantizationType[type_name]
    for name, values in tensors.items():
        is_vector = values.ndim == 1 or name.endswith(".bias")
        if is_vector or type_name == "F32":
            writer.add_tensor(name, np.ascontiguousarray(values, np.float32))
        else:
            data = gguf.quants.quantize(values, ggml_type)
            writer.add_tensor(name, data, raw_dtype=ggml_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_value(writer: Any, key: str, value: Any) -> None:
    if isinstance(value, str):
        writer.add_string(key, value)
    elif isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, list):
        writer.add_array(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    else:
        writer.add_uint32(key, value)


@pytest.fixture(scope="session")
def llama_metadata() -> Callable[..., dict[str, Any]]:
    """Metadata of a tiny LLaMA, or of another family; keyword arguments are its keys.

    Dots are written as two underscores: `rope__freq_base=500.0`. Keys that have a dot
    do not begin with the family's name.
    """

    def make(family: str = "llama", /, **changes: Any) -> dict[str, Any]:
        keys: dict[str, Any] = {
            "block_count": 2,
            "embedding_length": 64,
            "attention__head_count": 4,
            "attention__head_count_kv": 2,
            "feed_forward_length": 96,
            "vocab_size": 50,
            "context_length": 128,
            "attention__layer_norm_rms_epsilon": 1e-5,
        } | changes
        return {"general.architecture": family} | {
            key if "." in key else f"{family}.{key.replace('__', '.')}": value
            for key, value in keys.items()
        }

    return make


@pytest.fixture(scope="session")
def random_tensors() -> Callable[..., dict[str, NDArray[np.float32]]]:
    """Fill shapes by name with seeded noise that keeps activations near 1."""

    def fill(
        shapes: Iterable[tuple[str, tuple[int, ...]]], seed: int = 0
    ) -> dict[str, NDArray[np.float32]]:
        return dict(_noise(shapes, np.random.default_rng(seed)))

    return fill


def _noise(
    shapes: Iterable[tuple[str, tuple[int, ...]]], rng: np.random.Generator
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    for name, shape in shapes:
        values = rng.standard_normal(shape, dtype=np.float32)
        if name.startswith("rope_"):
            values = rng.uniform(1, 8, shape).astype(np.float32)
        elif name.endswith("norm.weight"):
            values = 1 + 0.1 * values
        elif len(shape) > 1 and not name.endswith(".bias"):
            values *= np.float32(1.5 * shape[-1] ** -0.5)
        yield name, values.astype(np.float32)


# The command line.


@pytest.fixture(scope="session", autouse=True)
def one_command_line() -> Iterator[None]:
    """Make the command line once: Typer's runner does so for each call, in 50 ms."""
    with pytest.MonkeyPatch.context() as patch:
        made = cache(typer.main.get_command)
        patch.setattr("typer.testing._get_command", made, raising=False)
        yield


# Files.


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    """A file that must exist unchanged at the end, with nothing beside it."""
    path = tmp_path / "target" / "new.gguf"
    path.parent.mkdir()
    path.write_text("what was there")
    yield path
    assert path.read_text() == "what was there"
    assert list(path.parent.iterdir()) == [path]
