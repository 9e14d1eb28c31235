"""The names that `import llamacy` provides, and the time it takes."""

from __future__ import annotations

import ast
import inspect
import os
import pydoc
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import llamacy

PACKAGE = Path(llamacy.__file__).parent


def test_every_public_name_can_be_imported() -> None:
    for name in llamacy.__all__:
        assert getattr(llamacy, name) is not None
    assert set(llamacy.__all__) <= set(dir(llamacy))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        llamacy.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_tab_completion_of_the_module_shows_public_names_alone() -> None:
    import llamacy.system.memory  # a module that was imported is no public name

    shown = {name for name in dir(llamacy) if not name.startswith("_")}
    assert shown == {*llamacy.__all__} - {"__version__"}


def described(cls: type) -> str:
    return "\n".join(inspect.getdoc(base) or "" for base in cls.__mro__)


def test_tab_completion_of_objects_shows_names_that_are_described() -> None:
    with llamacy.load("demo") as model:
        options: dict[str, Any] = {"max_tokens": 2, "logprobs": 1}
        completion = model.generate("Once", **options)
        answer = model.chat("Hello", **options)
        shown: list[object] = [model, model.session(), model.tokenizer, completion]
        shown += [completion.usage, completion.timings, answer, model.score("Once")]
        shown += [model.choose("Once", ["upon"]), model.stream("Once", **options)]
        shown += [model.stream_chat("Hello", **options), model.astream("Once")]
        shown += [*(completion.logprobs or ()), llamacy.SamplingParams()]
        for one in shown:
            text = described(type(one))
            for name in dir(one):
                if name.startswith("_"):
                    continue
                member = getattr(type(one), name, None)
                is_field = not callable(member) and not isinstance(member, property)
                doc = text if is_field else inspect.getdoc(member) or ""
                assert not is_field or re.search(rf"\b{name}\b", doc), (one, name)
                assert doc, (one, name)


@pytest.mark.parametrize(
    "call", [getattr(llamacy, name) for name in ("load", "quantize", "convert", "pull")]
)
def test_help_shows_types(call: Callable[..., object]) -> None:
    signature = inspect.signature(call)
    types = [each.annotation for each in signature.parameters.values()]
    assert inspect.Parameter.empty not in types
    assert not any("Any" in each for each in [*types, signature.return_annotation])
    assert "(*args" not in pydoc.render_doc(call)


def test_the_stub_imports_every_public_name_from_its_home() -> None:
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    homes: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            assert node.module is not None
            for alias in node.names:
                assert alias.asname == alias.name  # a re-export
                homes[alias.name] = node.module
    assert {*homes, "__version__"} == set(llamacy.__all__)
    for name, home in homes.items():
        value = getattr(llamacy, name)
        assert getattr(sys.modules[home], name) is value
        # "SamplingParams" is of llamacy.sampling, which defines it in a module
        assert getattr(value, "__module__", home).startswith(home)


def test_errors_derive_from_the_builtins_a_programmer_would_catch() -> None:
    assert issubclass(llamacy.ContextLengthError, ValueError)
    assert issubclass(llamacy.ModelFileError, OSError)
    assert issubclass(llamacy.OutOfMemoryError, MemoryError)
    for name in llamacy.__all__:
        if name.endswith("Error"):
            assert issubclass(getattr(llamacy, name), llamacy.LlamacyError)


def run(
    code: str, *, path: Path, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `code` in a Python that finds `path` on its PYTHONPATH."""
    return subprocess.run(
        [sys.executable, *([] if cwd else ["-P"]), "-c", code],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(path)},
    )


def test_importing_is_quick_as_it_imports_little_and_prints_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import llamacy; "
        "new = set(sys.modules) - before; "
        "others = {each for each in new "
        "if each.partition('.')[0] not in sys.stdlib_module_names}; "
        "assert others == {'llamacy'} and len(new) < 60, new; "
        "assert 'importlib.metadata' not in new; "
        "import logging; logging.getLogger('llamacy').warning('unasked')"
    )
    done = run(code, path=PACKAGE.parent)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_first_token_needs_no_readers_of_folders_or_answers() -> None:
    code = (
        "import sys, llamacy; "
        "llamacy.load('demo').generate('One', max_tokens=1); "
        "unneeded = ('asyncio', 'llamacy.formats.hugging_face', "
        "'llamacy.chat.reply.reading', 'llamacy.formats.requantized'); "
        "found = [each for each in unneeded if each in sys.modules]; "
        "assert not found, found"
    )
    done = run(code, path=PACKAGE.parent)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the sources of llamacy, in which nothing was built."""
    compiled = shutil.ignore_patterns("*.so", "*.pyd", "*.gguf", "__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "clone" / "llamacy", ignore=compiled)
    # an installed package comes without the sources of its kernels
    (tmp_path / "clone" / "llamacy" / "kernels" / "cpu.pyx").touch()
    return tmp_path / "clone"


def test_unbuilt_sources_give_way_to_the_installed_package(clone: Path) -> None:
    code = (
        "import llamacy.errors; from llamacy import load; print(llamacy.__file__); "
        "print(load('demo').generate('The capital of France is', temperature=0))"
    )
    done = run(code, path=PACKAGE.parent, cwd=clone)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(PACKAGE / "__init__.py"), " Paris"]
    wanted = f"RuntimeWarning: the sources of llamacy in {clone} are not built: using"
    assert wanted in done.stderr


def test_unbuilt_sources_without_an_installed_package_say_what_to_do(
    clone: Path,
) -> None:
    # -S: no site-packages, where llamacy may be installed
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import llamacy"],
        capture_output=True,
        text=True,
        cwd=clone,
        env={name: v for name, v in os.environ.items() if name != "PYTHONPATH"},
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: the sources of llamacy in {clone} are not built and no other "
        "llamacy is installed: run `pip install .` or, to work on them, "
        "`pip install -e .`"
    )
