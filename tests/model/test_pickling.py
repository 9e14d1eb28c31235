"""Models in pickle and copies: another process loads them again from their source."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.model.model import Model

GREEDY: dict[str, Any] = {"max_tokens": 4, "temperature": 0}
PROMPT = "The capital of France is"


def test_a_pickled_model_is_its_source_and_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with llamacy.load("demo") as demo:
        data = Path(demo.path).read_bytes()
    monkeypatch.chdir(tmp_path)
    Path("here.gguf").write_bytes(data)
    with llamacy.load("here.gguf", n_ctx=64, kv_type="q8_0", n_threads=1) as model:
        wanted = str(model.generate(PROMPT, **GREEDY))
        pickled = pickle.dumps(model)
    assert len(pickled) < 1000
    monkeypatch.chdir("/")  # where the relative path leads nowhere
    with pickle.loads(pickled) as twin:
        assert isinstance(twin, Model)
        assert twin is not model
        assert twin.n_ctx == 64
        assert str(twin.generate(PROMPT, **GREEDY)) == wanted
        assert pickle.loads(pickled) is twin
    with pickle.loads(pickled) as third:  # the twin is closed
        assert third is not twin
    Path(tmp_path, "here.gguf").unlink()
    with pytest.raises(llamacy.ModelFileError, match="here.gguf"):
        pickle.loads(pickled)


def test_another_process_unpickles_a_model(tmp_path: Path) -> None:
    with llamacy.load("demo", n_threads=1) as model:
        Path(tmp_path, "model").write_bytes(pickle.dumps(model))
        wanted = str(model.generate(PROMPT, **GREEDY))
    code = "import pickle; m = pickle.load(open('model', 'rb'))"
    code += f"; print(m.generate({PROMPT!r}, max_tokens=4, temperature=0), end='')"
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == wanted


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_is_a_second_model(copied: Callable[[Model], Model]) -> None:
    with llamacy.load("demo", n_ctx=32, n_threads=1) as model:
        with copied(model) as twin:
            assert twin is not model
            assert twin.n_ctx == 32
        assert str(model.generate(PROMPT, **GREEDY)) == " Paris"


def test_a_file_that_changed_meanwhile_is_refused(
    tmp_path: Path, babble_model: Path
) -> None:
    with llamacy.load("demo") as demo:
        data = Path(demo.path).read_bytes()
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    with llamacy.load(path, n_threads=1) as model:
        path.write_bytes(babble_model.read_bytes())
        with pytest.raises(llamacy.FormatError, match="another model"):
            copy.copy(model)


def test_what_lives_in_one_process_cannot_be_pickled() -> None:
    with llamacy.load("demo", n_threads=1) as model, model.session() as session:
        objects: list[tuple[Any, str]] = [
            (session, "save"),
            (model.engine, "the model"),
            (model.stream(PROMPT), "completion"),
            (model.astream(PROMPT), "completion"),
            (model.stream_chat("Hello"), "completion"),
            (model.generate_each([PROMPT]), "take them"),
        ]
        for one, advice in objects:
            for send in (pickle.dumps, copy.copy, copy.deepcopy):
                with pytest.raises(llamacy.NotPicklableError, match=advice):
                    send(one)
            if hasattr(one, "close"):
                one.close()
    with pytest.raises(llamacy.ClosedError):
        pickle.dumps(model)


def test_tokenizers_options_results_and_errors_can_be_pickled() -> None:
    with llamacy.load("demo", n_threads=1) as model:
        completion = model.generate(PROMPT, logprobs=1, **GREEDY)
        answer = model.chat("What is 12 + 30?", **GREEDY)
        error = llamacy.ContextLengthError(9, 8)
        results = [completion, answer, model.score("a b"), llamacy.SamplingParams()]
        for one in results:
            assert pickle.loads(pickle.dumps(one)) == one
            assert copy.deepcopy(one) == one
        twin = pickle.loads(pickle.dumps(model.tokenizer))
        assert twin.encode(PROMPT) == model.tokenizer.encode(PROMPT)
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
        no_memory = llamacy.OutOfMemoryError("no memory", 2, 1)
        assert pickle.loads(pickle.dumps(no_memory)).needed == 2
