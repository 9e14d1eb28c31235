"""The names that `import llamacy` provides, and the time it takes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import llamacy


def test_every_public_name_can_be_imported() -> None:
    for name in llamacy.__all__:
        assert getattr(llamacy, name) is not None
    assert set(llamacy.__all__) <= set(dir(llamacy))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        llamacy.nothing  # noqa: B018


def test_errors_derive_from_the_builtins_a_programmer_would_catch() -> None:
    assert issubclass(llamacy.ContextLengthError, ValueError)
    assert issubclass(llamacy.ModelFileError, OSError)
    assert issubclass(llamacy.OutOfMemoryError, MemoryError)
    for name in llamacy.__all__:
        if name.endswith("Error"):
            assert issubclass(getattr(llamacy, name), llamacy.LlamacyError)


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
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(llamacy.__file__).parents[1])},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
