"""The examples of the README and the documentation run, and their flags exist."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from llamacy.cli import app
from tests.support.encoder_fixtures import CLASSIFIER, WriteEncoder
from tests.support.hub_server import HubServer, Repo
from tests.support.hugging_face import write_babble
from tests.support.pages import PAGES, ROOT, blocks
from tests.support.real_models import MINILM, SMOLLM2, fetched, fetched_folder

NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_python_examples_of_a_page_run(
    page: Path,
    babble_model: Path,
    write_encoder: WriteEncoder,
    hub: HubServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    if page.name == "embeddings.md":
        sizes = {"context_length": 64}
        shutil.copy(write_encoder(pooling_type=1, **sizes), "minilm.gguf")
        scorer = write_encoder(pooling_type=4, also=CLASSIFIER, **sizes)
        shutil.copy(scorer, "reranker.gguf")
        Path("notes").mkdir()
        Path("notes/roof.txt").write_text("the cat sat on the roof.")
    shutil.copy(babble_model, "model.gguf")
    shutil.copy(babble_model, "small.gguf")
    write_babble(tmp_path / "SmolLM2-135M")
    Path("report.txt").write_text("Once upon a time there was a king. " * 400)
    names = [f"SmolLM2-135M-Instruct-{kind}.gguf" for kind in ("Q4_K_M", "Q8_0")]
    files = dict.fromkeys(names, babble_model.read_bytes())
    hub.repos["bartowski/SmolLM2-135M-Instruct-GGUF"] = Repo(files)
    space: dict[str, Any] = {"__name__": "example"}
    for line, code, needs in blocks(page, "python"):
        if not needs:  # tests/integrations runs the others
            # empty lines, so that a failure names the page's own line
            exec(compile("\n" * line + code, str(page), "exec"), space)


def test_the_quick_start_needs_no_model_but_demo() -> None:
    page = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert set(re.findall(r"llamacy\.load\((.*?)\)", page)) == {'"demo"', "…"}


@pytest.mark.usefixtures("selected_level")
def test_the_readme_begins_with_what_its_first_command_prints() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    marked = r"<!-- ci: generate -->\n```sh\n(.*?)\n```\n\n```text\n(.*?)```\n"
    found = re.search(marked, readme, re.S)
    assert found is not None
    command, shown = found.groups()
    words = shlex.split(command.rpartition("bin/llamacy ")[2])
    done = CliRunner().invoke(app, words, prog_name="llamacy")
    assert done.exit_code == 0
    # a terminal shows the prompt, too, which a pipe does not
    assert words[-1] + done.stdout == shown


@pytest.mark.real
def test_the_readme_shows_what_its_second_command_prints() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    marked = r"<!-- ci: real -->\n```sh\n(.*?)\n```\n\n```text\n(.*?)```\n"
    found = re.search(marked, readme, re.S)
    assert found is not None
    command, shown = found.groups()
    words = shlex.split(command.rpartition("bin/llamacy ")[2])
    words[1] = str(fetched(SMOLLM2))
    done = CliRunner().invoke(app, words, prog_name="llamacy")
    assert (done.exit_code, done.stdout) == (0, shown)


NOTES = {
    "house": "The owners agreed in May that each of them bears a third of the cost of "
    "the repairs above the attic.\n",
    "trip": "We leave for the lake on Friday. Anna brings the tent.\n",
    "recipe": "Simmer the lentils for half an hour and add vinegar at the end.\n",
}


@pytest.mark.real
def test_a_search_in_notes_finds_what_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = ROOT / "docs" / "guides" / "embeddings.md"
    code = next(iter(blocks(page, "python"))).code
    monkeypatch.chdir(tmp_path)
    (tmp_path / "minilm.gguf").symlink_to(fetched_folder(MINILM))
    (tmp_path / "notes").mkdir()
    for name, text in NOTES.items():
        (tmp_path / "notes" / f"{name}.txt").write_text(text)
    space: dict[str, Any] = {}
    exec(code, space)
    assert re.match(r"0\.\d\d house\.txt: The owners", capsys.readouterr().out)
    (found,) = space["search"]("How long do they cook?", 1)
    assert found[1].name == "recipe.txt"


def test_flags_in_console_examples_exist() -> None:
    root: Any = typer.main.get_command(app)
    n_seen = 0
    for page in PAGES:
        for block in blocks(page, "console"):
            for line in re.findall(r"^\$ llamacy (.*)$", block.code, re.M):
                name, *words = shlex.split(line, comments=True)
                command = root.commands[name]
                known = {flag for one in command.params for flag in one.opts}
                given = {word for word in words if re.match(r"--?[a-zA-Z]", word)}
                assert given <= known, f"{page}: llamacy {line}"
                n_seen += len(given)
    assert n_seen > 10


def test_every_page_is_in_the_table_of_contents() -> None:
    contents = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        assert f": {page.relative_to(ROOT / 'docs').as_posix()}\n" in contents


@pytest.mark.parametrize(
    "page",
    [*PAGES, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "llamacy").rglob("*.md"))],
)
def test_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:llamacy|tests|tools|bench|docs)/[\w./-]*)`", text):
        assert (ROOT / name).exists(), f"{page}: {name}"
