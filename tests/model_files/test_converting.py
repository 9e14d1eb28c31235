"""A folder of safetensors is the same model loaded, converted and quantised."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.formats.gguf.file import open_gguf
from llamacy.formats.requantized_tensor import RequantizedTensor
from llamacy.ggml.file_types import FILE_TYPES
from llamacy.model_files.opening import open_model
from tests.support import random_model
from tests.support.hugging_face import hugging_face_tensors, write_babble, write_tensors

PROMPT = "ba be bi bo bu, da de di"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The babbling model in three files."""
    return write_babble(tmp_path_factory.mktemp("folder") / "babble", n_files=3)


def logits(source: Path, **options: Any) -> NDArray[np.float32]:
    with llamacy.load(source, n_threads=1, **options) as model:
        return model.logits(model.tokenize(PROMPT))


def test_a_folder_of_safetensors_loads_as_a_model(
    folder: Path, babble_model: Path
) -> None:
    """It gives almost the logits of the GGUF file with the same weights in 8 bits."""
    with llamacy.load(folder) as model, llamacy.load(babble_model) as other:
        assert model.path == str(folder)
        assert model.config.n_vocab == other.config.n_vocab
        assert model.tokenize(PROMPT) == other.tokenize(PROMPT)
        assert model.metadata["tokenizer.chat_template"] == random_model.CHAT_TEMPLATE
        one = model.generate(PROMPT, max_tokens=8, temperature=0)
        assert one.usage.completion_tokens == 8
        messages = [{"role": "user", "content": "ba be"}]
        assert model.chat_prompt(messages) == other.chat_prompt(messages)
        assert llamacy.load_tokenizer(folder).encode(PROMPT) == model.tokenize(PROMPT)
    got = logits(folder, quantize="Q8_0")
    np.testing.assert_array_equal(got, logits(babble_model))


def test_a_converted_folder_keeps_its_templates(tmp_path: Path) -> None:
    folder = write_babble(tmp_path / "babble")
    further = folder / "additional_chat_templates"
    further.mkdir()
    (further / "tool_use.jinja").write_text("{{ tools[0].function.name }}")
    path = tmp_path / "new.gguf"
    llamacy.convert(folder, path)
    with llamacy.load(path) as model:
        assert model.metadata["tokenizer.chat_templates"] == ["tool_use"]
        ids = model.chat_prompt("ba be", tools=[{"name": "badu", "parameters": {}}])
        assert model.tokenizer.decode(ids) == "badu"


def test_a_converted_folder_is_the_same_to_the_bit(
    folder: Path, tmp_path: Path
) -> None:
    shares: list[float] = []
    path = tmp_path / "new.gguf"
    done = llamacy.convert(folder, path, progress=shares.append)
    assert (done.path, done.source_format) == (str(path), "safetensors")
    assert done.tensor_types == {"F32": 39}
    assert shares[-1] == 1
    assert [each.name for each in tmp_path.iterdir()] == ["new.gguf"]
    with open_gguf(path) as file, open_model(folder) as source:
        assert file.metadata.keys() == source.metadata.keys()
        assert file.value_types == source.value_types
        for key, value in source.metadata.items():
            np.testing.assert_array_equal(file.metadata[key], value)
        assert list(file.tensors) == list(source.tensors)
        assert done.n_bytes == sum(each.n_bytes for each in file.tensors.values())
    np.testing.assert_array_equal(logits(path), logits(folder))


def test_metadata_have_the_types_that_llama_cpp_expects(
    folder: Path, babble_model: Path, tmp_path: Path
) -> None:
    llamacy.convert(folder, tmp_path / "new.gguf")
    new = gguf.GGUFReader(tmp_path / "new.gguf").fields
    for key, field in gguf.GGUFReader(babble_model).fields.items():
        if key not in ("general.name", "general.file_type"):
            # the other writer's choice, where more than one type would do
            assert new[key].types == field.types, key
            if not key.startswith("GGUF."):
                assert new[key].contents() == field.contents(), key


@pytest.mark.parametrize("name", ["Q4_0", "Q4_K_M"])
def test_a_folder_quantised_while_loading_equals_a_quantised_file(
    folder: Path, tmp_path: Path, name: str
) -> None:
    """It has the same bits as a file that convert or quantize wrote."""
    paths = [tmp_path / f"{i}.gguf" for i in range(3)]
    llamacy.quantize(folder, paths[0], name)
    done = llamacy.convert(folder, paths[1], name.lower(), n_threads=1)
    assert done.tensor_types == llamacy.quantize(paths[1], paths[2], name).tensor_types
    assert paths[0].read_bytes() == paths[1].read_bytes() == paths[2].read_bytes()
    with open_gguf(paths[0]) as file:
        assert file.metadata["general.file_type"] == FILE_TYPES[name].number
    want = logits(paths[0])
    np.testing.assert_array_equal(logits(folder, quantize=name), want)
    assert np.abs(want - logits(folder)).max() > 0


def test_a_gguf_file_can_be_quantised_while_loading(
    folder: Path, tmp_path: Path
) -> None:
    llamacy.convert(folder, tmp_path / "new.gguf")
    llamacy.quantize(folder, tmp_path / "small.gguf", "Q4_0")
    got = logits(tmp_path / "new.gguf", quantize="Q4_0")
    np.testing.assert_array_equal(got, logits(tmp_path / "small.gguf"))


def test_weights_are_quantised_one_tensor_at_a_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each tensor is quantised once, and its source's pages freed before the next."""
    steps: list[tuple[str, str]] = []

    def noted(name: str) -> None:
        method = getattr(RequantizedTensor, name)

        def note(self: RequantizedTensor, *arguments: Any) -> Any:
            steps.append((name, self.name))
            return method(self, *arguments)

        monkeypatch.setattr(RequantizedTensor, name, note)

    noted("fill")
    noted("release")
    llamacy.load(folder, quantize="Q8_0").close()
    names = [name for step, name in steps if step == "fill"]
    assert len(set(names)) == len(names) == 30
    assert steps == [(step, name) for name in names for step in ("fill", "release")]


def test_a_session_does_not_load_in_a_model_of_another_type(
    folder: Path, tmp_path: Path
) -> None:
    """A model quantised to another type has other keys and values."""
    with llamacy.load(folder, quantize="Q8_0") as model:
        session = model.session()
        session.feed(PROMPT)
        session.save(tmp_path / "saved")
        model.load_session(tmp_path / "saved").close()
    with llamacy.load(folder) as model, pytest.raises(llamacy.FormatError):
        model.load_session(tmp_path / "saved")


# Errors.


def test_invalid_arguments_of_convert_are_refused(folder: Path, target: Path) -> None:
    with pytest.raises(llamacy.ArgumentError, match="quantize: wanted one of F32"):
        llamacy.load(folder, quantize="Q9")
    with pytest.raises(llamacy.ArgumentError, match="quantize: wanted one of F32"):
        llamacy.load(folder, quantize=4)  # type: ignore[arg-type]
    with pytest.raises(llamacy.ArgumentError, match="type: wanted one of F32"):
        llamacy.convert(folder, target, "Q9")
    with pytest.raises(llamacy.ArgumentError, match="target: wanted a path"):
        llamacy.convert(folder, None)  # type: ignore[arg-type]
    with pytest.raises(llamacy.ArgumentError, match="n_threads"):
        llamacy.convert(folder, target, n_threads=0)
    with pytest.raises(llamacy.ArgumentError, match="progress"):
        llamacy.convert(folder, target, progress=3)  # type: ignore[arg-type]
    with pytest.raises(llamacy.ArgumentError, match="another file than the source"):
        llamacy.convert(folder, folder / "model-00002-of-00003.safetensors")
    with pytest.raises(llamacy.ModelFileError):
        llamacy.convert(folder / "none", target)
    with pytest.raises(llamacy.FormatError, match="a folder with config.json"):
        llamacy.convert(target, target)


def test_a_file_of_a_folder_is_refused_as_a_model(folder: Path) -> None:
    with pytest.raises(llamacy.FormatError, match="name the folder that holds it"):
        llamacy.load(folder / "model-00001-of-00003.safetensors")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_weights_that_cannot_be_quantised_are_named(
    tmp_path: Path, target: Path, value: float
) -> None:
    folder = write_babble(tmp_path / "babble")
    n_vocab = len(random_model.vocabulary()[0])
    tensors = hugging_face_tensors(random_model.tensors(n_vocab, seed=0))
    tensors["model.layers.2.mlp.up_proj.weight"][3, 5] = value
    write_tensors(folder, tensors)
    calls: list[Callable[[], object]] = [
        lambda: llamacy.convert(folder, target, "Q8_0"),
        lambda: llamacy.load(folder, quantize="Q8_0"),
    ]
    for call in calls:
        with pytest.raises(llamacy.FormatError) as caught:
            call()
        assert caught.value.field == "tensor blk.2.ffn_up.weight"
        assert caught.value.path == str(folder)


def test_files_that_are_not_models_are_not_converted(
    tmp_path: Path, target: Path
) -> None:
    folder = write_babble(tmp_path / "babble", config={"intermediate_size": 96})
    with pytest.raises(llamacy.FormatError, match=r"blk\.0\.ffn_gate\.weight: shape"):
        llamacy.convert(folder, target)


def test_ctrl_c_leaves_the_old_file(folder: Path, target: Path) -> None:
    def interrupt(share: float) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        llamacy.convert(folder, target, "Q8_0", progress=interrupt)
    with pytest.raises(KeyboardInterrupt):
        llamacy.load(folder, quantize="Q8_0", progress=interrupt)


def test_a_folder_of_an_unknown_family_is_refused_by_its_name(tmp_path: Path) -> None:
    folder = write_babble(tmp_path / "b", config={"architectures": ["NoSuchModel"]})
    with pytest.raises(llamacy.UnsupportedError, match="NoSuchModel"):
        llamacy.load(folder)
    assert llamacy.load_tokenizer(folder).encode("ba", add_bos=False)
