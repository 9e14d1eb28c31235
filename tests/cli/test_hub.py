"""`llamacy pull`, `list` and `rm`, and names of the hub in other commands."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.model_files.sources import locate
from tests.support.hub_fixtures import REPO
from tests.support.hub_server import HubServer, Repo
from tests.support.hugging_face import write_babble

Shell = Callable[..., Any]


@pytest.fixture
def environment(hub: HubServer, cache: Path) -> dict[str, str]:
    """The environment of a process that sees only the test's hub and cache."""
    return {
        **os.environ,
        "HF_HUB_CACHE": str(cache),
        "HF_ENDPOINT": hub.url,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": str(Path(llamacy.__file__).parents[1]),
    }


def test_a_model_can_be_pulled_listed_run_and_removed(
    shell: Shell, repo: Repo, cache: Path
) -> None:
    done = shell("list")
    assert (done.status, done.out) == (0, "")
    assert done.err == f"no models in {cache}; llamacy models lists some to try\n"
    done = shell("pull", REPO)
    assert (done.status, done.err) == (0, "")
    assert Path(done.out.rstrip("\n")) == locate(REPO)
    assert shell("run", REPO, "Once", "-n", 2).status == 0
    done = shell("list")
    assert (done.status, done.err) == (0, "")
    assert re.search(
        rf"{REPO}:Q4_K_M +tiny-Q4_K_M.gguf +[\d.]+ KiB +20\d\d-\d\d-\d\d \d\d:\d\d",
        done.out,
    )
    assert shell("ls").out == done.out
    done = shell("rm", f"{REPO}:Q4_K_M", "-y")
    assert (done.status, done.err) == (0, "")
    assert re.fullmatch(rf"{REPO}:Q4_K_M: [\d.]+ KiB freed\n", done.out)
    assert llamacy.cached_models() == []


def test_pull_list_and_rm_print_json(shell: Shell, repo: Repo) -> None:
    pulled = json.loads(shell("pull", f"{REPO}:Q8_0", "--json").out)
    (row,) = json.loads(shell("list", "--json").out)
    assert row["name"] == pulled["name"] == f"{REPO}:Q8_0"
    assert row["path"] == pulled["path"]
    assert row["files"] == ["tiny-q8_0.gguf"]
    size = len(repo.files["tiny-q8_0.gguf"])
    assert row["bytes"] == size
    freed = json.loads(shell("rm", REPO, "-y", "--json").out)
    assert freed == {"name": f"{REPO}:Q8_0", "freed": size}
    assert json.loads(shell("list", "--json").out) == []


def test_a_folder_can_be_pulled_listed_run_and_removed(
    shell: Shell, hub: HubServer, tmp_path: Path
) -> None:
    folder = write_babble(tmp_path / "babble", n_files=2)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub.repos["user/babble"] = Repo(files)
    done = shell("pull", "user/babble:Q8_0")
    assert (done.status, done.err) == (0, "")
    assert Path(done.out.rstrip("\n")) == locate("user/babble")
    shown = json.loads(shell("show", "user/babble:Q8_0", "--json").out)
    assert [tensor["type"] for tensor in shown["tensors"]].count("Q8_0") == 30
    assert shown["memory"]["weights_bytes"] > 0
    assert shell("run", "user/babble:Q8_0", "ba be", "-n", 2).status == 0
    assert shell("convert", "user/babble:Q8_0", tmp_path / "new.gguf").status == 0
    done = shell("run", "user/babble:Q8_0", "ba", "-n", 2, "--quantize", "F16")
    wanted = "--quantize: wanted Q8_0, as the model's name says, found 'F16'"
    assert (done.status, wanted in done.err) == (1, True)
    done = shell("list")
    assert re.search(
        r"user/babble +model-00001-of-00002.safetensors +[\d.]+ ", done.out
    )
    assert shell("rm", "user/babble", "-y").status == 0
    assert llamacy.cached_models() == []


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("show", "--json"), "n_tensors"),
        (("tokenize", "-", "--json"), "ids"),
        (("score", "-", "--json"), "tokens"),
    ],
)
def test_other_commands_download_a_model_by_name(
    shell: Shell, repo: Repo, words: tuple[str, ...], key: str
) -> None:
    command, *rest = words
    rest = ["Once upon" if word == "-" else word for word in rest]
    done = shell(command, f"{REPO}:Q4_K_M", *rest)
    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out)[key]


def test_quantize_downloads_a_model_by_name(
    shell: Shell, repo: Repo, tmp_path: Path
) -> None:
    done = shell("quantize", REPO, tmp_path / "small.gguf", "Q4_0")
    assert (done.status, done.err) == (0, "")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("pull",), 2, "NAME"),
        (("pull", "model.gguf"), 1, "wanted a name like user/repo"),
        (("pull", "user/none"), 1, "no repository user/none"),
        (("run", "user/none", "Once"), 1, "nor a path of that name"),
        (("rm", f"{REPO}:Q8_0", "-y"), 1, "in the cache; it has none"),
        (("rm", "./model.gguf", "-y"), 1, "wanted a name"),
    ],
)
def test_the_error_of_a_hub_command_is_one_line(
    shell: Shell, hub: HubServer, words: tuple[str, ...], status: int, message: str
) -> None:
    done = shell(*words)
    assert (done.status, done.out) == (status, "")
    assert done.err.count("\n") == 1
    assert message in done.err


def test_nothing_is_removed_without_confirmation(shell: Shell, repo: Repo) -> None:
    shell("pull", REPO)
    done = shell("rm", REPO, input="y\n")
    assert (done.status, done.out) == (2, "")
    assert "give -y" in done.err
    assert len(llamacy.cached_models()) == 1


@pytest.mark.skipif(os.name != "posix", reason="terminals of POSIX")
@pytest.mark.parametrize(("answer", "status"), [(b"n\n", 130), (b"y\n", 0)])
def test_rm_asks_for_confirmation_at_a_terminal(
    repo: Repo, environment: dict[str, str], answer: bytes, status: int
) -> None:
    import pty

    path = llamacy.pull(REPO)
    controller, terminal = pty.openpty()
    try:
        os.write(controller, answer)
        done = subprocess.run(
            [sys.executable, "-P", "-m", "llamacy", "rm", REPO],
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=60,
            env=environment,
        )
    finally:
        os.close(controller)
        os.close(terminal)
    assert done.returncode == status
    assert f"Remove {REPO}:Q4_K_M" in done.stderr
    assert path.exists() == (status != 0)


@pytest.mark.skipif(os.name != "posix", reason="terminals of POSIX")
def test_a_progress_bar_is_shown_only_at_a_terminal(
    repo: Repo, hub: HubServer, environment: dict[str, str]
) -> None:
    import pty

    # The file arrives in chunks of 10 MiB. The connection breaks in the second chunk
    # and resumes a second later, which is long enough for a bar to appear.
    repo.files["large-F32.gguf"] = bytes(21 << 20)
    hub.cuts["large-F32.gguf"] = [15 << 20]
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "llamacy", "pull", f"{REPO}:F32"],
        stdout=subprocess.DEVNULL,
        stderr=terminal,
        env=environment,
    )
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # Linux raises once the terminal is closed
        while chunk := os.read(controller, 4096):
            shown += chunk
    os.close(controller)
    assert process.wait(60) == 0
    assert f"fetching {REPO}:F32".encode() in shown
    assert b"Error" not in shown
    done = subprocess.run(
        [sys.executable, "-P", "-m", "llamacy", "pull", f"{REPO}:Q8_0"],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_download_leaves_no_model_and_can_be_repeated(
    repo: Repo, hub: HubServer, environment: dict[str, str], number: int
) -> None:
    hub.cuts["tiny-Q4_K_M.gguf"] = [None]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "llamacy", "pull", REPO],
        stderr=subprocess.PIPE,
        env=environment,
        # a shell starts background jobs, as this may be, with SIGINT ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert hub.stalled.wait(60)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert b"Traceback" not in err
    assert llamacy.cached_models() == []
    assert locate(REPO).read_bytes() == repo.files["tiny-Q4_K_M.gguf"]
