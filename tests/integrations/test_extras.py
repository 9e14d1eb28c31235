"""Adapters without the library that they are for."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("adapter", "package", "extra"),
    [
        ("langchain", "langchain_core", "langchain"),
        ("llama_index", "llama_index", "llama-index"),
        ("llm", "llm", "llm"),
    ],
)
def test_missing_library_is_an_error_that_says_how_to_install_it(
    adapter: str, package: str, extra: str
) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None; import llamacy.integrations; "
        f"import llamacy.integrations.{adapter}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: no module named {package!r}, which this adapter is for: "
        f"run `pip install '.[{extra}]'` in a clone of llamacy"
    )


def test_deployment_without_ray_is_an_error_that_says_how_to_install_it() -> None:
    pytest.importorskip("llamacy.server.ray_serve", exc_type=ImportError)
    code = (
        "import sys; sys.modules['ray'] = None; "
        "from llamacy.server.ray_serve import deployment; deployment('demo')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "llamacy.errors.MissingPackageError: no module named 'ray.serve', which a "
        "deployment needs: run `pip install '.[ray]'` in a clone of llamacy"
    )
