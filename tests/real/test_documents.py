"""The examples of the README and the documentation run on a real model.

tests/test_docs.py runs them on a model that babbles; here a model answers that may
also end its texts, write special tokens, and take longer than expected.
"""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import gguf
import pytest
from typer.testing import CliRunner

import llamacy
from llamacy.cli import app
from tests.support import lora_files
from tests.support.hub_server import HubServer, Repo
from tests.support.hugging_face import write_babble
from tests.support.pages import PAGES, ROOT, blocks
from tests.support.real_models import MINILM, fetched_folder

pytestmark = pytest.mark.real

N_CTX = 256  # which the examples' longer conversations exceed
ABOUT_OTHERS = (
    # which say what `demo` answers
    *("docs/guides/demo.md", "docs/start/rag.md", "docs/guides/batch.md"),
    "docs/guides/embeddings.md",  # on encoders, which tests/test_docs.py has
)
SPOKEN = "Why is the sky blue?\n"
# what a command must not name to be run here
ABSENT = (
    r"\.bin|plamo2|ollama",  # files of other programs, and a family that is refused
    r"SmolLM2-135M(?!-Instruct)",  # folders of safetensors, of which none is at hand
    r"\bNAME\b",
    r"\bserve\b",  # answers until it is stopped: see tests/cli/test_serve.py
    r"reranker|\.parquet",  # no such model is at hand, nor pyarrow
    r"--ray",  # no cluster is at hand
)
HUB = {
    "bartowski/SmolLM2-135M-Instruct-GGUF": "SmolLM2-135M-Instruct-{}.gguf",
    "user/repo": "repo-{}.gguf",
}


@pytest.fixture(scope="module")
def short(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2, whose file says that it was trained on short texts."""
    path = tmp_path_factory.mktemp("short") / "model.gguf"
    shutil.copy(smollm2, path)
    reader = gguf.GGUFReader(path, "r+")
    field = reader.fields["llama.context_length"]
    field.parts[field.data[0]][0] = N_CTX
    reader.data.flush()
    return path


@pytest.fixture
def served(hub: HubServer, short: Path) -> HubServer:
    """A hub that has SmolLM2."""
    content = short.read_bytes()
    for repo, pattern in HUB.items():
        files = [pattern.format(kind) for kind in ("Q4_K_M", "Q8_0")]
        hub.repos[repo] = Repo(dict.fromkeys(files, content))
    return hub


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    "page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES]
)
def test_python_examples_of_a_page_run(
    page: Path, short: Path, chapter: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("model.gguf", "small.gguf"):
        Path(name).symlink_to(short)
    write_babble(tmp_path / "SmolLM2-135M")
    Path("report.txt").write_text(chapter[:8000], encoding="utf-8")
    examples = [one for one in blocks(page, "python") if not one.needs]
    if str(page.relative_to(ROOT)) in ABOUT_OTHERS or not examples:
        pytest.skip("no examples for any model")
    space: dict[str, Any] = {"__name__": "example"}
    for line, code, _ in examples:
        code = code.replace('"demo"', '"model.gguf"')
        exec(compile("\n" * line + code, str(page), "exec"), space)


def commands(page: Path) -> list[str]:
    """Return a page's llamacy commands that a real model can run."""
    found = [
        line
        for block in blocks(page, "console")
        for line in re.findall(r"^\$ (?:.* \| )?(llamacy .*)$", block.code, re.M)
    ]
    return [one for one in found if not any(re.search(each, one) for each in ABSENT)]


def first_mentions() -> dict[Path, list[str]]:
    """Return the commands by page, each of them once."""
    seen: set[str] = set()
    found: dict[Path, list[str]] = {}
    for page in PAGES:
        for command in commands(page):
            key = command.partition("#")[0].strip()
            if key not in seen:
                seen.add(key)
                found.setdefault(page, []).append(command)
    return found


COMMANDS = first_mentions()


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    "page", COMMANDS, ids=[str(page.relative_to(ROOT)) for page in COMMANDS]
)
def test_commands_of_a_page_run(
    page: Path, smollm2: Path, chapter: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.gguf").symlink_to(smollm2)
    Path("wiki.test.raw").write_text(chapter[:9500], encoding="utf-8")
    Path("letter.txt").write_text("Dear Ann,\nthank you.\n", encoding="utf-8")
    Path("person.json").write_text('{"properties": {"age": {"maximum": 150}}}')
    text = "\n".join(COMMANDS[page])
    if "quantize " not in text:  # which would write to it
        Path("model-Q4_K_M.gguf").symlink_to(smollm2)
    if "model-F16.gguf" in text:
        llamacy.quantize(smollm2, "model-F16.gguf", "F16")
    if "prose.txt" in text:
        Path("prose.txt").write_text(chapter[:9500], encoding="utf-8")
    if "--imatrix model.imatrix.gguf" in text:
        with llamacy.load(smollm2) as model:
            llamacy.imatrix(model, chapter[:9500], "model.imatrix.gguf", n_ctx=64)
    if "minilm.gguf" in text:
        Path("minilm.gguf").symlink_to(fetched_folder(MINILM))
        Path("texts.txt").write_text("A cat sleeps.\n\nShares fell.\n")
    if "reviews.csv" in text:
        Path("reviews.csv").write_text("text\nGood.\nBad, and late.\n")
        body = '{"prompt": "1, 2,", "max_tokens": 4}'
        Path("requests.jsonl").write_text(
            '{"custom_id": "a", "method": "POST", "url": "/v1/completions",'
            f' "body": {body}}}\n'
        )
    if "style.gguf" in text:
        write_adapters(smollm2, "style.gguf", "facts")
    for command in COMMANDS[page]:
        words = shlex.split(command, comments=True)[1:]
        # the real model, and one repetition of benchmarks
        words = [{"demo": "model.gguf", "5": "1"}.get(word, word) for word in words]
        if words[0] == "run" and "-n" not in words:
            words += ["-n", "24"]
        if words[0] == "rm" and "-y" not in words:
            words += ["-y"]  # nobody is at a terminal to confirm it
        done = CliRunner().invoke(app, words, input=SPOKEN, prog_name="llamacy")
        assert done.exit_code == 0, f"{command}\n{done.output}\n{done.exception!r}"
        assert done.output.strip(), command


def write_adapters(model: Path, *paths: str) -> None:
    """Write adapters that change a model a little."""
    tensors = gguf.GGUFReader(model).tensors
    shapes = {
        tensor.name: tuple(int(n) for n in reversed(tensor.shape))
        for tensor in tensors
        if re.search(r"attn_[qv]\.weight$", tensor.name)
    }
    for seed, path in enumerate(paths):
        pairs = lora_files.random_pairs(shapes, rank=4, seed=seed, size=0.1)
        lora_files.write_lora(Path(path), pairs)
