"""`llamacy serve`: names, keys, and a whole run, where the server is installed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from llamacy.cli.failures import UsageError
from llamacy.cli.serve import api_keys, memory_size, named_model


def test_models_are_named_after_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b").mkdir()
    assert named_model("demo") == ("demo", "demo")
    assert named_model("user/repo:Q4_K_M") == ("user/repo:Q4_K_M", "user/repo:Q4_K_M")
    assert named_model("models/tiny.gguf") == ("tiny", "models/tiny.gguf")
    assert named_model(".") == (tmp_path.name, ".")
    assert named_model("small=demo") == ("small", "demo")
    assert named_model("a=b") == ("a=b", "a=b")


def test_keys_come_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LLAMACY_API_KEY", raising=False)
    assert api_keys(None) == []
    monkeypatch.setenv("LLAMACY_API_KEY", "of-environment")
    assert api_keys(None) == ["of-environment"]
    file = tmp_path / "keys"
    file.write_text("first\n\n  second \n")
    assert api_keys(file) == ["first", "second"]
    file.write_text("\n")
    with pytest.raises(UsageError, match="wanted a key"):
        api_keys(file)
    with pytest.raises(UsageError, match="--api-key-file"):
        api_keys(tmp_path / "missing")


def test_sizes_of_memory_have_units() -> None:
    assert memory_size("2g") == 2 * 2**30
    assert memory_size("0.5K") == 512
    for wrong in ("", "G", "8X", "-1G", "nan", "infG", "0"):
        with pytest.raises(UsageError, match="--max-memory"):
            memory_size(wrong)


def test_options_about_unloading_need_loading_on_demand(shell: Any) -> None:
    done = shell("serve", "demo", "--max-memory", "8G")
    assert done.status == 2
    assert "--on-demand" in done.err


def test_two_models_of_one_name_are_refused(shell: Any) -> None:
    done = shell("serve", "demo", "demo=other.gguf")
    assert done.status == 2
    assert "same name" in done.err


def test_a_missing_library_is_an_error_that_says_how_to_install_it() -> None:
    code = (
        "import sys; sys.modules['starlette'] = sys.modules['uvicorn'] = None; "
        "from llamacy.cli import main; sys.argv[1:] = ['serve', 'demo']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip install '.[server]'" in done.stderr


@pytest.mark.server
def test_a_server_answers_until_ctrl_c() -> None:
    pytest.importorskip("llamacy.server", exc_type=ImportError)
    words = [sys.executable, "-P", "-m", "llamacy", "serve", "demo", "--port", "0"]
    words += ["--on-demand", "--max-memory", "1G", "--no-page"]
    environment = {**os.environ, "LLAMACY_API_KEY": "k"}
    with subprocess.Popen(
        words, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said.startswith("llamacy: serving demo at http://127.0.0.1:")
        request = urllib.request.Request(
            said.split()[-1] + "/v1/chat/completions",
            data=b'{"messages": [{"role": "user", "content": "What is 12 + 30?"}]}',
            headers={"authorization": "Bearer k"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
        assert answer["choices"][0]["message"]["content"]
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(said.split()[-1], timeout=30)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 0
    assert "POST /v1/chat/completions 200" in rest
    assert "loaded demo" in rest
    assert "Traceback" not in rest
